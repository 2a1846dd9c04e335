"""What a file of arrays holds."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain.checkpoint.arrays import ArrayFile, open_arrays
from mxtrain.checkpoint.naming import without_prefix
from mxtrain.errors import MXNetError, closest
from mxtrain.inspection.statistics import Histogram, Statistics, histogram, statistics

__all__ = ["ArrayReport", "ArraysReport", "array_report", "arrays_report", "nbytes_of"]

INTERVALS = 12
"""Of the histogram of each array. That of an array looked at alone has between 5 and 20."""
FIRST_VALUES = 24


@dataclass(frozen=True)
class ArrayReport:
    """One array.

    Attributes
    ----------
    name, shape : of the whole array.
    dtype : as it is stored (``bfloat16`` for what is read as float32).
    storage : ``dense``, or how much of a sparse array is stored. The statistics and the histogram
        are those of what is stored.
    nbytes : in memory, the index arrays of a sparse one included.
    statistics, histogram : see there; no histogram where no element is finite.
    first : the first values, only of an array looked at alone.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    storage: str
    nbytes: int
    statistics: Statistics
    histogram: Histogram | None
    first: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ArraysReport:
    """A file of arrays: those that were chosen, in file order.

    `all_arrays` is how many the file has, `file_bytes` its size, `metadata` the texts of a
    ``.safetensors`` file.
    """

    file: str
    format: str
    named: bool
    all_arrays: int
    file_bytes: int
    arrays: tuple[ArrayReport, ...]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """The number of elements of all chosen arrays."""
        return sum(math.prod(row.shape) for row in self.arrays)

    @property
    def nbytes(self) -> int:
        """The memory of all chosen arrays."""
        return sum(row.nbytes for row in self.arrays)


def arrays_report(path: Path, patterns: Sequence[str] = ()) -> ArraysReport:
    """Read a file and sum up its arrays, or those whose names match one of `patterns`.

    An array looked at alone is shown in more detail. Raises as `open_arrays` does, and MXNetError
    where no name matches.
    """
    found = open_arrays(path, mmap=True)
    names = _chosen(list(found.arrays), patterns, os.fspath(path))
    alone = len(names) == 1
    rows = tuple(array_report(found, name, alone) for name in names)
    size = path.stat().st_size
    metadata = found.metadata
    return ArraysReport(
        str(path), found.format, found.named, len(found.arrays), size, rows, metadata
    )


def _chosen(names: Sequence[str], patterns: Sequence[str], where: str) -> list[str]:
    """Return the names that match a pattern such as ``fc*_weight``, all where there is none.

    ``arg:`` and ``aux:`` need not be written. Raises MXNetError where a pattern matches nothing.
    """
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            near = closest(pattern, [*names, *map(without_prefix, names)])
            hint = f"; did you mean '{near}'?" if near else f"; there are {_listed(names)}"
            raise MXNetError(f"no array of {where} is called '{pattern}'{hint}")
    return [n for n in names if not patterns or any(_matches(n, p) for p in patterns)]


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(without_prefix(name), pattern)


def _listed(names: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit]) or "none"
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def array_report(file: ArrayFile, name: str, alone: bool = False) -> ArrayReport:
    """Sum up one array of a file; `alone` says that it is the only one shown."""
    array = file.arrays[name]
    values = array if isinstance(array, np.ndarray) else array.data
    found = statistics(values)
    return ArrayReport(
        name=name,
        shape=tuple(array.shape),
        dtype=file.stored_types.get(name, str(array.dtype)),
        storage=_storage(array),
        nbytes=nbytes_of(array),
        statistics=found,
        histogram=histogram(values, found, _detailed(found.size) if alone else INTERVALS),
        first=tuple(np.asarray(values).reshape(-1)[:FIRST_VALUES].tolist()) if alone else (),
    )


def _detailed(elements: int) -> int:
    return min(max(2 * math.isqrt(elements), 5), 20)


def _storage(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return "dense"
    if array.stype == "row_sparse":
        return f"row_sparse, {len(array.indices)} of {array.shape[0]} rows"
    return f"{array.stype}, {array.data.size} of {math.prod(array.shape)} values"


def nbytes_of(array: Any) -> int:
    """Return the memory of an array; of a sparse one, of its values and their places."""
    if isinstance(array, np.ndarray):
        return array.nbytes
    # Only a CSR matrix has an indptr.
    parts = [array.data, array.indices, getattr(array, "indptr", None)]
    return sum(part.nbytes for part in parts if part is not None)
