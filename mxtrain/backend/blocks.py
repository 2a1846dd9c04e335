"""Update rules on NumPy: every operation runs over a block that stays in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

import numpy as np

from mxtrain.backend import threads
from mxtrain.backend.formula import Program
from mxtrain.backend.numpy import Allocate, Array, Line, Lowering, Rounded, run
from mxtrain.backend.quiet import quiet_context

# Elements of a block: the handful of streams of a rule then stay within the second-level cache.
BLOCK = 32768


class Segment:
    """A rule bound to equally long flat arrays, run in cache-sized blocks.

    Parameters
    ----------
    program, arrays, targets, rounded : as for `NumpyBackend.segment`.
    block : elements of a block; None: as many as stay in the cache.

    `nbytes` is the memory of the scratch registers, which all blocks of a thread use.
    """

    def __init__(
        self,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        rounded: Rounded | None = None,
        block: int | None = None,
    ) -> None:
        size, block = arrays[0].size, block or BLOCK
        parts = threads.count() if size >= threads.SHARED_FROM and block < size else 1
        ends = [size * part // parts for part in range(parts + 1)]
        self._parts = []
        for start, stop in pairwise(ends):
            mine = [array[start:stop] for array in arrays]
            kept = None if rounded is None else (rounded[0], rounded[1][start:stop])
            self._parts.append(_Blocks(program, mine, targets, block, kept))
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
        self,
        program: Program,
        arrays: Sequence[Array],
        targets: Sequence[int],
        block: int,
        rounded: Rounded | None,
    ) -> None:
        size, self._dtype = arrays[0].size, arrays[targets[0]].dtype
        self._length = min(block, size)
        self._registers: list[Array] = []
        # What is of another type is converted into an array that all blocks use.
        converted = {n: self._register() for n, a in enumerate(arrays) if a.dtype != self._dtype}
        own = list(converted.values())
        self._lines: list[Line] = []
        first: Lowering | None = None
        for start in range(0, max(size, 1), block):
            given = [array[start : start + block] for array in arrays]
            parts = list(given)
            for number, register in converted.items():
                parts[number] = register[: len(given[number])]
                self._lines.append(
                    (np.copyto, (parts[number], arrays[number][start : start + block]))
                )
            lowered = Lowering(program, parts, [parts[t] for t in targets], self._allocator())
            self._lines += lowered.lines if first is None else _with_scalars_of(first, lowered)
            first = first or lowered
            if rounded is not None:
                number, array = rounded
                self._lines.append((np.copyto, (array[start : start + block], parts[number])))
        self.nbytes = sum(register.nbytes for register in (*self._registers, *own))
        self._scalars: list[Array] = first.scalars if first else []
        self._scalar_lines: list[Line] = first.scalar_lines if first else []
        self._quiet = quiet_context()

    def _register(self) -> Array:
        return np.empty(self._length, self._dtype)

    def _allocator(self) -> Allocate:
        """Return what hands out the registers, the same ones for every block."""
        numbers = count()

        def allocate(shape: tuple[int, ...], dtype: Any) -> Array:
            number = next(numbers)
            while number >= len(self._registers):
                self._registers.append(self._register())
            flat: Array = self._registers[number].view(dtype)
            return flat[: shape[0]]

        return allocate

    def take(self, scalars: tuple[float, ...]) -> None:
        """Take the values of the scalars and compute what follows from them alone."""
        for box, value in zip(self._scalars, scalars, strict=True):
            box[()] = value
        self._quiet.run(run, self._scalar_lines)

    def run(self) -> None:
        """Run all blocks."""
        self._quiet.run(run, self._lines)


def _with_scalars_of(first: Lowering, other: Lowering) -> list[Line]:
    """Return the lines of a block, reading the scalars that the first block computes."""
    twins = {id(b): a for a, b in zip(first.scalars, other.scalars, strict=True)}
    for (_, mine), (_, theirs) in zip(first.scalar_lines, other.scalar_lines, strict=True):
        twins[id(theirs[-1])] = mine[-1]
    return [
        (kernel, tuple(twins.get(id(argument), argument) for argument in arguments))
        for kernel, arguments in other.lines
    ]
