"""Shows a file of arrays: a line for each, or one array in detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from mxtrain.console.fitting import Column, show_columns
from mxtrain.console.format import METRIC_WIDTH, count, metric, size
from mxtrain.console.glyphs import glyphs_for, write
from mxtrain.console.histogram import bars, sparkline
from mxtrain.console.tables import aligned
from mxtrain.inspection.arrays import ArrayReport, ArraysReport

WIDTH = 78


def show_arrays(report: ArraysReport, stream: TextIO) -> None:
    """Write what a file of arrays holds to `stream`."""
    write(stream, f"{report.file}: {title(report)}")
    for key, text in report.metadata.items():
        write(stream, f"  {key}: {text if len(text) <= 200 else text[:200] + '...'}")
    if len(report.arrays) == 1:
        _show_one(report.arrays[0], stream)
    elif report.arrays:
        show_columns(_columns(report.arrays, stream), stream)


def title(report: ArraysReport) -> str:
    """Return the file in a line: its format, arrays, elements and size."""
    types = list(dict.fromkeys(row.dtype for row in report.arrays))
    some = f"{len(report.arrays)} of " if len(report.arrays) < report.all_arrays else ""
    parts = [
        report.format,
        f"{some}{count(report.all_arrays, 'array')}",
        count(report.parameters, "parameter"),
        size(report.nbytes),
        *([types[0]] if len(types) == 1 else []),
        *([] if report.named else ["without names"]),
    ]
    return ", ".join(parts)


def _columns(rows: Sequence[ArrayReport], stream: TextIO) -> list[Column]:
    """All columns; a terminal does without those that would say the same in every row."""
    unicode = glyphs_for(stream).unicode
    found = [row.statistics for row in rows]
    everything = not stream.isatty()
    columns = [
        Column("name", [row.name for row in rows], right=False),
        Column("shape", [shape_text(row.shape) for row in rows], right=False),
    ]
    if everything or len({row.dtype for row in rows}) > 1:
        columns.append(Column("dtype", [row.dtype for row in rows], 1, right=False))
    columns += [
        Column("bytes", [count(row.nbytes) for row in rows], 6),
        Column("min", [number(each.min) for each in found]),
        Column("max", [number(each.max) for each in found]),
        Column("mean", [number(each.mean) for each in found], 3),
        Column("std", [number(each.std) for each in found], 3.5),
    ]
    for header, rank in (("nan", 0), ("inf", 0), ("zeros", 5)):
        counts = [getattr(each, header) for each in found]
        if everything or any(counts):
            columns.append(Column(header, [count(each) for each in counts], rank))
    if any(row.storage != "dense" for row in rows):
        columns.append(Column("storage", [row.storage for row in rows], 2, right=False))
    drawn = [sparkline(row.histogram.counts, unicode) if row.histogram else "" for row in rows]
    return [*columns, Column("histogram", drawn, 4, right=False)]


def number(value: int | float | None) -> str:
    """Return a value in six characters; a whole number that fits stays whole.

    >>> number(12), number(0.5), number(2**40), number(None)
    ('12', '0.5000', '1.1e12', '-')
    """
    if isinstance(value, int) and len(str(value)) <= METRIC_WIDTH:
        return str(value)
    return metric(value)


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as ``2x3``; a single number has none.

    >>> shape_text((2, 3)), shape_text(())
    ('2x3', 'scalar')
    """
    return "x".join(map(str, shape)) or "scalar"


def _show_one(row: ArrayReport, stream: TextIO) -> None:
    found = row.statistics
    facts = [
        ("name", row.name),
        ("shape", f"{shape_text(row.shape)}, {count(found.size, 'value')}"),
        ("dtype", f"{row.dtype}, {size(row.nbytes)}"),
        *([("storage", row.storage)] if row.storage != "dense" else []),
        *((name, _precise(getattr(found, name))) for name in ("min", "max", "mean", "std")),
        *((name, _share(getattr(found, name), found.size)) for name in ("zeros", "nan", "inf")),
    ]
    for line in aligned(facts):
        write(stream, line)
    if row.histogram is not None and row.histogram.high > row.histogram.low:
        write(stream, "")
        drawn = row.histogram
        unicode = glyphs_for(stream).unicode
        for line in bars(drawn.counts, drawn.low, drawn.high, WIDTH, unicode):
            write(stream, line)
    if row.first:
        write(stream, "")
        write(stream, "first values" if len(row.first) < found.size else "values")
        for line in _in_columns([_precise(value) for value in row.first]):
            write(stream, line)


def _precise(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _share(part: int, whole: int) -> str:
    return f"{count(part)} ({part / whole:.1%})" if part and whole else "0"


def _in_columns(texts: Sequence[str]) -> list[str]:
    width = max(map(len, texts))
    per_line = max(WIDTH // (width + 2), 1)
    lines = [texts[start : start + per_line] for start in range(0, len(texts), per_line)]
    return ["  ".join(text.rjust(width) for text in line) for line in lines]
