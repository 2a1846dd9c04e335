"""The outputs of a network as a run sees them: what is learned, and what it is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mxtrain.op import Operator
from mxtrain.symbol import Symbol
from mxtrain.symbol.node import Node

# Operators whose labels are class numbers; those of the others are values.
_CLASSIFIERS = ("SoftmaxOutput", "SVMOutput")
# Those whose labels are values even where all of them are whole numbers.
_REGRESSIONS = ("LinearRegressionOutput", "MAERegressionOutput")


@dataclass(frozen=True)
class Head:
    """One output that is learned: its node, name, operator and label (None for MakeLoss).

    The label is the input of the network that it comes from.
    """

    node: str
    output: str
    operator: Operator
    label: str | None

    @property
    def classifies(self) -> bool:
        """Whether its labels are classes."""
        return self.operator.op_name in _CLASSIFIERS


def heads_of(symbol: Symbol) -> list[Head]:
    """Return the outputs with a loss, in order."""
    heads = []
    for entry, output in zip(symbol.entries, symbol.list_outputs(), strict=True):
        node = entry.node
        if node.is_variable or not node.operator.is_loss:
            continue
        names = node.operator.arguments()
        label = _source_of(node.inputs[names.index("label")].node) if "label" in names else None
        heads.append(Head(node.name, output, node.operator, label))
    return heads


def _source_of(node: Node) -> str:
    """Return the variable that a label comes from, also where an operator gives it another form."""
    while not node.is_variable and node.inputs:
        node = node.inputs[0].node
    return node.name


def label_kinds(symbol: Symbol, heads: Sequence[Head]) -> dict[str, str]:
    """Return the label inputs with what they hold: ``class``, ``value`` or ``auto``.

    They are the labels of the outputs in order, then further inputs named ``...label``, which a
    loss made of other operators compares with.
    """
    kinds: dict[str, str] = {}
    for head in heads:
        if head.label is not None:
            kinds.setdefault(head.label, _kind(head))
    for name in symbol.list_arguments():
        if name.endswith("label"):
            kinds.setdefault(name, "auto")
    return kinds


def _kind(head: Head) -> str:
    if head.operator.op_name in _REGRESSIONS:
        return "value"
    if not head.classifies:
        return "auto"
    # With an ignored label the numbers are the network's own: class names would renumber them.
    return "value" if getattr(head.operator, "use_ignore", False) else "class"


def state_names(symbol: Symbol) -> list[str]:
    """Return the inputs that are neither learned nor read: states recurrent operators begin with.

    They are zero.
    """
    return [
        entry.node.name
        for node in symbol.nodes()
        if not node.is_variable
        for name, entry in zip(node.operator.arguments(), node.inputs, strict=False)
        if name in ("state", "state_cell") and entry.node.is_variable
    ]


def describe(symbol: Symbol, input_shape: tuple[int, ...], shapes: dict[str, Any]) -> str:
    """Return the network in a line: ``64 -> fc1 128 -> relu1 128 -> softmax 10``.

    `shapes` are the output shapes of the nodes by name. In a network that is no chain the nodes
    are separated by commas.
    """
    nodes = [node for node in symbol.nodes() if not node.is_variable]
    parts = [_by(input_shape), *(f"{n.name} {_by(shapes[n.name][1:])}".rstrip() for n in nodes)]
    return (" -> " if _is_chain(nodes) else ", ").join(parts)


def _is_chain(nodes: Sequence[Any]) -> bool:
    for number, node in enumerate(nodes):
        read = {entry.node.name for entry in node.inputs if not entry.node.is_variable}
        if read != ({nodes[number - 1].name} if number else set()):
            return False
    return True


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
