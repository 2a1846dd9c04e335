"""How two arrays differ, and two files of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain.checkpoint.arrays import open_arrays
from mxtrain.checkpoint.naming import PREFIXES, without_prefix
from mxtrain.errors import MXNetError

__all__ = ["ArrayDifference", "compare_arrays", "compare_files", "matched"]

Array = np.ndarray[Any, Any]

EQUAL, DIFFERENT, OTHER_SHAPE, OTHER_TYPE = "equal", "different", "other shape", "other type"
ONLY_A, ONLY_B = "only in A", "only in B"

_BLOCK = 2**18


@dataclass(frozen=True)
class ArrayDifference:
    """How an array of A differs from that of B.

    Attributes
    ----------
    name : in A, or in B where A has none.
    found : ``equal``, ``different`` (values), ``other shape``, ``other type``, ``only in A`` or
        ``only in B``. NaN in the same place on both sides is equal, and so are 0 and -0.
    a, b : type and shape on each side, such as ``float32 2x3``; empty where it is missing.
    bitwise : whether type, shape and all bits are the same.
    size : the number of elements, where type and shape agree.
    differing : how many of them differ by more than the tolerance.
    largest, largest_relative : the largest difference, as it is and divided by the larger of the
        two magnitudes; infinite where one side alone is NaN or infinite. None where type or shape
        differ, and for text.
    place : the index of the largest difference, None where nothing differs.
    """

    name: str
    found: str
    a: str = ""
    b: str = ""
    bitwise: bool = False
    size: int = 0
    differing: int = 0
    largest: float | None = None
    largest_relative: float | None = None
    place: tuple[int, ...] | None = None


def compare_files(a: Path, b: Path, tolerance: float = 0.0) -> list[ArrayDifference]:
    """Compare the arrays of two files of any format by name.

    Those of A come first, in their order. A name with ``arg:`` or ``aux:`` stands for one without,
    and bfloat16 for float32. Raises as `open_arrays` does.
    """
    of_a, of_b = open_arrays(a, mmap=True).arrays, open_arrays(b, mmap=True).arrays
    differences = []
    for name_a, name_b in matched(list(of_a), list(of_b)):
        if name_a is not None and name_b is not None:
            found = compare_arrays(name_a, of_a[name_a], of_b[name_b], tolerance)
        elif name_a is not None:
            found = ArrayDifference(name_a, ONLY_A, a=_described(of_a[name_a]))
        else:
            found = ArrayDifference(str(name_b), ONLY_B, b=_described(of_b[str(name_b)]))
        differences.append(found)
    return differences


def matched(a: Sequence[str], b: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Return the pairs of names that stand for the same array, and those without a partner.

    >>> matched(["arg:w", "aux:v", "x"], ["w", "arg:v", "x", "y"])
    [('arg:w', 'w'), ('aux:v', None), ('x', 'x'), (None, 'arg:v'), (None, 'y')]
    """
    free = dict.fromkeys(b)
    pairs: list[tuple[str | None, str | None]] = []
    for name in a:
        others = [name, *(f"{prefix}{name}" for prefix in PREFIXES)]
        if name.startswith(PREFIXES):
            others = [name, without_prefix(name)]
        partner = next((other for other in others if other in free), None)
        if partner is not None and (partner == name or partner not in a):
            del free[partner]
            pairs.append((name, partner))
        else:
            pairs.append((name, None))
    return [*pairs, *((None, name) for name in free)]


def compare_arrays(name: str, a: Any, b: Any, tolerance: float = 0.0) -> ArrayDifference:
    """Compare two arrays, dense or sparse, block by block.

    `tolerance` is the difference that counts as none: absolute for magnitudes up to 1, relative to
    the larger magnitude above. Raises MXNetError for sparse arrays too large to compare.
    """
    sides = _described(a), _described(b)
    if tuple(a.shape) != tuple(b.shape):
        return ArrayDifference(name, OTHER_SHAPE, *sides)
    if a.dtype != b.dtype:
        return ArrayDifference(name, OTHER_TYPE, *sides)
    found = _compare_values(name, _dense(name, a), _dense(name, b), tolerance)
    return replace(found, a=sides[0], b=sides[1])


def _described(array: Any) -> str:
    shape = "x".join(map(str, array.shape)) or "scalar"
    storage = "" if isinstance(array, np.ndarray) else f" {array.stype}"
    return f"{array.dtype}{storage} {shape}"


def _dense(name: str, array: Any) -> Array:
    if isinstance(array, np.ndarray):
        return array
    try:
        return np.asarray(array.todense())
    except (MemoryError, ValueError) as error:
        raise MXNetError(
            f"array '{name}' of shape {array.shape} is too large to compare"
        ) from error


def _compare_values(name: str, a: Array, b: Array, tolerance: float) -> ArrayDifference:
    flat_a, flat_b = a.reshape(-1), b.reshape(-1)
    bitwise, differing, best, relative, place = True, 0, 0.0, 0.0, 0
    is_number = a.dtype.kind in "biufc"
    for start in range(0, flat_a.size, _BLOCK):
        x, y = flat_a[start : start + _BLOCK], flat_b[start : start + _BLOCK]
        if x.tobytes() == y.tobytes():
            continue
        bitwise = False
        if not is_number:
            differing += int(np.count_nonzero(x != y))
            continue
        distance, larger = _distances(x, y)
        differing += int(np.count_nonzero(distance > tolerance * np.maximum(larger, 1.0)))
        farthest = int(np.argmax(distance))
        if distance[farthest] > best:
            best, place = float(distance[farthest]), start + farthest
        with np.errstate(all="ignore"):
            share = np.where(np.isfinite(distance), distance / larger, np.inf)
        relative = max(relative, float(np.max(share, where=distance > 0, initial=0.0)))
    index = np.unravel_index(place, a.shape) if best else None
    return ArrayDifference(
        name,
        DIFFERENT if differing else EQUAL,
        bitwise=bitwise,
        size=a.size,
        differing=differing,
        largest=best if is_number else None,
        largest_relative=relative if is_number else None,
        place=None if index is None else tuple(map(int, index)),
    )


def _distances(x: Array, y: Array) -> tuple[Array, Array]:
    """Return the differences, 0 where both are NaN or both equal, and the larger magnitudes."""
    with np.errstate(all="ignore"):
        if x.dtype.kind in "iu":
            # Two integers of 64 bits can be nearer to each other than float64 tells.
            apart = np.maximum(x, y).astype(np.uint64) - np.minimum(x, y).astype(np.uint64)
            distance = apart.astype(np.float64)
        else:
            distance = np.abs(_wide(x) - _wide(y))
            same = (x == y) | (np.isnan(x) & np.isnan(y))
            distance = np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))
        larger = np.fmax(np.abs(_wide(x)), np.abs(_wide(y)))
    return distance, np.where(np.isfinite(larger), larger, 1.0)


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
