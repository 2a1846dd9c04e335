"""`CSVIter`: batches from CSV files of plain numbers without a header."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.io.ndarray_iter import NDArrayIter

__all__ = ["CSVIter"]


class CSVIter(NDArrayIter):
    """Batches of the rows of a CSV file, each row reshaped to `data_shape`.

    Parameters
    ----------
    data_csv : file of numbers separated by commas, no header. A folder means all its files in
        alphabetical order.
    data_shape : shape of one sample; a row has as many numbers.
    label_csv : file of labels, one row per sample. Without it all labels are 0.
    label_shape : shape of one label; the default ``(1,)`` gives labels of shape (batch,).
    batch_size : rows per batch. The last batch is filled up with rows from the start, counted in
        its `pad`.
    round_batch : whether the next epoch goes on after the rows that filled the last batch (as in
        MXNet, where they count as read) or begins at the first row.
    dtype : type of data and labels: float32, int32 or int64.
    data_name, label_name : names of the inputs.

    Raises MXNetError for a file that cannot be read and FileFormatError, with the line, for
    rows that are not numbers or not of the given shape.
    """

    def __init__(
        self,
        data_csv: str | os.PathLike[str],
        data_shape: Sequence[int],
        label_csv: str | os.PathLike[str] | None = None,
        label_shape: Sequence[int] = (1,),
        batch_size: int = 1,
        round_batch: bool = True,
        dtype: Any = "float32",
        data_name: str = "data",
        label_name: str = "softmax_label",
    ) -> None:
        if np.dtype(dtype) not in (np.float32, np.int32, np.int64):
            raise ValueError(f"dtype of CSVIter is float32, int32 or int64, got {dtype!r}")
        data = _read_rows(Path(data_csv), tuple(data_shape), dtype)
        shape = () if tuple(label_shape) == (1,) else tuple(label_shape)
        if label_csv is None:
            labels = np.zeros((len(data), *shape), dtype)
        else:
            labels = _read_rows(Path(label_csv), shape, dtype)
        if len(labels) != len(data):
            raise MXNetError(
                f"{data_csv} has {len(data)} rows but {label_csv} has {len(labels)}; "
                "each sample needs one label row"
            )
        super().__init__({data_name: nd.view(data)}, {label_name: nd.view(labels)}, batch_size)
        self.round_batch = round_batch
        self._first = 0

    def reset(self) -> None:
        """Begin the next epoch, after the rows already used if `round_batch` asks for it."""
        finished = self.cursor + self.batch_size >= self.num_data
        first = self._first_after(self._first) if finished else 0
        super().reset()
        self._start_at(first)

    def hard_reset(self) -> None:
        """Begin the next epoch at the first row."""
        super().hard_reset()
        self._start_at(0)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of `epoch` (0 is the first) as if all before it had been run."""
        super().set_epoch(epoch)
        first = 0
        for _ in range(epoch):
            first = self._first_after(first)
        self._start_at(first)

    def _start_at(self, row: int) -> None:
        self._first = row
        self.cursor = row - self.batch_size

    def _first_after(self, first: int) -> int:
        """Return the row that follows those which fill the last batch of an epoch."""
        filled = (first - self.num_data) % self.batch_size % self.num_data
        return filled if self.round_batch else 0


def _read_rows(path: Path, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """Read the rows of a file, or of all files of a folder, each reshaped to `shape`."""
    files = sorted(f for f in path.iterdir() if f.is_file()) if path.is_dir() else [path]
    blocks = [_read_file(file, math.prod(shape), dtype) for file in files]
    rows = np.concatenate(blocks) if blocks else np.empty((0, math.prod(shape)), dtype)
    if not len(rows):
        raise FileFormatError(f"{path}: no rows; expected {math.prod(shape)} numbers per line")
    return rows.reshape(len(rows), *shape)


def _read_file(file: Path, columns: int, dtype: Any) -> np.ndarray[Any, Any]:
    kind = float if np.dtype(dtype).kind == "f" else int
    rows = []
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    rows.append(_numbers(line, kind, columns, f"{file}:{number}"))
    except OSError as error:
        raise MXNetError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{file}: not a text file ({error})") from error
    try:
        return np.array(rows, dtype).reshape(len(rows), columns)
    except OverflowError as error:
        raise FileFormatError(f"{file}: a number does not fit {dtype}") from error


def _numbers(line: str, kind: type[Any], columns: int, place: str) -> list[Any]:
    fields = line.split(",")
    if len(fields) != columns:
        raise FileFormatError(
            f"{place}: {len(fields)} numbers, expected {columns} as the shape asks for"
        )
    try:
        return [kind(field) for field in fields]
    except ValueError:
        bad = next(field for field in fields if not _is_number(field, kind))
        raise FileFormatError(
            f"{place}: {bad.strip()!r} is not {'a' if kind is float else 'a whole'} number; "
            "CSVIter reads files of numbers without a header"
        ) from None


def _is_number(field: str, kind: type[Any]) -> bool:
    try:
        kind(field)
    except ValueError:
        return False
    return True
