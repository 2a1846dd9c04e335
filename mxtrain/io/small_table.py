"""Small CSV files without anything special, read without importing polars.

That import takes longer than a small file and the whole start of a run. Only what cannot be
understood in two ways is read here: no quotes, rows as long as the header, numbers of digits,
signs, point and exponent. Everything else, and every error, is left to `mxtrain.io.table`.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.io.table import PathLike, Table, read_frame

if TYPE_CHECKING:
    import numpy as np

# Up to here splitting text takes no longer than importing polars.
LARGEST = 1 << 21
_OF_NUMBERS = frozenset("0123456789+-.eE \t")


class SmallTable(Table):
    """A table of plain text, as `Table`."""

    def __init__(self, path: PathLike, names: list[str], rows: list[list[str]]) -> None:
        self.path, self.names, self.in_lines = path, names, True
        self._rows = len(rows)
        self._columns = dict(zip(names, zip(*rows, strict=True), strict=True))

    @cached_property
    def _frame(self) -> Any:
        return read_frame(self.path, self.names)

    def __len__(self) -> int:
        return self._rows

    def numbers(self, name: str) -> np.ndarray[Any, Any]:
        """Return a column as float64; DataError at its first value that is no finite number."""
        values = self._plain_numbers(name)
        return super().numbers(name) if values is None else values

    def labels(self, name: str) -> np.ndarray[Any, Any]:
        """Return a column as int64 if all values are whole numbers, as float64 if all are
        numbers, else as text. A missing value is a DataError.
        """
        import numpy as np

        values = self._plain_numbers(name)
        if values is not None:
            return self._whole_where_possible(values)
        texts = [text.strip() for text in self._columns.get(name, ())]
        if all(texts) and any(map(_is_no_number, texts)):
            return np.array(texts, dtype=np.str_)
        return super().labels(name)

    def _plain_numbers(self, name: str) -> np.ndarray[Any, Any] | None:
        import numpy as np

        texts = self._columns.get(name)
        if texts is None or not _OF_NUMBERS.issuperset("".join(texts)):
            return None
        try:
            values = np.array([float(text) for text in texts])
        except ValueError:
            return None
        return values if np.isfinite(values).all() else None


def _is_no_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return True
    return False


def read(path: PathLike, names: list[str], separator: str) -> SmallTable | None:
    """Return a small plain CSV as a table, None for any other file."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError:
        return None
    is_plain = b'"' not in raw and raw.count(b"\r") == raw.count(b"\r\n")
    if len(raw) > LARGEST or not is_plain:
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    rows = [line.split(separator) for line in lines if line][1:]
    if any(len(row) != len(names) for row in rows):
        return None
    rows = [row for row in rows if any(row)]
    return SmallTable(path, names, rows) if rows else None
