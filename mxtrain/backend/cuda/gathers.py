"""Elements chosen by number: rows taken, rows added up, elements put."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mxtrain.backend.cuda.expressions import TYPES, filled_in
from mxtrain.backend.cuda.kernel import Kernel, over_elements
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.numpy import Array


@dataclass(frozen=True)
class Gather:
    """``target[a, i, b] = source[a, index[i], b]``; numbers outside take the nearest end.

    All are without gaps. `shape` has the lengths of a, of the axis of the source, and of b.
    """

    source: Array
    index: Array
    target: Array
    shape: tuple[int, int, int]

    @property
    def arrays(self) -> list[Array]:
        """What the device has to see."""
        return [self.source, self.index, self.target]

    def kernels(self) -> list[Kernel]:
        """Return the kernel: a thread per element."""
        kind = TYPES[self.target.dtype.name]
        parameters = ["word length", "word chosen", "word tail"]
        parameters += [f"const {kind}* source", "const word* index", f"{kind}* target"]
        body = (
            "        word row = index[i / tail % chosen];\n"
            "        row = row < 0 ? 0 : row < length ? row : length - 1;\n"
            "        target[i] = source[(i / tail / chosen * length + row) * tail + i % tail];\n"
        )
        words = (self.shape[1], self.index.size, self.shape[2], *map(address_of, self.arrays))
        return [over_elements(self.target.size, parameters, body, words)]


def read_take(arguments: Sequence[Any]) -> Gather | None:
    """Return what ``take(source, index, axis, target, "clip")`` does, None for other uses."""
    if len(arguments) != 5 or arguments[4] != "clip":
        return None
    source, index, axis, target, _ = arguments
    if not _known((source, target), (index,)) or source.dtype != target.dtype:
        return None
    if not source.size or np.may_share_memory(source, target):
        return None
    axis = range(source.ndim)[axis]
    lead, tail = source.shape[:axis], source.shape[axis + 1 :]
    if target.shape != (*lead, *index.shape, *tail):
        return None
    shape = (_size(lead), source.shape[axis], _size(tail))
    return Gather(source, index, target, shape)


@dataclass(frozen=True)
class RowSum:
    """``grad[a, index[i], b] += head[a, i, b]``, for each element in the order of i.

    `after` holds a word for each number, for the time of the two kernels.
    """

    index: Array
    head: Array
    grad: Array
    after: Array

    @property
    def arrays(self) -> list[Array]:
        """What the device has to see."""
        return [self.index, self.head, self.grad, self.after]

    def kernels(self) -> list[Kernel]:
        """Return one that links the places of each number, and one that adds along these links.

        The first compares every two of n numbers at most, n to a thread; the second adds each head
        once, where a number that is there k times is a chain of k sums. No two threads write one
        element, and sums are NumPy's to the bit.
        """
        return [self._links(), self._sums()]

    def _links(self) -> Kernel:
        # The place after this one with the same number, n if there is none; below 0, -1 - that,
        # where this is not the first place of the number.
        body = """\
        word next = i + 1, before = i - 1;
        while (next < n && index[next] != index[i]) ++next;
        while (before >= 0 && index[before] != index[i]) --before;
        after[i] = before < 0 ? next : -1 - next;
"""
        words = (address_of(self.index), address_of(self.after))
        return over_elements(self.index.size, ["const word* index", "word* after"], body, words)

    def _sums(self) -> Kernel:
        kind = TYPES[self.grad.dtype.name]
        _, length, tail = self.grad.shape
        total = filled_in("add", kind, ["total", "head[place]"])
        parameters = ["word length", "word chosen", "word tail", "const word* index"]
        parameters += [f"const {kind}* head", f"{kind}* grad", "const word* after"]
        body = f"""\
        word number = i / tail % chosen, lead = i / tail / chosen;
        if (after[number] >= 0) {{
            {kind}* to = grad + (lead * length + index[number]) * tail + i % tail;
            {kind} total = *to;
            word next = number;
            while (next < chosen) {{
                word place = (lead * chosen + next) * tail + i % tail;
                total = {total};
                next = after[next] < 0 ? -1 - after[next] : after[next];
            }}
            *to = total;
        }}
"""
        words = (length, self.index.size, tail, *map(address_of, self.arrays))
        return over_elements(self.head.size, parameters, body, words)


def read_add_rows(arguments: Sequence[Any]) -> RowSum | None:
    """Return what `mxtrain.backend.indexed.add_rows` does, None where there is no kernel for it."""
    index, head, grad, _, place, _ = arguments
    if not _known((head, grad), (index, place)) or head.dtype != grad.dtype:
        return None
    return RowSum(index, head, grad, place) if index.size and head.size else None


@dataclass(frozen=True)
class Placing:
    """``target[index[i]] = values[i]``; no two numbers are the same."""

    target: Array
    index: Array
    values: Array

    @property
    def arrays(self) -> list[Array]:
        """What the device has to see."""
        return [self.target, self.index, self.values]

    def kernels(self) -> list[Kernel]:
        """Return the kernel: a thread per number."""
        kind = TYPES[self.target.dtype.name]
        parameters = [f"{kind}* target", "const word* index", f"const {kind}* values"]
        body = "        target[index[i]] = values[i];\n"
        return [over_elements(self.index.size, parameters, body, map(address_of, self.arrays))]


def read_put(arguments: Sequence[Any]) -> Placing | None:
    """Return what `mxtrain.backend.indexed.put_distinct` does, None where it has no kernel."""
    target, index, values = arguments
    if not _known((target, values), (index,)) or target.dtype != values.dtype:
        return None
    return Placing(target, index, values) if index.size == values.size else None


def _known(arrays: Sequence[Any], words: Sequence[Any]) -> bool:
    """Whether these are arrays without gaps, of types of the device, and words."""
    return all(
        type(array) is np.ndarray and array.dtype.name in TYPES and array.flags.c_contiguous
        for array in (*arrays, *words)
    ) and all(array.dtype == np.int64 for array in words)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
