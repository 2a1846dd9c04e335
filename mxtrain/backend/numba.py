"""The Numba backend: NumPy's, with runs of lines and update rules compiled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mxtrain.backend.compiled import cache
from mxtrain.backend.compiled.calls import address_of
from mxtrain.backend.compiled.lines import NUMBERS, Piece, Product, read_line
from mxtrain.backend.compiled.products import addresses
from mxtrain.backend.compiled.rules import CompiledSegment
from mxtrain.backend.compiled.source import Writer
from mxtrain.backend.compiled.team import table
from mxtrain.backend.formula import Program
from mxtrain.backend.numpy import (
    Array,
    Line,
    NumpyBackend,
    Rounded,
    RunnableRule,
    RunnableSteps,
    StepParts,
)

# Shorter functions compile in less time together, and repeated layers share them.
LONGEST_RUN = 8


class NumbaBackend(NumpyBackend):
    """Kernels on the host, compiled where that is possible and NumPy's elsewhere."""

    name = "numba"
    compiles = True

    def segment(
        self,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        rounded: Rounded | None = None,
    ) -> RunnableRule:
        """Bind an update rule to flat arrays; NumPy's blocks where any of them is float16."""
        if rounded is not None or any(array.dtype not in NUMBERS for array in arrays):
            return super().segment(program, arrays, targets, rounded)
        return CompiledSegment(program, arrays, targets)

    def join(self, lines: Sequence[Line]) -> tuple[list[Line], list[Array]]:
        """Return lines that do the same, runs of compilable ones as a single call each.

        Compiled calls know addresses only: the caller keeps the arrays of the given lines
        alive, and those returned beside the lines.
        """
        kept: list[Array] = []
        joined: list[Line] = []
        run: list[tuple[Line, Piece]] = []
        for line in lines:
            piece = self._piece(line)
            if piece is None or len(run) == LONGEST_RUN:
                joined += self._compiled(run, kept)
                run = []
            if piece is None:
                joined.append(line)
            else:
                run.append((line, piece))
        return [*joined, *self._compiled(run, kept)], kept

    def steps(self, parts: StepParts) -> RunnableSteps | None:
        """Return a driver of compiled functions, None where not everything is compiled."""
        forward, backward = map(_calls, parts.passes)
        if any(array.dtype not in NUMBERS for array in parts.gradients):
            return None
        if forward is None or backward is None or not all(hasattr(r, "entry") for r in parts.rules):
            return None
        from mxtrain.backend.compiled.driver import Steps

        return Steps(parts, forward, backward)

    def _piece(self, line: Line) -> Piece | None:
        piece = read_line(line)
        if isinstance(piece, Product) and addresses() is None:
            return None
        return piece

    def _compiled(self, run: Sequence[tuple[Line, Piece]], kept: list[Array]) -> list[Line]:
        if not run:
            return []
        writer = Writer([piece for _, piece in run])
        function = cache.compiled(lambda keep: writer.source(cache.NAME, keep))
        lists = (writer.addresses, writer.numbers, table())
        tables = [np.array(words or [0], np.int64) for words in lists]
        kept += tables
        return [(function, tuple(array.ctypes.data for array in tables))]


def _calls(lines: Sequence[Line]) -> list[tuple[int, ...]] | None:
    """Return compiled lines as addresses to call and their arguments, None if any is not."""
    found: list[tuple[int, ...]] = []
    for function, arguments in lines:
        if not cache.is_compiled(function):
            return None
        found.append((address_of(function), *arguments))
    return found
