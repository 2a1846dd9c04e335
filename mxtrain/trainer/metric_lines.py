"""Rows of metrics as lines of ``metrics.jsonl`` and ``metrics.csv``, and such lines as rows."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]


def json_line(row: Mapping[str, Any]) -> str:
    """Return a row as a line of ``metrics.jsonl``: null for what is not finite."""
    return json.dumps({k: v if _is_finite(v) else None for k, v in row.items()}) + "\n"


def csv_line(cells: Sequence[Any]) -> str:
    """Return cells as a line of ``metrics.csv``."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def as_json(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as the content of ``metrics.jsonl``."""
    return "".join(json_line({name: row.get(name) for name in columns}) for row in rows)


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Return rows as the content of ``metrics.csv``, nothing without rows."""
    lines = [csv_line([_cell(row.get(name)) for name in columns]) for row in rows]
    return "".join([csv_line(columns), *lines]) if lines else ""


def _cell(value: Any) -> Any:
    return math.nan if value is None else value


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def json_rows(text: str) -> Iterable[Row]:
    """Yield the lines that are rows of numbers."""
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue  # what has no row is told by its epoch
        if isinstance(row, dict) and type(row.get("epoch")) is int:
            yield {name: value for name, value in row.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return value is None or type(value) in (int, float)


def csv_rows(text: str) -> Iterable[Row]:
    """Yield the rows below a header, without cells that are no numbers."""
    try:
        table = list(csv.reader(text.splitlines()))
    except csv.Error:
        return
    for cells in table[1:]:
        pairs = zip(table[0], map(_number, cells), strict=False)
        row = {name: value for name, value in pairs if value is not None}
        if type(row.get("epoch")) is int:
            yield row


def _number(cell: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue  # it may be the other kind
    return None
