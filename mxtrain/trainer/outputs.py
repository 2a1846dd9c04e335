"""The outputs of a network as a run sees them: what is learned, and what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mxtrain.op import Operator
from mxtrain.symbol import Symbol

# Operators whose labels are class numbers; those of the others are values.
_CLASSIFIERS = ("SoftmaxOutput", "SVMOutput")


@dataclass(frozen=True)
class Head:
    """One output that is learned: its number, names, operator and label (None for MakeLoss)."""

    number: int
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
    for number, (entry, output) in enumerate(
        zip(symbol.entries, symbol.list_outputs(), strict=True)
    ):
        node = entry.node
        if node.is_variable or not node.operator.is_loss:
            continue
        names = node.operator.arguments()
        label = node.inputs[names.index("label")].node.name if "label" in names else None
        heads.append(Head(number, node.name, output, node.operator, label))
    return heads


def label_names(heads: list[Head]) -> list[str]:
    """Return the label inputs, each once, in the order of the outputs."""
    return list(dict.fromkeys(head.label for head in heads if head.label is not None))


def label_kind(heads: list[Head]) -> str | None:
    """Return what the labels are: ``class``, ``value``, ``auto``, or None without a label."""
    labelled = [head for head in heads if head.label is not None]
    if not labelled:
        return None
    return "class" if all(head.classifies for head in labelled) else "auto"


def class_count(heads: list[Head], shapes: dict[str, tuple[int, ...]]) -> int | None:
    """Return how many classes the first classifying output tells apart, given output shapes."""
    for head in heads:
        if head.classifies:
            return shapes[head.output][1]
    return None


def describe(symbol: Symbol, input_shape: tuple[int, ...]) -> str:
    """Return the network in a line: ``64 -> fc1 128 -> relu1 -> softmax 10``-like."""
    parts: list[Any] = ["x".join(map(str, input_shape))]
    for node in symbol.nodes():
        if not node.is_variable:
            hidden = node.attrs.get("num_hidden")
            parts.append(f"{node.name}({hidden})" if hidden else node.name)
    return " -> ".join(map(str, parts))
