"""Kernels for the pieces of a plan: element by element, along rows and along columns."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from mxtrain.backend.compiled.lines import Pointwise, Reduction, Transposition, joined, place_of
from mxtrain.backend.cuda.expressions import TYPES, filled_in, gives_truth
from mxtrain.backend.cuda.kernel import Kernel, function, over_elements
from mxtrain.backend.cuda.numbers import converted
from mxtrain.backend.numpy import Array

# Half of the digits of float16 would be lost in a long sum; NumPy adds in float32 too.
_SUMMED_IN = {"half": "float"}
# Threads along a row, and along a column, of a matrix that is summed.
WIDE, HIGH = 32, 16
_STARTS = {"add": "0", "maximum": "-INFINITY"}


def pointwise(group: Sequence[Pointwise]) -> Kernel:
    """Return a kernel that runs pieces over arrays of one shape, point by point."""
    arrays: list[Array] = []
    for piece in group:
        arrays += [a for a in (*piece.operands, piece.target) if place_of(a, arrays) is None]
    lengths, strides = joined(arrays)
    types = [TYPES[array.dtype.name] for array in arrays]
    parameters = [f"{kind}* p{number}" for number, kind in enumerate(types)]
    words = [address_of(array) for array in arrays]

    def number(value: int) -> str:
        parameters.append(f"word z{len(parameters)}")
        words.append(value)
        return parameters[-1].split()[1]

    body = ""
    offsets = ["0"] * len(arrays)
    rest = "i"
    for level in reversed(range(len(lengths))):
        place = rest
        if level:
            size = number(lengths[level])
            body += f"        word c{level} = {rest} % {size}, r{level} = {rest} / {size};\n"
            place, rest = f"c{level}", f"r{level}"
        for at, stride in enumerate(strides):
            if stride[level]:
                step = place if stride[level] == 1 else f"{place} * {number(stride[level])}"
                offsets[at] = step if offsets[at] == "0" else f"{offsets[at]} + {step}"
    body += _points(group, arrays, types, offsets)
    return over_elements(prod(lengths), parameters, body, words)


def _points(
    group: Sequence[Pointwise], arrays: list[Array], types: list[str], offsets: list[str]
) -> str:
    """Return the statements for one point."""
    body, values, made = "", {}, 0
    for piece in group:
        kind = TYPES[piece.dtype.name]
        names = []
        for operand in piece.operands:
            at = _place(operand, arrays)
            if at not in values:
                made += 1
                values[at] = f"v{made}"
                body += f"        {types[at]} v{made} = p{at}[{offsets[at]}];\n"
            names.append(converted(values[at], types[at], kind))
        target = _place(piece.target, arrays)
        made += 1
        of = "truth" if gives_truth(piece.op) else kind
        result = converted(filled_in(piece.op, kind, names), of, types[target])
        body += f"        {types[target]} v{made} = {result};\n"
        body += f"        p{target}[{offsets[target]}] = v{made};\n"
        values[target] = f"v{made}"
    return body


def _place(array: Array, arrays: list[Array]) -> int:
    place = place_of(array, arrays)
    if place is None:
        raise AssertionError("every array of a group is among its arrays")
    return place


def transposition(piece: Transposition) -> Kernel:
    """Return a kernel that copies a matrix into another order."""
    return pointwise([Pointwise("copy", piece.target.dtype, (piece.source,), piece.target)])


def reduction(piece: Reduction) -> Kernel:
    """Return a kernel for the sums or maxima of rows or columns, in an order that never changes."""
    stored = TYPES[piece.source.dtype.name]
    kind = _SUMMED_IN.get(stored, stored)
    lines = _along_row if piece.inner else _along_column
    combine = filled_in(piece.op, kind, ["total", "next"])
    result = "total" if kind == stored else f"{stored}(total)"
    body = lines(kind, f"{kind}({_STARTS[piece.op]})", combine, result)
    parameters = [f"const {stored}* source", f"{stored}* target", "word rows", "word columns"]
    words = (address_of(piece.source), address_of(piece.target), piece.rows, piece.columns)
    across = (piece.rows, HIGH) if piece.inner else (piece.columns, WIDE)
    blocks = -(-across[0] // across[1])
    return Kernel(function(parameters, body), blocks, (WIDE, HIGH), words)


def _along_row(kind: str, start: str, combine: str, result: str) -> str:
    """A row for each line of threads: every thread takes each 32nd element, one adds these up."""
    return f"""\
    SHARED {kind} part[{HIGH}][{WIDE}];
    PHASE {{
        word row = (word)BLOCK * {HIGH} + Y;
        {kind} total = {start};
        if (row < rows) for (word i = X; i < columns; i += {WIDE}) {{
            {kind} next = source[row * columns + i];
            total = {combine};
        }}
        part[Y][X] = total;
    }}
    NEXT_PHASE
    PHASE if (X == 0 && (word)BLOCK * {HIGH} + Y < rows) {{
        {kind} total = part[Y][0];
        for (int i = 1; i < {WIDE}; ++i) {{
            {kind} next = part[Y][i];
            total = {combine};
        }}
        target[(word)BLOCK * {HIGH} + Y] = {result};
    }}
"""


def _along_column(kind: str, start: str, combine: str, result: str) -> str:
    """A column for each row of threads: every thread takes each 16th element, one adds these up."""
    return f"""\
    SHARED {kind} part[{HIGH}][{WIDE}];
    PHASE {{
        word column = (word)BLOCK * {WIDE} + X;
        {kind} total = {start};
        if (column < columns) for (word i = Y; i < rows; i += {HIGH}) {{
            {kind} next = source[i * columns + column];
            total = {combine};
        }}
        part[Y][X] = total;
    }}
    NEXT_PHASE
    PHASE if (Y == 0 && (word)BLOCK * {WIDE} + X < columns) {{
        {kind} total = part[0][X];
        for (int i = 1; i < {HIGH}; ++i) {{
            {kind} next = part[i][X];
            total = {combine};
        }}
        target[(word)BLOCK * {WIDE} + X] = {result};
    }}
"""


def address_of(array: Array) -> int:
    """Return the address of the first element."""
    address: int = array.__array_interface__["data"][0]
    return address
