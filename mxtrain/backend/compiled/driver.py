"""Several training steps in one compiled call.

What a step consists of is in tables, so one driver serves every network: functions compiled from
the plan and the update rules, buffers to gather rows into, outputs to look at and to keep.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import float32, float64, njit

from mxtrain.backend.compiled.calls import call3, move
from mxtrain.backend.compiled.pointers import (
    load_float32,
    load_float64,
    load_uint8,
    put_word,
    store_float32,
    word_of,
)
from mxtrain.backend.compiled.team import helpers, share_update
from mxtrain.backend.numpy import Array, StepParts, Taken

_WORD = 8  # bytes of an entry of a table


class Steps:
    """The tables of a training step. All arrays are C-contiguous; the caller keeps them alive.

    Parameters
    ----------
    parts : what a step consists of. Rules tell the address of their function and its arguments
        (`entry`); the number of the step is counted up before every step.
    forward, backward : addresses of compiled functions with their three arguments.
    """

    def __init__(
        self,
        parts: StepParts,
        forward: Sequence[tuple[int, ...]],
        backward: Sequence[tuple[int, ...]],
    ) -> None:
        self._step, self._size = parts.step, parts.size
        self._kept_bytes = [array.nbytes for array in parts.kept]
        self._gathered = _table([_gather_entry(*each) for each in parts.gathered])
        self._forward, self._backward = _table(forward), _table(backward)
        self._looked_at, self._gradients = (
            _table([(_at(a), a.size, a.itemsize) for a in arrays])
            for arrays in (parts.looked_at, parts.gradients)
        )
        self._rules = [rule.entry() for rule in parts.rules]
        self._longest = max((rule.size for rule in parts.rules), default=0)
        self._kept = [_at(array) for array in parts.kept]

    def run(self, rows: Array, scalars: Sequence[Array], targets: Sequence[Array]) -> Taken:
        """Run a step for each row of `rows`; see `mxtrain.backend.numpy.RunnableSteps`."""
        rules = [
            (*rule, _at(row), row.strides[0])
            for rule, row in zip(self._rules, scalars, strict=True)
        ]
        copies = [
            (source, _at(target), size)
            for source, target, size in zip(self._kept, targets, self._kept_bytes, strict=True)
        ]
        tables = [
            self._gathered,
            self._forward,
            self._backward,
            self._looked_at,
            self._gradients,
            _table(rules),
            _table(copies),
        ]
        words = [len(rows), self._size, _at(self._step), _at(rows), *map(_at, tables)]
        words += helpers(self._longest)
        done: int = _drive(*words)
        return Taken(done, False) if done >= 0 else Taken(-1 - done, True)


def _at(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _table(entries: Sequence[Sequence[int]]) -> Array:
    """Return the entries behind their number."""
    return np.array([len(entries), *(word for entry in entries for word in entry)], np.int64)


def _gather_entry(
    source: Array, target: Array, scaling: tuple[Array, Array] | None
) -> tuple[int, ...]:
    elements = source[:1].size
    from_bytes = source.dtype == np.uint8 and target.dtype == np.float32
    offset, factor = (0, 0) if scaling is None else map(_at, scaling)
    return _at(source), _at(target), elements, 1 if from_bytes else target.itemsize, offset, factor


# The functions below are machine code, kept beside this file by Numba. A table is an address: the
# number of its entries, then the words of each entry.


@njit("void(int64, int64, int64)", nogil=True, error_model="numpy", cache=True)
def _gather(table, rows, size):  # type: ignore[no-untyped-def]
    """Copy rows into buffers; bytes become floats, scaled or as they are."""
    for entry in range(word_of(table, 0)):
        at = 1 + 6 * entry
        source, target = word_of(table, at), word_of(table, at + 1)
        elements, itemsize = word_of(table, at + 2), word_of(table, at + 3)
        offsets, factors = word_of(table, at + 4), word_of(table, at + 5)
        for number in range(size):
            row = word_of(rows, number)
            if itemsize > 1:
                width = elements * itemsize
                move(target + number * width, source + row * width, width)
                continue
            begin, to = source + row * elements, target + 4 * number * elements
            if offsets == 0:
                for i in range(elements):
                    store_float32(to, i, float32(load_uint8(begin, i, 0, 2)), 1, 2)
                continue
            for i in range(elements):
                shifted = float64(load_uint8(begin, i, 0, 2)) - load_float64(offsets, i, 0, 2)
                scaled = float32(shifted * load_float64(factors, i, 0, 2))
                store_float32(to, i, scaled, 1, 2)


@njit("boolean(int64)", nogil=True, error_model="numpy", cache=True)
def _is_finite(table):  # type: ignore[no-untyped-def]
    """Whether the sum of squares of every array is finite."""
    total = 0.0
    for entry in range(word_of(table, 0)):
        address, count = word_of(table, 1 + 3 * entry), word_of(table, 2 + 3 * entry)
        single = word_of(table, 3 + 3 * entry) == 4
        for i in range(count):
            value = load_float32(address, i, 0, 1) if single else load_float64(address, i, 0, 1)
            # An element that is not finite stays so through any sum of these.
            total += 0.0 * value
    return total == 0.0


@njit("void(int64)", nogil=True, error_model="numpy", cache=True)
def _call_each(table):  # type: ignore[no-untyped-def]
    """Call functions that take three words."""
    for entry in range(word_of(table, 0)):
        at = 1 + 4 * entry
        function, first, second = word_of(table, at), word_of(table, at + 1), word_of(table, at + 2)
        call3(function, (first, second, word_of(table, at + 3)))


@njit("int64(" + ", ".join(["int64"] * 13) + ")", nogil=True, error_model="numpy", cache=True)
def _drive(  # type: ignore[no-untyped-def]
    steps,
    size,
    running,
    rows,
    gathered,
    forward,
    backward,
    looked_at,
    gradients,
    rules,
    copies,
    team,
    most,
):
    """Run steps until one is not finite, and return how many were run to their end.

    Where it was a gradient that is not finite, -1 minus this number.
    """
    for step in range(steps):
        put_word(running, 0, word_of(running, 0) + 1)
        _gather(gathered, rows + _WORD * step * size, size)
        _call_each(forward)
        if not _is_finite(looked_at):
            return step
        for entry in range(word_of(copies, 0)):
            source, target = word_of(copies, 1 + 3 * entry), word_of(copies, 2 + 3 * entry)
            width = word_of(copies, 3 + 3 * entry)
            move(target + step * width, source, width)
        _call_each(backward)
        if not _is_finite(gradients):
            return -1 - step
        for entry in range(word_of(rules, 0)):
            at = 1 + 6 * entry
            scalars = word_of(rules, at + 4) + step * word_of(rules, at + 5)
            arrays, start, stop = (
                word_of(rules, at + 1),
                word_of(rules, at + 2),
                word_of(rules, at + 3),
            )
            share_update(team, most, word_of(rules, at), arrays, start, stop, scalars)
    return steps
