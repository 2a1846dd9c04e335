"""Shapes of a graph in which the axes that follow the batch are told from the others.

The graph's own inference runs for several batch sizes. An axis that has one length throughout is a
number; any other is `Free`. So no operator needs a rule of its own about batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mxtrain.errors import ShapeError
from mxtrain.export.errors import ExportError, FixedBatchError
from mxtrain.symbol import Symbol
from mxtrain.symbol.infer import fill_types, infer_shapes, infer_types
from mxtrain.symbol.node import Node

# Coprime, so that no product or quotient of one looks like the other; and 1, which broadcasts.
BATCHES = (5, 7, 1)


class Free(tuple[int, ...]):
    """An axis that follows the batch: its length at each of the batch sizes tried."""

    __slots__ = ()


BATCH = Free(BATCHES)
Axis = int | Free
Axes = tuple[Axis, ...]
Key = tuple[int, int]


@dataclass(frozen=True)
class Inferred:
    """Shape and element type of every entry of a graph, by (id of the node, output number)."""

    order: Sequence[Node]
    axes: Mapping[Key, Axes]
    types: Mapping[Key, str]


def infer(
    symbol: Symbol,
    inputs: Mapping[str, Axes],
    parameters: Mapping[str, Any],
    batch: int | None = None,
    types: Mapping[str, str] | None = None,
) -> Inferred:
    """Infer every shape and type.

    Parameters
    ----------
    symbol : the graph.
    inputs : shapes of the data inputs by name, with `BATCH` where the batch goes.
    parameters : arrays of arguments and auxiliary states by name.
    batch : the one batch size to infer for; None leaves it free.
    types : element types of data inputs; the others follow from the graph, or are float32.

    Raises FixedBatchError when the graph takes one batch size only, and ExportError when shapes
    stay unknown or contradict each other at the size given.
    """
    order = symbol.nodes()
    dtypes = {name: str(array.dtype.name) for name, array in parameters.items()}
    named = symbol._by_node({**(types or {}), **dtypes})
    known_types = fill_types(order, infer_types(order, named))
    if batch is not None:
        return Inferred(order, _at(symbol, order, inputs, parameters, batch), known_types)
    tried = []
    for rows in BATCHES:
        try:
            tried.append(_at(symbol, order, inputs, parameters, rows))
        except ShapeError as error:
            raise FixedBatchError(f"with a batch of {rows}, {error}") from error
    names = {id(node): node.described for node in order}
    axes = {key: _merged(names[key[0]], [shapes[key] for shapes in tried]) for key in tried[0]}
    _check_parameters(order, axes, parameters)
    return Inferred(order, axes, known_types)


def at_batch(axes: Axes, batch: int) -> tuple[int, ...]:
    """Return the shape of an input at a batch size.

    >>> at_batch((BATCH, 3), 32)
    (32, 3)
    """
    return tuple(batch if isinstance(axis, Free) else axis for axis in axes)


def free_axes(axes: Axes) -> list[int]:
    """Return the numbers of the axes that follow the batch."""
    return [number for number, axis in enumerate(axes) if isinstance(axis, Free)]


def _at(
    symbol: Symbol,
    order: Sequence[Node],
    inputs: Mapping[str, Axes],
    parameters: Mapping[str, Any],
    batch: int,
) -> dict[Key, tuple[int, ...]]:
    given: dict[str, Any] = {name: tuple(a.shape) for name, a in parameters.items()}
    given |= {name: at_batch(axes, batch) for name, axes in inputs.items()}
    known = infer_shapes(order, symbol._by_node(given))
    unknown = [
        node.name for node in order if node.is_variable and not _complete(known[id(node), 0])
    ]
    if unknown or not all(map(_complete, known.values())):
        raise ExportError(
            f"the shapes given leave these unknown: {', '.join(unknown) or 'some outputs'}; give "
            "the shape of one sample with --data-shape NAME=SHAPE"
        )
    return known


def _complete(shape: Any) -> bool:
    return bool(shape) and 0 not in shape


def _merged(node: str, shapes: Sequence[tuple[int, ...]]) -> Axes:
    if len({len(shape) for shape in shapes}) > 1:
        raise FixedBatchError(f"{node} has another number of axes for a batch of one row")
    return tuple(
        lengths[0] if len(set(lengths)) == 1 else Free(lengths)
        for lengths in zip(*shapes, strict=True)
    )


def _check_parameters(
    order: Sequence[Node], axes: Mapping[Key, Axes], parameters: Mapping[str, Any]
) -> None:
    for node in order:
        if node.name in parameters and node.is_variable and free_axes(axes[id(node), 0]):
            raise FixedBatchError(f"the shape of parameter '{node.name}' follows the batch")
