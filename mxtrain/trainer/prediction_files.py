"""Files of predictions: CSV and JSON lines as they come, Parquet and NPZ once all are there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from mxtrain.checkpoint import npz

Array = np.ndarray[Any, Any]
Pieces = Iterable[Mapping[str, Array]]


def write_csv(file: BinaryIO, pieces: Pieces) -> int:
    """Write columns as CSV in UTF-8 with a header line, and return the number of rows."""
    rows = 0
    for number, piece in enumerate(pieces):
        frame = _frame(piece)
        file.write(frame.write_csv(include_header=number == 0).encode())
        rows += frame.height
    return rows


def write_json_lines(file: BinaryIO, pieces: Pieces) -> int:
    """Write an object for each row, and return their number; a value not finite is null."""
    rows = 0
    for piece in pieces:
        frame = _frame(piece)
        file.write(frame.write_ndjson().encode())
        rows += frame.height
    return rows


def write_parquet(file: BinaryIO, pieces: Pieces) -> int:
    """Write columns as Parquet, and return the number of rows."""
    import polars as pl

    frame = pl.concat([_frame(piece) for piece in pieces])
    content = io.BytesIO()  # polars would tell of a full disk as of a damaged file
    frame.write_parquet(content)
    file.write(content.getbuffer())
    return int(frame.height)


def write_npz(file: BinaryIO, pieces: Pieces) -> int:
    """Write arrays of any shape as NPZ, and return the number of rows."""
    found = list(pieces)
    arrays = {name: np.concatenate([piece[name] for piece in found]) for name in found[0]}
    npz.write_npz(file, arrays)
    return len(next(iter(arrays.values())))


FORMATS: dict[str, Callable[[BinaryIO, Pieces], int]] = {
    ".csv": write_csv,
    ".jsonl": write_json_lines,
    ".parquet": write_parquet,
    ".npz": write_npz,
}
"""What writes a file, by its ending."""


def _frame(columns: Mapping[str, Array]) -> Any:
    import polars as pl

    return pl.DataFrame(dict(columns))
