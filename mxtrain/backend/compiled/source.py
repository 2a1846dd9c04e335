"""Source of a function that does what a list of pieces says.

A function takes the addresses of three tables of whole numbers: addresses of arrays, lengths and
strides, and what matrix products are found by. So functions for other batch sizes have the same
source.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.array_utils import byte_bounds

from mxtrain.backend.compiled.expressions import EXPRESSIONS, IN_SINGLE
from mxtrain.backend.compiled.lines import (
    Piece,
    Pointwise,
    Product,
    Reduction,
    Transposition,
    Uniform,
    arrays_of,
    grouped,
    joined,
    place_of,
)
from mxtrain.backend.compiled.products import DOUBLE, SHARED, SINGLE
from mxtrain.backend.numpy import Array

HEADER = """\
import math

import numpy as np
from numba import float32, float64, njit, uint8

from mxtrain.backend.compiled.calls import call13
from mxtrain.backend.compiled.functions import exp_float32, expm1_float32, tanh_float32
from mxtrain.backend.compiled.matrices import transpose_float32
from mxtrain.backend.compiled.philox import uniform_float32
from mxtrain.backend.compiled.products import multiply_float32, multiply_float64
from mxtrain.backend.compiled.pointers import (
    load_float32,
    load_float64,
    load_uint8,
    number_of,
    store_float32,
    store_float64,
    store_uint8,
    word_of,
)

"""
SIGNATURE = "void(int64, int64, int64)"
# Rows are summed in so many parts at once: that is what fits a vector register.
LANES = 8
# Columns summed together, so that their sums stay in registers.
_NAMES = {"float32": "float32", "float64": "float64", "bool": "uint8"}


class Regions:
    """Numbers arrays, in their order, so that different numbers have no memory in common."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self._starts: list[int] = []
        end = -1
        for start, stop in sorted({byte_bounds(array) for array in arrays}):
            if start >= end:
                self._starts.append(start)
            end = max(end, stop)
        # By first appearance: addresses differ between runs, the source must not.
        self._numbers: dict[int, int] = {}
        for array in arrays:
            self._numbers.setdefault(self._span(array), len(self._numbers))

    def __len__(self) -> int:
        return len(self._starts)

    def _span(self, array: Array) -> int:
        return int(np.searchsorted(self._starts, byte_bounds(array)[0], "right"))

    def of(self, array: Array) -> int:
        """Return the number of an array."""
        return self._numbers[self._span(array)]


class Writer:
    """Writes a function for pieces, and the tables it is to be called with."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.addresses: list[int] = []
        self.numbers: list[int] = []
        self._lines: list[str] = []
        self._depth = 1
        self._names = 0
        self._regions = Regions([array for piece in pieces for array in arrays_of(piece)])
        for group in grouped(pieces):
            first = group[0]
            if isinstance(first, Product):
                self._product(first)
            elif isinstance(first, Reduction):
                self._reduction(first)
            elif isinstance(first, Transposition):
                self._transposition(first)
            elif isinstance(first, Uniform):
                self._uniform(first)
            else:
                self._pointwise([piece for piece in group if isinstance(piece, Pointwise)])

    def source(self, name: str, cache: bool) -> str:
        """Return the text of the function."""
        head = f'@njit("{SIGNATURE}", nogil=True, error_model="numpy", cache={cache})\n'
        return head + f"def {name}(P, Z, B):\n" + "\n".join(self._lines) + "\n"

    # -- text --------------------------------------------------------------------------------

    def _add(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def _new(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def _address(self, array: Array) -> str:
        """Return a variable with the address of an array."""
        name = self._new("p")
        self._add(f"{name} = word_of(P, {len(self.addresses)})")
        self.addresses.append(array.__array_interface__["data"][0])
        return name

    def _number(self, value: int) -> str:
        """Return a variable with a length or stride, which a later call may give another value."""
        name = self._new("z")
        self._add(f"{name} = word_of(Z, {len(self.numbers)})")
        self.numbers.append(int(value))
        return name

    def _loop(self, count: str, start: str = "0") -> str:
        """Open a loop and return its variable."""
        name = self._new("i")
        self._add(f"for {name} in range({start}, {count}):")
        self._depth += 1
        return name

    def _end(self, loops: int = 1) -> None:
        self._depth -= loops

    def _load(self, array: Array, address: str, index: str) -> str:
        where = f"{self._regions.of(array)}, {len(self._regions)}"
        return f"load_{_NAMES[array.dtype.name]}({address}, {index}, {where})"

    def _store(self, array: Array, address: str, index: str, value: str) -> None:
        where = f"{self._regions.of(array)}, {len(self._regions)}"
        kind = _NAMES[array.dtype.name]
        self._add(f"store_{kind}({address}, {index}, {kind}({value}), {where})")

    # -- element by element ------------------------------------------------------------------

    def _pointwise(self, group: Sequence[Pointwise]) -> None:
        arrays: list[Array] = []
        for piece in group:
            arrays += [a for a in (*piece.operands, piece.target) if place_of(a, arrays) is None]
        lengths, strides = joined(arrays)
        bases = [self._address(array) for array in arrays]
        counts = [self._number(length) for length in lengths]
        offsets = ["0"] * len(arrays)
        for level, count in enumerate(counts):
            steps = [self._step(stride[level]) for stride in strides]
            index = self._loop(count)
            is_last = level == len(counts) - 1
            offsets = [
                self._moved(offset, step, index, is_last)
                for offset, step in zip(offsets, steps, strict=True)
            ]
        self._body(group, arrays, bases, offsets)
        self._end(len(counts))

    def _step(self, stride: int) -> str:
        """Return a stride as text: 0 and 1 are part of the source, others are not."""
        return str(stride) if stride in (0, 1) else self._number(stride)

    def _moved(self, offset: str, step: str, index: str, is_last: bool) -> str:
        if step == "0":
            return offset
        moved = index if step == "1" else f"{index} * {step}"
        moved = moved if offset == "0" else f"{offset} + {moved}"
        if is_last:
            return moved
        name = self._new("o")
        self._add(f"{name} = {moved}")
        return name

    def _body(
        self,
        group: Sequence[Pointwise],
        arrays: Sequence[Array],
        bases: Sequence[str],
        offsets: Sequence[str],
    ) -> None:
        values: dict[int, str] = {}
        for piece in group:
            kind = _NAMES[piece.dtype.name]
            names = []
            for operand in piece.operands:
                number = place_of(operand, arrays)
                if number is None:
                    raise AssertionError("every operand of a group is among its arrays")
                if number not in values:
                    values[number] = self._new("v")
                    load = self._load(operand, bases[number], offsets[number])
                    self._add(f"{values[number]} = {load}")
                names.append(f"{kind}({values[number]})")
            result = self._new("v")
            self._add(f"{result} = {filled_in(piece.op, kind, names)}")
            target = place_of(piece.target, arrays)
            if target is None:
                raise AssertionError("the target of a group is among its arrays")
            stored = self._new("v")
            self._add(f"{stored} = {_NAMES[piece.target.dtype.name]}({result})")
            self._store(piece.target, bases[target], offsets[target], stored)
            values[target] = stored

    # -- along rows and columns --------------------------------------------------------------

    def _reduction(self, piece: Reduction) -> None:
        source, target = self._address(piece.source), self._address(piece.target)
        rows, columns = self._number(piece.rows), self._number(piece.columns)
        if piece.inner:
            self._along_rows(piece, source, target, rows, columns)
        else:
            self._along_columns(piece, source, target, rows, columns)

    def _along_rows(
        self, piece: Reduction, source: str, target: str, rows: str, columns: str
    ) -> None:
        kind = _NAMES[piece.source.dtype.name]
        lanes = [self._new("s") for _ in range(LANES)]
        total, whole = self._new("s"), self._new("w")
        start = "0" if piece.op == "add" else "-np.inf"
        row = self._loop(rows)
        offset = self._new("o")
        self._add(f"{offset} = {row} * {columns}")
        self._add(f"{whole} = {columns} // {LANES} * {LANES}")
        for lane in lanes:
            self._add(f"{lane} = {kind}({start})")
        block = self._new("i")
        self._add(f"for {block} in range(0, {whole}, {LANES}):")
        self._depth += 1
        for number, lane in enumerate(lanes):
            element = self._load(piece.source, source, f"{offset} + {block} + {number}")
            self._add(f"{lane} = {filled_in(piece.op, kind, [lane, element])}")
        self._end()
        # The tree adds neighbours, as the lanes of a register are added.
        while len(lanes) > 1:
            for one, other in zip(lanes[::2], lanes[1::2], strict=True):
                self._add(f"{one} = {filled_in(piece.op, kind, [one, other])}")
            lanes = lanes[::2]
        self._add(f"{total} = {lanes[0]}")
        rest = self._loop(columns, whole)
        element = self._load(piece.source, source, f"{offset} + {rest}")
        self._add(f"{total} = {filled_in(piece.op, kind, [total, element])}")
        self._end()
        self._store(piece.target, target, row, total)
        self._end()

    def _along_columns(
        self, piece: Reduction, source: str, target: str, rows: str, columns: str
    ) -> None:
        kind = _NAMES[piece.source.dtype.name]
        column = self._loop(columns)
        self._store(piece.target, target, column, self._load(piece.source, source, column))
        self._end()
        row = self._loop(rows, "1")
        offset = self._new("o")
        self._add(f"{offset} = {row} * {columns}")
        column = self._loop(columns)
        so_far, element = self._new("v"), self._new("v")
        self._add(f"{so_far} = {self._load(piece.target, target, column)}")
        self._add(f"{element} = {self._load(piece.source, source, f'{offset} + {column}')}")
        value = filled_in(piece.op, kind, [so_far, element])
        self._store(piece.target, target, column, value)
        self._end(2)

    # -- matrix products ---------------------------------------------------------------------

    def _product(self, piece: Product) -> None:
        left, right = self._address(piece.left), self._address(piece.right)
        target = self._address(piece.target)
        rows, inner = (self._number(n) for n in piece.left.shape)
        columns = self._number(piece.target.shape[1])
        of_left = rows if piece.transposed[0] else inner
        of_right = inner if piece.transposed[1] else columns
        flags = ", ".join(str(int(flag)) for flag in piece.transposed)
        number = SINGLE if piece.dtype == np.float32 else DOUBLE
        words = f"{flags}, {rows}, {columns}, {inner}, {left}, {of_left}, {right}, {of_right}, "
        words += f"{target}, {columns}"
        self._add(f"if {rows} * {columns} * {inner} < {SHARED}:")
        self._add(f"    multiply_{piece.dtype.name}(word_of(B, {number}), {words})")
        self._add("else:")
        self._add(f"    call13(word_of(B, 0), (B, {number}, {words}))")

    def _transposition(self, piece: Transposition) -> None:
        source, target = self._address(piece.source), self._address(piece.target)
        rows, columns = (self._number(n) for n in piece.target.shape)
        self._add(f"transpose_float32({source}, {target}, {columns}, {rows})")

    def _uniform(self, piece: Uniform) -> None:
        step, target = self._address(piece.source.step), self._address(piece.target)
        keys = [self._number(int(np.uint64(word).astype(np.int64))) for word in piece.source.key]
        count = self._number(piece.target.size)
        arguments = ", ".join([*keys, f"word_of({step}, 0)", target, count])
        self._add(f"uniform_float32({arguments})")


def filled_in(op: str, kind: str, operands: Sequence[str]) -> str:
    """Return the text of an operation over operands of a type.

    >>> filled_in("multiply", "float32", ["x", "y"])
    'x * y'
    """
    scope = {"F": kind, **dict(zip("abc", operands, strict=False))}
    text = EXPRESSIONS[op].text
    if kind == "float32":
        text = IN_SINGLE.get(op, text)
    return "".join(scope.get(word, word) for word in _words(text))


def _words(text: str) -> list[str]:
    """Cut source text into names and what is between them."""
    import re

    return re.split(r"(?<![\w.])([Fabc])(?!\w)", text)
