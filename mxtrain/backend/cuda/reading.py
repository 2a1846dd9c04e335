"""What a device knows to do with a line: all of `compiled/lines.py`, and more.

Kernels are known by identity, ufuncs by their name. A piece that only devices know has `arrays`,
what the device has to see, and `kernels()`; products of batches go to cuBLAS instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mxtrain.backend.compiled.expressions import EXPRESSIONS, ON_TRUTH_VALUES
from mxtrain.backend.compiled.lines import GPU, Piece, Pointwise, at_every_point
from mxtrain.backend.compiled.lines import arrays_of as arrays_of_shared
from mxtrain.backend.compiled.lines import read_line as read_shared
from mxtrain.backend.cuda.batches import Products, read_matmul
from mxtrain.backend.cuda.expressions import TYPES, gives_truth
from mxtrain.backend.cuda.folds import read_fold
from mxtrain.backend.cuda.gathers import read_add_rows, read_put, read_take
from mxtrain.backend.cuda.kernel import Kernel
from mxtrain.backend.cuda.numbers import ARITIES, WHOLE_TEXTS
from mxtrain.backend.cuda.searches import read_search
from mxtrain.backend.indexed import add_rows, put_distinct
from mxtrain.backend.numpy import Array, Line, greater_of, lesser_of, select


@runtime_checkable
class DevicePiece(Protocol):
    """A piece of a plan that only devices have kernels for."""

    @property
    def arrays(self) -> list[Array]:
        """The arrays it touches."""

    def kernels(self) -> list[Kernel]:
        """Return what to run, in order."""


Read = Piece | Products | DevicePiece
_OWN = {greater_of: "maximum", lesser_of: "minimum", select: "where"}


def read_line(line: Line) -> Read | None:
    """Return what a line does, None where the host has to do it."""
    piece = read_shared(line, GPU)
    if piece is not None:
        return piece
    kernel, arguments = line
    if kernel is np.copyto:
        return _copy(arguments)
    if isinstance(kernel, np.ufunc) and kernel is not np.matmul:
        return _points(kernel.__name__, arguments)
    if kernel in _OWN:
        return _points(_OWN[kernel], arguments)
    owner = getattr(kernel, "__self__", None)
    if isinstance(owner, np.ufunc) and kernel.__name__ == "reduce":
        return read_fold(owner, arguments)
    reader = _READERS.get(kernel)
    return reader(arguments) if reader is not None else None


def arrays_of(piece: Read) -> list[Array]:
    """Return the arrays a piece touches."""
    return piece.arrays if isinstance(piece, Products | DevicePiece) else arrays_of_shared(piece)


def _product(arguments: Sequence[Any]) -> Read | None:
    """A product of two matrices, or of many."""
    return read_shared((np.dot, tuple(arguments)), GPU) or read_matmul(arguments)


_READERS: dict[Callable[..., Any], Callable[[Sequence[Any]], Read | None]] = {
    np.matmul: _product,
    np.take: read_take,
    add_rows: read_add_rows,
    put_distinct: read_put,
    np.argmax: lambda arguments: read_search(np.argmax, arguments),
    np.argmin: lambda arguments: read_search(np.argmin, arguments),
}


def _points(op: str, arguments: Sequence[Any]) -> Pointwise | None:
    """An operation at every point, of more types and functions than compiled lines have."""
    arity = EXPRESSIONS[op].arity if op in EXPRESSIONS else ARITIES.get(op)
    if arity != len(arguments) - 1 or not _are_known(arguments):
        return None
    *operands, target = arguments
    dtype = np.result_type(*operands)
    if dtype.name not in TYPES or (dtype.kind in "iu" and op not in WHOLE_TEXTS):
        return None
    if dtype == np.bool_ and op not in ON_TRUTH_VALUES:
        return None
    fits = gives_truth(op) or np.can_cast(dtype, target.dtype, "same_kind")
    return at_every_point(op, dtype, operands, target) if fits else None


def _copy(arguments: Sequence[Any]) -> Pointwise | None:
    """``copyto(target, source, casting, where)``."""
    target, source = arguments[:2]
    casting: Any = arguments[2] if len(arguments) > 2 else "same_kind"
    mask = arguments[3] if len(arguments) > 3 else None
    if not _are_known((target, source)) or target.dtype == np.bool_ != source.dtype:
        return None
    if not np.can_cast(source.dtype, target.dtype, casting):
        return None
    if mask is None:
        return at_every_point("copy", target.dtype, [source], target)
    if not _are_known((mask,)) or mask.dtype != np.bool_:
        return None
    return at_every_point("where", target.dtype, [mask, source, target], target)


def _are_known(values: Sequence[Any]) -> bool:
    return all(type(value) is np.ndarray and value.dtype.name in TYPES for value in values)
