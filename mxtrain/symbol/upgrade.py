"""Graphs that earlier MXNet releases wrote, turned into those of 1.9.1.

Two things changed over the years: how a node is spelled (`node_keys`), and what its attributes and
inputs mean (`upgrade`, a chain of small steps, each for the files older than some version).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.op import Operator, registry
from mxtrain.symbol.node import HIDDEN_KEYS, Entry, Node, hide

MXNET_VERSION = 10901  # 1.9.1
# What a file without a version counts as.
UNNAMED_VERSION = 800

_MOST_MISSING = 64

# Spellings of the attributes: operator parameters and users' own apart up to 0.8, together after.
_ATTRIBUTE_KEYS = ("param", "attr", "attrs")

_INITIALIZERS = {
    ("BatchNorm", 3): '["zero", {}]',
    ("BatchNorm", 4): '["one", {}]',
    ("LeakyReLU", 1): '["Constant", {"value": 0.25}]',
    ("UpSampling", 1): '["bilinear", {}]',
}


def node_keys(stored: dict[str, Any]) -> dict[str, Any]:
    """Return a node of a file under the keys of 1.9.1.

    >>> node_keys({"op": "f", "param": {"n": "1"}, "attr": {"a": "2"}, "backward_source_id": -1})
    {'op': 'f', 'attrs': {'n': '1', 'a': '2'}}
    """
    dropped = (*_ATTRIBUTE_KEYS, "backward_source_id")
    modern = {key: value for key, value in stored.items() if key not in dropped}
    found = [stored[key] for key in _ATTRIBUTE_KEYS if key in stored]
    # What is no dict stays, for the reader to refuse.
    wrong = [attrs for attrs in found if not isinstance(attrs, dict)]
    if found:
        modern["attrs"] = wrong[0] if wrong else {k: v for part in found for k, v in part.items()}
    return modern


def upgrade(nodes: list[Node], version: int) -> None:
    """Change nodes, given in the order of their file, from MXNet `version` to 1.9.1.

    Variables that are added hang on the nodes that use them. Nodes of unknown operators, or with
    attributes that do not fit, are left for the reader to refuse.
    """
    for limit, step in STEPS:
        if version < limit:
            for node in nodes:
                step(node)


def hide_keys(node: Node) -> None:
    """Spell ``lr_mult`` and its like ``__lr_mult__``; move an input's own to that variable."""
    node.attrs = {hide(key): value for key, value in node.attrs.items()}
    for_inputs = _keys_for_inputs(node)
    if not for_inputs:
        return
    rest = {key: value for key, value in node.attrs.items() if key not in for_inputs}
    names = _input_names(Node(node.op, node.name, rest, node.inputs))
    for key, (name, hidden) in for_inputs.items():
        number = names.index(name) if name in names else len(node.inputs)
        if number < len(node.inputs) and node.inputs[number].node.is_variable:
            node.inputs[number].node.attrs[hide(hidden)] = node.attrs.pop(key)


def _keys_for_inputs(node: Node) -> dict[str, tuple[str, str]]:
    """Return keys such as ``weight_lr_mult`` of an operator, with their two parts."""
    if node.is_variable:
        return {}
    return {
        key: (key.removesuffix(f"_{hidden}"), hidden)
        for key in node.attrs
        for hidden in HIDDEN_KEYS
        if key.endswith(f"_{hidden}")
    }


def add_missing_inputs(node: Node) -> None:
    """Give an operator its auxiliary states, which files had not before 0.9.0."""
    for name in _input_names(node)[len(node.inputs) :]:
        variable = Node(None, f"{node.name}_{name}", dict(node.attrs))
        node.inputs.append(Entry(variable, 0))


def add_initializers(node: Node) -> None:
    """Say on the variable how it starts; before 0.9.4 initializers knew it by its name."""
    if node.op == "LeakyReLU" and node.attrs.get("act_type") != "prelu":
        return
    for number, entry in enumerate(node.inputs):
        text = _INITIALIZERS.get((node.op or "", number))
        if text is not None and entry.node.is_variable:
            entry.node.attrs.setdefault("__init__", text)


def drop_axis(node: Node) -> None:
    """Leave out ``axis=-1`` of argmax and argmin, which meant all axes before 0.9.5."""
    if node.op in ("argmax", "argmin") and node.attrs.get("axis") == "-1":
        del node.attrs["axis"]


# Each step is for the files older than this version, in this order.
STEPS: tuple[tuple[int, Callable[[Node], None]], ...] = (
    (MXNET_VERSION, hide_keys),
    (900, add_missing_inputs),
    (904, add_initializers),
    (905, drop_axis),
)


def _input_names(node: Node) -> tuple[str, ...]:
    operator = _operator(node)
    if operator is None or claims_too_many_inputs(operator, len(node.inputs)):
        return ()
    return operator.inputs()


def claims_too_many_inputs(operator: Operator, stored: int) -> bool:
    """Whether `num_args` is so far above the inputs a file stores that it must not be believed."""
    # Asking for the names of the inputs would make that many.
    return int(getattr(operator, "num_args", 0)) > max(stored, _MOST_MISSING)


def _operator(node: Node) -> Operator | None:
    """Return the operator of a node, None for those the reader will refuse (or a variable)."""
    if node.op is None or node.op not in registry:
        return None
    try:
        # Of another node, since a node keeps its operator and these attributes still change.
        return Node(node.op, node.name, node.attrs).operator
    except MXNetError:
        return None
