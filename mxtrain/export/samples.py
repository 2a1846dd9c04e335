"""Rows to try a model on: given ones, or random ones of a suitable kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mxtrain.export.axes import Axes, at_batch, free_axes
from mxtrain.export.preprocessing import Scaling
from mxtrain.op.indexing import Embedding, OneHot, Pick, Take
from mxtrain.symbol import Symbol
from mxtrain.symbol.node import Node

Array = np.ndarray[Any, Any]
Feeds = dict[str, Array]

CHUNK = 256
RANDOM_ROWS = 67
_SEED = 20170401


def random_rows(
    symbol: Symbol, inputs: Mapping[str, Axes], scaling: Mapping[str, Scaling], batch: int | None
) -> Feeds:
    """Return rows for each input, drawn from a fixed seed.

    They are normal numbers, spread like the training rows where these were scaled, and whole
    numbers (some of them outside) where an operator takes the input for positions.
    """
    random = np.random.default_rng(_SEED)
    rows = RANDOM_ROWS if batch is None else batch
    limits = _positions(symbol)
    drawn: Feeds = {}
    for name, axes in inputs.items():
        shape = at_batch(axes, rows)
        if name in limits:
            drawn[name] = random.integers(-1, limits[name] + 1, shape).astype(np.float64)
        else:
            drawn[name] = random.normal(size=shape)
        if name in scaling:
            drawn[name] = scaling[name].undo(drawn[name])
    return drawn


def _positions(symbol: Symbol) -> dict[str, int]:
    """Return the variables that operators choose by, with the number of things to choose from."""
    found: dict[str, int] = {}
    for node in symbol.nodes():
        if node.is_variable:
            continue
        place, limit = _place_of_index(node)
        if place is not None and node.inputs[place].node.is_variable:
            found[node.inputs[place].node.name] = limit
    return found


def _place_of_index(node: Node) -> tuple[int | None, int]:
    op: Any = node.operator
    if isinstance(op, Embedding):
        return 0, op.input_dim
    if isinstance(op, OneHot):
        return 0, op.depth
    if isinstance(op, (Take, Pick)):
        return 1, 3  # small enough for most axes
    return None, 0


def count_rows(feeds: Mapping[str, Array], inputs: Mapping[str, Axes], usual: int) -> int:
    """Return how many rows there are; `usual` where nothing follows the batch."""
    free = ((array, free_axes(inputs[name])) for name, array in feeds.items())
    return max((array.shape[axes[0]] for array, axes in free if axes), default=usual)


def chunks(
    feeds: Mapping[str, Array], inputs: Mapping[str, Axes], batch: int | None
) -> Iterator[tuple[int, Feeds]]:
    """Yield (batch size, rows of it): all rows in pieces, and the first row alone.

    With a batch size there are full batches only; rows are repeated to fill the last one.
    `inputs` are shapes with the batch left free.
    """
    axes = {name: free_axes(inputs[name]) for name in feeds}
    rows = count_rows(feeds, inputs, batch or 1)
    if batch is None:
        starts = range(0, rows, CHUNK)
        pieces = [np.arange(start, min(start + CHUNK, rows)) for start in starts]
        pieces += [np.arange(1)] if rows > 1 else []
    else:
        pieces = [np.arange(start, start + batch) for start in range(0, rows, batch)]
    for piece in pieces:
        yield (
            len(piece),
            {
                name: _taken(array, piece, axes[name][0]) if axes[name] else array
                for name, array in feeds.items()
            },
        )


def _taken(array: Array, rows: Array, axis: int) -> Array:
    """Return rows of an input; one with fewer rows than the others begins again."""
    taken: Array = array.take(rows % array.shape[axis], axis)
    return taken
