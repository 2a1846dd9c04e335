"""What the lines of a plan do, in terms that source can be written from.

A line is a kernel (mostly a NumPy ufunc) and its arguments. `read_line` recognises element-wise
operations, sums and maxima along rows or columns, matrix products, copies and random numbers over
float32, float64, truth values and, where the reader has kernels for it, float16. It gives None for
everything else: such lines run as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mxtrain.backend.compiled.expressions import EXPRESSIONS, IN_SINGLE, ON_TRUTH_VALUES, SLOW
from mxtrain.backend.numpy import Array, Line, greater_of, lesser_of, select
from mxtrain.backend.special import erf
from mxtrain.backend.uniform import RandomSource, fill_uniform

# Names of the kernels that are functions of our own.
_OWN = {greater_of: "maximum", lesser_of: "minimum", select: "where", erf: "erf"}
NUMBERS = (np.dtype(np.float32), np.dtype(np.float64))


class Limits(NamedTuple):
    """Sizes and types beyond which a line is left to NumPy.

    slow, slow_in_single : elements of an operation of many instructions, in double precision, and
        in single precision where it has vector instructions. row : elements of a row that is
        summed. numbers : the types of numbers; truth values are always read.
    """

    slow: float = math.inf
    slow_in_single: float = math.inf
    row: float = math.inf
    numbers: tuple[np.dtype[Any], ...] = NUMBERS


# Beyond the first two NumPy is faster, also beside the cost of a call of its own. One accumulator
# per eight elements loses precision on longer rows; NumPy sums those in pairs.
PROCESSOR = Limits(slow=256, slow_in_single=16384, row=4096)
# A GPU is fast at all sizes, and computes with float16 what it computes with the others.
GPU = Limits(numbers=(*NUMBERS, np.dtype(np.float16)))


@dataclass(frozen=True)
class Pointwise:
    """``target = op(operands)`` at every point, computed in `dtype`.

    The operands have the target's shape; where they are repeated their strides are 0.
    """

    op: str
    dtype: np.dtype[Any]
    operands: tuple[Array, ...]
    target: Array


@dataclass(frozen=True)
class Reduction:
    """Sum or maximum of the elements of each row (`inner`), or each column, of a matrix."""

    op: str
    source: Array
    target: Array
    rows: int
    columns: int
    inner: bool


@dataclass(frozen=True)
class Product:
    """``target = left @ right`` of matrices, either of them possibly transposed."""

    dtype: np.dtype[Any]
    left: Array
    right: Array
    target: Array
    transposed: tuple[bool, bool]


@dataclass(frozen=True)
class Transposition:
    """``target = source`` where two matrices of numbers, both without gaps, differ in their order.

    Both are float32, or both float16. `source` is the transposed view of a C-contiguous matrix.
    """

    source: Array
    target: Array


@dataclass(frozen=True)
class Uniform:
    """``target`` is filled with the float32 random numbers of a source's running step."""

    source: RandomSource
    target: Array


Piece = Pointwise | Reduction | Product | Transposition | Uniform


def read_line(line: Line, limits: Limits = PROCESSOR) -> Piece | None:
    """Return what a line does, None where that cannot be compiled."""
    kernel, arguments = line
    if kernel is np.dot:
        return _product(arguments, limits)
    if kernel is np.copyto:
        return _copy(arguments, limits)
    if kernel is fill_uniform:
        source, target = arguments
        fits = target.dtype == np.float32 and target.flags.c_contiguous
        return Uniform(source, target) if fits else None
    if isinstance(kernel, np.ufunc):
        return _pointwise(kernel.__name__, arguments, limits)
    if kernel in _OWN:
        return _pointwise(_OWN[kernel], arguments, limits)
    owner = getattr(kernel, "__self__", None)
    if isinstance(owner, np.ufunc) and kernel.__name__ == "reduce":
        return _reduction(owner, arguments, limits)
    return None


def _pointwise(op: str, arguments: Sequence[Any], limits: Limits) -> Pointwise | None:
    if op not in EXPRESSIONS or not _are_arrays(arguments, limits):
        return None
    *operands, target = arguments
    expression = EXPRESSIONS[op]
    if len(operands) != expression.arity:
        return None
    dtype = np.result_type(*operands)
    in_single = op in IN_SINGLE and dtype == np.float32
    if op in SLOW and target.size > (limits.slow_in_single if in_single else limits.slow):
        return None
    if dtype == np.bool_ and op not in ON_TRUTH_VALUES:
        return None
    return at_every_point(op, dtype, operands, target)


def _copy(arguments: Sequence[Any], limits: Limits) -> Piece | None:
    target, source = arguments[:2]
    if len(arguments) > 3 or not _are_arrays((target, source), limits):
        return None
    if target.dtype == np.bool_ != source.dtype:
        return None
    if _is_transposition(source, target):
        return Transposition(source, target)
    return at_every_point("copy", target.dtype, [source], target)


def _is_transposition(source: Array, target: Array) -> bool:
    return (
        source.dtype == target.dtype
        and source.dtype in (np.float32, np.float16)
        and source.ndim == 2
        and source.shape == target.shape
        and min(source.shape) > 1
        and source.flags.f_contiguous
        and target.flags.c_contiguous
        and not _shares(source, target)
    )


def at_every_point(
    op: str, dtype: np.dtype[Any], operands: Sequence[Array], target: Array
) -> Pointwise | None:
    """Return the piece; None where operands do not broadcast, or share memory in another order."""
    try:
        views = tuple(np.broadcast_to(operand, target.shape) for operand in operands)
    except ValueError:
        return None
    if any(_clash(view, target) for view in views):
        return None
    return Pointwise(op, dtype, views, target)


def _clash(one: Array, other: Array) -> bool:
    """Whether two arrays share memory in another way than being the same elements in order."""
    return _shares(one, other) and not is_same(one, other)


def is_same(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape are the same elements in the same order."""
    if _address(one) != _address(other) or one.dtype != other.dtype:
        return False
    strides = zip(one.shape, one.strides, other.strides, strict=True)
    return all(step == twin for length, step, twin in strides if length != 1)


def place_of(array: Array, arrays: Sequence[Array]) -> int | None:
    """Return the number of the same elements among `arrays`."""
    return next((i for i, other in enumerate(arrays) if is_same(array, other)), None)


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def may_join(group: Sequence[Pointwise], piece: Pointwise) -> bool:
    """Whether `piece` may run in the same loops as the pieces before it.

    At each point it then sees what they wrote at this point, so no array may be written at one
    point and read at another.
    """
    if piece.target.shape != group[0].target.shape:
        return False
    if piece.op in SLOW or any(other.op in SLOW for other in group):
        return False  # the other operations would lose their vector instructions
    for other in group:
        reads = [*piece.operands, piece.target]
        if any(_clash(other.target, array) for array in reads):
            return False
        if any(_clash(piece.target, array) for array in other.operands):
            return False
    return True


def grouped(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Put neighbouring element-wise pieces together that can share their loops."""
    groups: list[list[Any]] = []
    for piece in pieces:
        follows = bool(groups) and isinstance(groups[-1][0], Pointwise)
        if follows and isinstance(piece, Pointwise) and may_join(groups[-1], piece):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def arrays_of(piece: Piece) -> list[Array]:
    """Return the arrays a piece touches."""
    if isinstance(piece, Pointwise):
        return [*piece.operands, piece.target]
    if isinstance(piece, Product):
        return [piece.left, piece.right, piece.target]
    if isinstance(piece, Uniform):
        return [piece.target]
    return [piece.source, piece.target]


def joined(arrays: Sequence[Array]) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return the lengths of as few loops as can walk over arrays of one shape, and their strides.

    Strides are in elements, for each array one per loop. There is one loop at least.
    """
    lengths: list[int] = []
    steps: list[list[int]] = []
    for axis, length in enumerate(arrays[0].shape):
        if length == 1:
            continue
        step = [array.strides[axis] // array.itemsize for array in arrays]
        if lengths and all(o == s * length for o, s in zip(steps[-1], step, strict=True)):
            lengths[-1] *= length
            steps[-1] = step
        else:
            lengths.append(length)
            steps.append(step)
    if not lengths:
        lengths, steps = [1], [[0] * len(arrays)]
    return lengths, [tuple(step[i] for step in steps) for i in range(len(arrays))]


def _reduction(ufunc: np.ufunc, arguments: Sequence[Any], limits: Limits) -> Reduction | None:
    if len(arguments) != 4 or ufunc.__name__ not in ("add", "maximum"):
        return None
    source, axes, dtype, target = arguments
    if dtype is not None or not _are_arrays((source, target), limits):
        return None
    if (
        source.dtype == np.bool_
        or source.dtype != target.dtype
        or _shares(source, target)
        or source.size == 0
    ):
        return None
    if not (source.flags.c_contiguous and target.flags.c_contiguous):
        return None
    summed = range(source.ndim) if axes is None else (np.atleast_1d(axes) % source.ndim).tolist()
    along, rank = sorted(summed), source.ndim
    inner = along == list(range(rank - len(along), rank))
    if not inner and along != list(range(len(along))):
        return None
    count = int(np.prod([source.shape[axis] for axis in along], dtype=np.int64))
    rows = source.size // count if inner else count
    if inner and count > limits.row:
        return None
    return Reduction(ufunc.__name__, source, target, rows, source.size // rows, inner)


def _product(arguments: Sequence[Any], limits: Limits) -> Product | None:
    if not _are_arrays(arguments, limits) or any(array.ndim != 2 for array in arguments):
        return None
    left, right, target = arguments
    dtype = target.dtype
    if not left.dtype == right.dtype == dtype != np.bool_ or not target.size:
        return None
    if not target.flags.c_contiguous or _shares(left, target) or _shares(right, target):
        return None
    transposed = []
    for matrix in (left, right):
        if matrix.flags.c_contiguous:
            transposed.append(False)
        elif matrix.flags.f_contiguous:
            transposed.append(True)
        else:
            return None
    return Product(dtype, left, right, target, (transposed[0], transposed[1]))


def _are_arrays(values: Sequence[Any], limits: Limits) -> bool:
    types = (*limits.numbers, np.dtype(np.bool_))
    return all(type(value) is np.ndarray and value.dtype in types for value in values)


def _shares(one: Array, other: Array) -> bool:
    return bool(np.may_share_memory(one, other))
