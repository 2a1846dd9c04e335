"""Inference of shapes and element types through a graph, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mxtrain.errors import MXNetError, ShapeError, TypeInferenceError
from mxtrain.op.attribute import DTYPES
from mxtrain.op.shape import Mismatch, Shape, merge, show
from mxtrain.symbol.node import Entry, Node

T = TypeVar("T")
Known = dict[tuple[int, int], Any]


def infer_shapes(order: Sequence[Node], given: Mapping[int, Shape]) -> Known:
    """Return the shape of every entry, keyed by (id of the node, output number).

    `given` has shapes of variables by node id; a variable's own ``shape`` attribute counts too.
    Raises ShapeError on a contradiction, naming the node, the operator and both shapes.
    """
    known: Known = {}
    for node in order:
        if node.is_variable:
            shape = given.get(id(node))
            own = parse_shape(node.attrs["__shape__"]) if "__shape__" in node.attrs else None
            known[id(node), 0] = merge_at(node.described, own, shape)
        else:
            for index in range(len(node.operator.outputs())):
                known[id(node), index] = None
    _fixpoint(order, known, _shape_rule, _merge_shape)
    return known


def infer_types(order: Sequence[Node], given: Mapping[int, str | None]) -> Known:
    """Return the element type (a name such as ``float32``, or None) of every entry.

    `given` has types of variables by node id.
    """
    known: Known = {}
    for node in order:
        if node.is_variable:
            own = DTYPES[int(node.attrs["__dtype__"])] if "__dtype__" in node.attrs else None
            known[id(node), 0] = given.get(id(node)) or own
        else:
            for index in range(len(node.operator.outputs())):
                known[id(node), index] = None
    _fixpoint(order, known, _type_rule, _merge_type)
    return known


def fill_types(order: Sequence[Node], known: Known, default: str = "float32") -> Known:
    """Give variables of unknown type the default, one after the other, inferring in between."""
    for node in order:
        if node.is_variable and known[id(node), 0] is None:
            known[id(node), 0] = default
            _fixpoint(order, known, _type_rule, _merge_type)
    return known


def _fixpoint(
    order: Sequence[Node],
    known: Known,
    rule: Callable[[Node, list[Any], list[Any]], tuple[list[Any], list[Any]]],
    combine: Callable[[Node, str, Any, Any], Any],
) -> None:
    """Apply every node's rule, forwards then backwards, until nothing changes."""
    nodes = [node for node in order if not node.is_variable]
    direction = nodes
    unchanged_passes = 0
    while unchanged_passes < 2:
        changed = False
        for node in direction:
            keys = [(id(entry.node), entry.index) for entry in node.inputs]
            out_keys = [(id(node), index) for index in range(len(node.operator.outputs()))]
            inputs, outputs = rule(node, [known[k] for k in keys], [known[k] for k in out_keys])
            names = [*node.operator.inputs(), *node.operator.outputs()]
            for key, name, value in zip(
                [*keys, *out_keys], names, [*inputs, *outputs], strict=True
            ):
                merged = combine(node, name, known[key], value)
                changed |= merged != known[key]
                known[key] = merged
        unchanged_passes = 0 if changed else unchanged_passes + 1
        direction = nodes if direction is not nodes else nodes[::-1]


def _shape_rule(node: Node, inputs: list[Shape], outputs: list[Shape]) -> Any:
    try:
        return node.operator.infer_shape(list(inputs), list(outputs))
    except Mismatch as error:
        names = node.operator.inputs()
        given = ", ".join(
            f"{name} {show(shape)}" for name, shape in zip(names, inputs, strict=True)
        )
        raise ShapeError(f"{node.described}: {error}; its inputs are {given}") from None


def _merge_shape(node: Node, name: str, known: Shape, inferred: Shape) -> Shape:
    try:
        return merge(known, inferred)
    except Mismatch:
        raise ShapeError(
            f"{node.described}: {name} should be {show(inferred)}, it is {show(known)}"
        ) from None


def merge_at(where: str, a: Shape, b: Shape) -> Shape:
    """Merge two shapes of one variable, naming it when they contradict."""
    try:
        return merge(a, b)
    except Mismatch:
        raise ShapeError(f"{where}: declared as {show(a)}, given as {show(b)}") from None


def _type_rule(node: Node, inputs: list[Any], outputs: list[Any]) -> Any:
    return node.operator.infer_type(list(inputs), list(outputs))


def _merge_type(node: Node, name: str, known: str | None, inferred: str | None) -> str | None:
    if known is not None and inferred is not None and known != inferred:
        raise TypeInferenceError(
            f"{node.described}: {name} should be {inferred}, it is {known}; "
            "insert a Cast or give all inputs one type"
        )
    return known or inferred


def parse_shape(text: str) -> Shape:
    """Return the shape a ``__shape__`` attribute stands for."""
    inside = text.strip().strip("()[]")
    try:
        return tuple(int(axis) for axis in inside.split(",") if axis.strip())
    except ValueError:
        raise MXNetError(f"'{text}' is not a shape; write it like (4, 3)") from None


def entry_key(entry: Entry) -> tuple[int, int]:
    """Return the key of an entry in the dictionaries above."""
    return id(entry.node), entry.index
