"""Update rules on NumPy: every operation runs over a block that stays in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mxtrain.backend import threads
from mxtrain.backend.formula import Program
from mxtrain.backend.numpy import Array, Line, Lowering, run
from mxtrain.backend.quiet import quiet_context

# Elements of a block: the handful of streams of a rule then stay within the second-level cache.
BLOCK = 32768


class Segment:
    """A rule bound to equally long flat arrays, run in cache-sized blocks.

    Parameters
    ----------
    program : the traced rule; its outputs replace `targets`.
    arrays : flat arrays of one dtype.
    targets : for each output, the number of the array it replaces.
    block : elements of a block; None: as many as stay in the cache.

    `nbytes` is the memory of the scratch registers, which all blocks of a thread use.
    """

    def __init__(
        self,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        block: int | None = None,
    ) -> None:
        size, block = arrays[0].size, block or BLOCK
        parts = threads.count() if size >= threads.SHARED_FROM and block < size else 1
        ends = [size * part // parts for part in range(parts + 1)]
        self._parts = [
            _Blocks(program, [array[start:stop] for array in arrays], targets, block)
            for start, stop in pairwise(ends)
        ]
        self.nbytes = sum(part.nbytes for part in self._parts)
        self._values: tuple[float, ...] | None = None

    def run(self, scalars: tuple[float, ...]) -> None:
        """Apply the rule once with these scalar values, in the order the rule names them."""
        if scalars != self._values:
            for part in self._parts:
                part.take(scalars)
            self._values = scalars
        if len(self._parts) > 1 and threads.count() > 1:
            threads.run_all([part.run for part in self._parts])
        else:
            for part in self._parts:
                part.run()


class _Blocks:
    """The blocks of a segment that one thread runs."""

    def __init__(
        self, program: Program, arrays: Sequence[Array], targets: Sequence[int], block: int
    ) -> None:
        size = arrays[0].size
        registers: list[Array] = []
        self._lines: list[Line] = []
        self._lowered: list[Lowering] = []
        for start in range(0, max(size, 1), block):
            parts = [array[start : start + block] for array in arrays]
            used = iter(range(1_000_000))

            def allocate(shape: tuple[int, ...], dtype: Any, used: Any = used) -> Array:
                number = next(used)
                while number >= len(registers):
                    registers.append(np.empty(min(block, size), arrays[0].dtype))
                flat: Array = registers[number].view(dtype)
                return flat[: shape[0]]

            lowered = Lowering(program, parts, [parts[t] for t in targets], allocate)
            self._lowered.append(lowered)
            self._lines += lowered.lines
        first = self._lowered[0]
        for other in self._lowered[1:]:
            self._share_scalars(first, other)
        self.nbytes = sum(register.nbytes for register in registers)
        self._scalars, self._scalar_lines = first.scalars, first.scalar_lines
        self._quiet = quiet_context()

    def _share_scalars(self, first: Lowering, other: Lowering) -> None:
        """Let every block read the scalars that the first block computes."""
        twins = {id(b): a for a, b in zip(first.scalars, other.scalars, strict=True)}
        for (_, mine), (_, theirs) in zip(first.scalar_lines, other.scalar_lines, strict=True):
            twins[id(theirs[-1])] = mine[-1]
        renamed = [
            (kernel, tuple(twins.get(id(argument), argument) for argument in arguments))
            for kernel, arguments in other.lines
        ]
        start = sum(len(lowered.lines) for lowered in self._lowered[: self._lowered.index(other)])
        self._lines[start : start + len(renamed)] = renamed

    def take(self, scalars: tuple[float, ...]) -> None:
        """Take the values of the scalars and compute what follows from them alone."""
        for box, value in zip(self._scalars, scalars, strict=True):
            box[()] = value
        self._quiet.run(run, self._scalar_lines)

    def run(self) -> None:
        """Run all blocks."""
        self._quiet.run(run, self._lines)
