"""Sums, products and extremes over any axes of an array with any strides.

What is kept and what is folded are walked like two arrays each, with as few extents as their
strides allow: a sum over the middle of (outer, middle, inner) keeps two extents and folds one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from mxtrain.backend.compiled.lines import joined
from mxtrain.backend.cuda.expressions import TYPES, filled_in, literal
from mxtrain.backend.cuda.kernel import Kernel, function
from mxtrain.backend.cuda.numbers import converted, is_whole
from mxtrain.backend.cuda.pieces import HIGH, WIDE, address_of
from mxtrain.backend.numpy import Array

# The first value of a total, of floats and of whole numbers.
_STARTS = {
    "add": ("0", "0"),
    "multiply": ("1", "1"),
    "maximum": ("-INFINITY", "-0x7fffffffffffffffll - 1"),
    "minimum": ("INFINITY", "0x7fffffffffffffffll"),
}
# A block works on one result where there are so many elements to fold, and few results.
LONG, MANY = 1024, 4096


class _Sharing(NamedTuple):
    """How the threads of a block share results: texts over X and Y, and numbers.

    `thread` of `threads` works on a `result` of `results`. `gathered` says who puts parts together
    (those at 0), where the parts are, and how many.
    """

    thread: str
    threads: int
    result: str
    results: int
    gathered: tuple[tuple[str, str, int], ...]


_ALONG, _ACROSS = ("X", "[Y][i]", WIDE), ("Y", "[i][X]", HIGH)
_LINES = _Sharing("X", WIDE, "Y", HIGH, (_ALONG,))
# Neighbouring threads read neighbouring elements, which belong to different results.
_COLUMNS = _Sharing("Y", HIGH, "X", WIDE, (_ACROSS,))
_WHOLE = _Sharing(f"(Y * {WIDE} + X)", WIDE * HIGH, "0", 1, (_ALONG, ("(X + Y)", "[i][X]", HIGH)))


@dataclass(frozen=True)
class Fold:
    """``target = op.reduce(source)``, computed in `dtype`.

    Attributes
    ----------
    op : add, multiply, maximum or minimum.
    kept : a view of the source, the folded axes at 0. target : of the same shape.
    folded : a view of the source, the kept axes at 0.
    first : what an extreme is taken of beside the elements. mask : which of these count, truth
        values as `kept` and as `folded`.
    """

    op: str
    dtype: np.dtype[Any]
    kept: Array
    folded: Array
    target: Array
    first: float | None = None
    mask: tuple[Array, ...] = ()

    @property
    def arrays(self) -> list[Array]:
        """What the device has to see."""
        return [self.kept, self.folded, self.target, *self.mask]

    def kernels(self) -> list[Kernel]:
        """Return the kernel, which adds in an order that never changes."""
        kind = _summed_in(self.dtype)
        kept = joined([self.kept, self.target, *self.mask[:1]])
        folded = joined([self.folded, *self.mask[1:]])
        many, count = prod(kept[0]), prod(folded[0])
        sharing = _COLUMNS if abs(folded[1][0][-1]) != 1 == kept[1][0][-1] else _LINES
        if count >= LONG and many < MANY:
            sharing = _WHOLE
        given = (self.kept, self.target, *self.mask[:1])
        words = _Words([TYPES[array.dtype.name] for array in given])
        places = {
            "of": words.place("k", kept[0], kept[1][0]),
            "to": words.place("k", kept[0], kept[1][1]),
            "at": words.place("i", folded[0], folded[1][0]),
        }
        if self.mask:
            at = words.place("i", folded[0], folded[1][1])
            places["mask"] = f"{words.place('k', kept[0], kept[1][2])} + {at}"
        source = function(words.parameters, _body(self, kind, places, sharing))
        blocks = max(1, -(-many // sharing.results))
        values = (many, count, *map(address_of, given), *words.values)
        return [Kernel(source, blocks, (WIDE, HIGH), values)]


def _summed_in(dtype: np.dtype[Any]) -> str:
    """Return the type of the total.

    Float16 would lose half of its digits in a long sum. Whole numbers wrap when they are written.
    """
    kind = TYPES[dtype.name]
    return "float" if kind == "half" else "word" if is_whole(kind) else kind


class _Words:
    """The parameters of a kernel, and where elements are by lengths and strides among them."""

    def __init__(self, types: Sequence[str]) -> None:
        self.parameters = ["word many", "word count"]
        names = ("source", "target", "mask")
        self.parameters += [f"{kind}* {name}" for kind, name in zip(types, names, strict=False)]
        self.values: list[int] = []

    def place(self, index: str, lengths: Sequence[int], strides: Sequence[int]) -> str:
        """Return the text of the place of element number `index`."""
        text, rest = "0", index
        for level in reversed(range(len(lengths))):
            at, stride = rest, strides[level]
            if level:
                size = self._number(lengths[level])
                at, rest = f"({rest} % {size})", f"({rest} / {size})"
            if stride:
                text += f" + {at}" if stride == 1 else f" + {at} * {self._number(stride)}"
        return text.removeprefix("0 + ")

    def _number(self, value: int) -> str:
        self.parameters.append(f"word z{len(self.values)}")
        self.values.append(value)
        return f"z{len(self.values) - 1}"


def _body(piece: Fold, kind: str, places: dict[str, str], sharing: _Sharing) -> str:
    """Every thread folds each `threads`-th element of a result; then these are put together."""
    stored, target = TYPES[piece.kept.dtype.name], TYPES[piece.target.dtype.name]
    start = f"{kind}({_STARTS[piece.op][is_whole(kind)]})"
    if piece.first is not None:
        start = literal(piece.first, kind)
    combine = filled_in(piece.op, kind, ["total", "next"])
    read = converted(f"source[from + {places['at']}]", stored, kind)
    if piece.mask:
        read = f"(mask[{places['mask']}] ? {read} : {start})"
    body = f"""\
    SHARED {kind} part[{HIGH}][{WIDE}];
    PHASE {{
        word k = (word)BLOCK * {sharing.results} + {sharing.result};
        {kind} total = {start};
        if (k < many) {{
            word from = {places["of"]};
            for (word i = {sharing.thread}; i < count; i += {sharing.threads}) {{
                {kind} next = {read};
                total = {combine};
            }}
        }}
        part[Y][X] = total;
    }}
"""
    for first, other, length in sharing.gathered:
        body += f"""\
    NEXT_PHASE
    PHASE if ({first} == 0) {{
        {kind} total = part[Y][X];
        for (int i = 1; i < {length}; ++i) {{
            {kind} next = part{other};
            total = {combine};
        }}
        part[Y][X] = total;
    }}
"""
    return f"""{body}\
    PHASE if ({sharing.thread} == 0 && (word)BLOCK * {sharing.results} + {sharing.result} < many) {{
        word k = (word)BLOCK * {sharing.results} + {sharing.result};
        target[{places["to"]}] = {converted("part[Y][X]", kind, target)};
    }}
"""


def read_fold(ufunc: np.ufunc, arguments: Sequence[Any]) -> Fold | None:
    """Return what ``ufunc.reduce(source, axes, dtype, target)`` does, None where it is no fold.

    Extremes may have three arguments more: False, a first number and a mask.
    """
    if ufunc.__name__ not in _STARTS or len(arguments) < 4:
        return None
    (source, axes, dtype, target), more = arguments[:4], arguments[4:]
    if not all(type(a) is np.ndarray and a.dtype.name in TYPES for a in (source, target)):
        return None
    if not source.size or np.may_share_memory(source, target):
        return None
    dtype = np.result_type(source, target) if dtype is None else np.dtype(dtype)
    if dtype.kind != target.dtype.kind or (dtype.kind != "f" and dtype != target.dtype):
        return None
    if dtype.name not in TYPES or dtype == np.bool_ or not _is_known(ufunc, more, source, target):
        return None
    along = {range(source.ndim)[axis] for axis in _axes(axes, source.ndim)}
    others = set(range(source.ndim)) - along
    first, mask = (float(more[1]), np.broadcast_to(more[2], source.shape)) if more else (None, None)
    masks = () if mask is None else (_front(mask, others), _front(mask, along))
    kept, folded = _front(source, others), _front(source, along)
    if kept.shape != target.shape:
        return None
    return Fold(ufunc.__name__, dtype, kept, folded, target, first, masks)


def _is_known(ufunc: np.ufunc, more: Sequence[Any], source: Array, target: Array) -> bool:
    """Whether the arguments after the target are none, or those of an extreme with a mask."""
    if not more:
        return True
    if len(more) != 3 or more[0] is not False or ufunc.__name__ not in ("maximum", "minimum"):
        return False
    mask = more[2]
    is_mask = type(mask) is np.ndarray and mask.dtype == np.bool_ and mask.ndim <= source.ndim
    return is_mask and source.dtype.kind == "f" and not np.may_share_memory(mask, target)


def _axes(axes: Any, rank: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(rank))
    return (axes,) if isinstance(axes, int) else tuple(axes)


def _front(array: Array, axes: Collection[int]) -> Array:
    """Return a view along some axes, the others at 0."""
    return array[(*(slice(None) if axis in axes else 0 for axis in range(array.ndim)), ...)]
