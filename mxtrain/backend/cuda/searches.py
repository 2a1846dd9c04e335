"""Where the extreme of each row stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mxtrain.backend.cuda.expressions import TYPES
from mxtrain.backend.cuda.kernel import Kernel, function
from mxtrain.backend.cuda.numbers import converted, is_whole
from mxtrain.backend.cuda.pieces import HIGH, WIDE, address_of
from mxtrain.backend.numpy import Array

_BETTER = {"argmax": ">", "argmin": "<"}


@dataclass(frozen=True)
class Search:
    """``target[i]`` is where the extreme of row i stands, the first of several; NaN is extreme."""

    op: str
    rows: Array
    target: Array

    @property
    def arrays(self) -> list[Array]:
        """What the device has to see."""
        return [self.rows, self.target]

    def kernels(self) -> list[Kernel]:
        """Return the kernel: a line of threads for each row."""
        stored = TYPES[self.rows.dtype.name]
        parameters = [f"const {stored}* source", "word* target", "word rows", "word columns"]
        words = (*map(address_of, self.arrays), *self.rows.shape)
        kind = "float" if stored == "half" else stored
        source = function(parameters, _body(stored, kind, _BETTER[self.op]))
        return [Kernel(source, -(-len(self.rows) // HIGH), (WIDE, HIGH), words)]


def _body(stored: str, kind: str, better: str) -> str:
    """Every thread searches each 32nd element; one compares what they found.

    Among equals the lower place is taken, so that the threads' order does not matter.
    """
    wins = f"next {better} best || (next == best && i < place)"
    if not is_whole(kind) and kind != "truth":
        # Whether one is NaN; of two the first.
        wins = f"(next != next ? best == best || i < place : best == best && ({wins}))"
    read = converted("source[row * columns + i]", stored, kind)
    return f"""\
    SHARED {kind} values[{HIGH}][{WIDE}];
    SHARED word places[{HIGH}][{WIDE}];
    PHASE {{
        word row = (word)BLOCK * {HIGH} + Y, place = X;
        if (row < rows && X < columns) {{
            word i = X;
            {kind} best = {read};
            for (i += {WIDE}; i < columns; i += {WIDE}) {{
                {kind} next = {read};
                if ({wins}) best = next, place = i;
            }}
            values[Y][X] = best;
        }}
        places[Y][X] = place;
    }}
    NEXT_PHASE
    PHASE if (X == 0 && (word)BLOCK * {HIGH} + Y < rows) {{
        {kind} best = values[Y][0];
        word place = places[Y][0];
        for (int other = 1; other < {WIDE} && other < columns; ++other) {{
            {kind} next = values[Y][other];
            word i = places[Y][other];
            if ({wins}) best = next, place = i;
        }}
        target[(word)BLOCK * {HIGH} + Y] = place;
    }}
"""


def read_search(kernel: Callable[..., Any], arguments: Sequence[Any]) -> Search | None:
    """Return what ``argmax(rows, 1, target)`` or ``argmin`` does, None where it is not known."""
    if len(arguments) != 3:
        return None
    rows, axis, target = arguments
    if not all(type(a) is np.ndarray and a.flags.c_contiguous for a in (rows, target)):
        return None
    if rows.ndim != 2 or axis != 1 or not rows.size or target.dtype != np.int64:
        return None
    known = rows.dtype.name in TYPES
    return Search(kernel.__name__, rows, target) if known else None
