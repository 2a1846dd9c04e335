"""Tables: CSV files with a header line, and Parquet files.

The header of a CSV is read without polars, since checking a config must be quick, and so are small
files (`mxtrain.io.small_table`). A CSV may be compressed with gzip (``.csv.gz``) and may be
separated by tabs (``.tsv``). Rows with nothing in them are skipped.
"""

from __future__ import annotations

import csv
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.errors import missing_columns
from mxtrain.io.errors import DataError
from mxtrain.io.regular import require_regular

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Table", "header", "read_table"]

PathLike = str | os.PathLike[str]


def header(path: PathLike) -> list[str]:
    """Return the column names of a table; of a CSV only the first line is read.

    Raises DataError for a file that cannot be read, a pipe or a device among them, is empty, or has
    columns without a name or with the same name.
    """
    require_regular(path)
    names = _parquet_names(path) if _is_parquet(path) else _csv_names(path)
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(
                path,
                f"column {number} has no name",
                row=1,
                advice="name it, or remove it if it only numbers the rows",
            )
        if names.index(name) < number - 1:
            raise DataError(
                path,
                "is the name of two columns",
                row=1,
                value=name,
                advice="rename one; a table needs a header line with a name for each column",
            )
    return names


def read_table(path: PathLike) -> Table:
    """Read a CSV or Parquet file; DataError if it cannot be read or has no rows."""
    from mxtrain.io import small_table

    names = header(path)
    if not (_is_parquet(path) or _is_compressed(path)):
        small = small_table.read(path, names, _separator(path))
        if small is not None:
            return small
    frame = read_frame(path, names)
    if frame.height == 0:
        raise DataError(path, "has a header but no rows")
    return Table(path, names, frame)


def read_frame(path: PathLike, names: Sequence[str]) -> Any:
    """Return a file as a polars frame; DataError if it cannot be read."""
    return _read_parquet(path) if _is_parquet(path) else _read_csv(path, names)


class Table:
    """Columns by name. Numbers are checked when a column is asked for, not before.

    Attributes
    ----------
    path : the file.
    names : the columns in file order.
    in_lines : whether places are lines of a text file (else row numbers).
    """

    def __init__(self, path: PathLike, names: list[str], frame: Any) -> None:
        self.path = path
        self.names = names
        self.in_lines = not _is_parquet(path)
        self._frame = frame

    def __len__(self) -> int:
        return int(self._frame.height)

    def numbers(self, name: str) -> np.ndarray[Any, Any]:
        """Return a column as float64; DataError at its first value that is no finite number."""
        column = self._column(name)
        numbers = _as_numbers(column)
        bad = numbers.is_null() | ~numbers.is_finite()
        if bad.any():
            raise self._bad_number(name, column, bad.arg_true()[0])
        values: np.ndarray[Any, Any] = numbers.to_numpy()
        return values

    def labels(self, name: str) -> np.ndarray[Any, Any]:
        """Return a column as int64 if all values are whole numbers, as float64 if all are
        numbers, else as text. A missing value is a DataError.
        """
        import numpy as np

        column = self._column(name)
        missing = column.is_null() if column.dtype.is_numeric() else _is_empty(column)
        if missing.any():
            raise self._missing(name, missing.arg_true()[0])
        if _as_numbers(column).null_count():
            return np.array(self._text(column).to_list(), dtype=np.str_)
        return self._whole_where_possible(self.numbers(name))

    def _whole_where_possible(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        whole = values.astype(np.int64) if np.abs(values).max() < 2**53 else values
        return whole if np.array_equal(whole, values) else values

    def line(self, row: int) -> int:
        """Return where the row numbered `row` (from 0) is: its line in a text file, from 1."""
        if not self.in_lines:
            return row + 1
        for number, (line, _) in enumerate(_records(self.path)):
            if number == row:
                return line
        raise IndexError(f"{self.path} has no row {row}")

    def require(self, names: Iterable[str]) -> None:
        """Raise DataError if any of `names` are no columns, with the name closest to each."""
        missing = [name for name in dict.fromkeys(names) if name not in self.names]
        if missing:
            raise DataError(self.path, missing_columns(missing, self.names))

    def _column(self, name: str) -> Any:
        self.require([name])
        return self._frame.get_column(name)

    def _text(self, column: Any) -> Any:
        import polars as pl

        return column.cast(pl.String).str.strip_chars()

    def _bad_number(self, name: str, column: Any, row: int) -> DataError:
        value = column[row] if not column.dtype.is_nested() else str(column.dtype)
        if value is None or (isinstance(value, str) and not value.strip()):
            return self._missing(name, row)
        problem, advice = (
            "is not a number",
            f"columns of the network's input hold numbers; leave it out with ignore: [{name}], "
            "or replace text by numbers",
        )
        if _as_numbers(column)[row] is not None:
            problem, advice = "is not a finite number", "replace the value or remove the row"
        return DataError(
            self.path,
            problem,
            column=name,
            row=self.line(row),
            value=value,
            advice=advice,
            in_lines=self.in_lines,
        )

    def _missing(self, name: str, row: int) -> DataError:
        return DataError(
            self.path,
            "the value is missing",
            column=name,
            row=self.line(row),
            advice="fill it in or remove the row",
            in_lines=self.in_lines,
        )


def _as_numbers(column: Any) -> Any:
    """Cast to float64; what is not a number becomes null."""
    import polars as pl

    if column.dtype == pl.String:
        column = column.str.strip_chars()
    elif not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        return pl.Series([None] * len(column), dtype=pl.Float64)
    return column.cast(pl.Float64, strict=False)


def _is_empty(column: Any) -> Any:
    """Mark the values that are null or, in text, blank."""
    import polars as pl

    text = column.cast(pl.String) if column.dtype != pl.String else column
    return text.is_null() | (text.str.strip_chars() == "").fill_null(False)


def _read_csv(path: PathLike, names: Sequence[str]) -> Any:
    """Read all columns as text, so that an error can show what stands in the file."""
    import polars as pl

    try:
        frame = pl.read_csv(
            Path(path), separator=_separator(path), infer_schema_length=0, new_columns=list(names)
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken_csv(path, len(names), error) from error
    return frame.filter(~pl.all_horizontal(pl.all().is_null() | (pl.all() == "")))


def _broken_csv(path: PathLike, columns: int, error: Exception) -> DataError:
    """Find the first row with too many fields or an open quote; else pass on what polars says."""
    line, last = 0, ""
    for line, fields in _records(path):
        if len(fields) > columns:
            return DataError(
                path,
                f"{len(fields)} values, but the header has {columns} columns",
                row=line,
                advice='put quotes around values that contain the separator: "a,b"',
            )
        last = fields[-1]
    if last.endswith("\n"):  # it goes on to the end of the file
        advice = 'end the value with a quote as well, or write "" for a quote within it'
        return DataError(path, "a quote opens a value and nothing ends it", row=line, advice=advice)
    return DataError(path, f"cannot be read as CSV: {str(error).splitlines()[0]}")


def _records(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """Give each row that holds something, with the line it begins on; the header is left out."""
    with _csv_reader(path) as reader:
        past_header = False
        line = 1
        for fields in reader:
            if past_header and any(fields):
                yield line, fields
            past_header = past_header or bool(fields)
            line = reader.line_num + 1


def _csv_names(path: PathLike) -> list[str]:
    with _csv_reader(path) as reader:
        names = [name.strip() for name in next(filter(None, reader), [])]
    if not names:
        raise DataError(path, "is empty", advice="the first line must name the columns")
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise DataError(
            path,
            "the header is one column; values must be separated by commas",
            row=1,
            value=names[0],
            advice="save it with commas, or with tabs as .tsv",
        )
    return names


@contextmanager
def _csv_reader(path: PathLike) -> Iterator[Any]:
    """Open a CSV for the csv module; what fails while it is open becomes a DataError."""
    opener = gzip.open if _is_compressed(path) else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield csv.reader(file, delimiter=_separator(path))
    except UnicodeDecodeError as error:
        raise DataError(path, "is not UTF-8 text", advice="save it as UTF-8") from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(path, f"cannot be read: {reason}") from error


def _parquet_names(path: PathLike) -> list[str]:
    import polars as pl

    try:
        return list(pl.read_parquet_schema(Path(path)))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken_parquet(path, error) from error


def _read_parquet(path: PathLike) -> Any:
    import polars as pl

    try:
        return pl.read_parquet(Path(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _broken_parquet(path, error) from error


def _broken_parquet(path: PathLike, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(path, f"cannot be read as Parquet: {reason}")


def _is_parquet(path: PathLike) -> bool:
    return Path(path).suffix.lower() == ".parquet"


def _is_compressed(path: PathLike) -> bool:
    return str(path).lower().endswith(".gz")


def _separator(path: PathLike) -> str:
    return "\t" if str(path).lower().removesuffix(".gz").endswith(".tsv") else ","
