"""A curve in the terminal, in braille dots, or in stars where those cannot be shown.

>>> print(*plot([1.0, 0.5, 0.25, 0.125], width=24, height=3, unicode=False), sep="\\n")
     1 |****
       |    ****
 0.125 |        ********
       +----------------
        1              4
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mxtrain.console.format import learning_rate

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def plot(
    values: Sequence[float],
    width: int = 72,
    height: int = 12,
    unicode: bool = True,
    first: int = 1,
) -> list[str]:
    """Return the lines of a plot of `values` against their position.

    Parameters
    ----------
    values : at least one number; values that are not finite leave a gap.
    width, height : the size in characters; the labels take some of the width, and two lines
        below the plot come on top of the height.
    unicode : whether braille characters can be shown.
    first : the position of the first value, for the label below it.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ["(nothing to plot: no finite value)"]
    high, low = learning_rate(max(finite)), learning_rate(min(finite))
    margin = max(len(high), len(low)) + 1
    columns = max(width - margin - 2, 4)
    rows = _braille(values, columns, height) if unicode else _stars(values, columns, height)
    plain_axis, labelled_axis = ("│", "┤") if unicode else ("|", "|")
    is_constant = max(finite) == min(finite)  # one label then, where the curve is
    labels = {rows.index(max(rows)): high} if is_constant else {0: high, height - 1: low}
    lines = []
    for index, row in enumerate(rows):
        label = labels.get(index, "")
        axis = labelled_axis if label else plain_axis
        lines.append(f"{label:>{margin}} {axis}{row}".rstrip())
    corner, line = ("└", "─") if unicode else ("+", "-")
    lines.append(" " * (margin + 1) + corner + line * columns)
    last = str(first + len(values) - 1)
    ends = f"{first:<{max(columns - len(last), 1)}}{last}" if len(values) > 1 else str(first)
    lines.append(" " * (margin + 2) + ends)
    return lines


def _braille(values: Sequence[float], columns: int, rows: int) -> list[str]:
    cells = [[0] * columns for _ in range(rows)]
    for x, y in _dots(values, columns * 2, rows * 4):
        cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in cells]


def _stars(values: Sequence[float], columns: int, rows: int) -> list[str]:
    cells = [[" "] * columns for _ in range(rows)]
    for x, y in _dots(values, columns, rows):
        cells[y][x] = "*"
    return ["".join(row) for row in cells]


def _dots(values: Sequence[float], columns: int, rows: int) -> list[tuple[int, int]]:
    """The dots of the curve, (0, 0) at the top left; a column shows all its values cover."""
    scale = max(abs(value) for value in values if math.isfinite(value)) or 1.0
    values = [value / scale for value in values]  # so that the span of huge values is finite
    finite = [value for value in values if math.isfinite(value)]
    low, span = min(finite), max(finite) - min(finite)
    dots = []
    for x in range(columns):
        start = x * len(values) // columns
        stop = max((x + 1) * len(values) // columns, start + 1)
        heights = [value for value in values[start:stop] if math.isfinite(value)]
        if not heights:
            continue
        # a constant curve runs along the middle
        levels = [(value - low) / span if span else 0.5 for value in (min(heights), max(heights))]
        bottom, top = (round((1 - level) * (rows - 1)) for level in levels)
        dots += [(x, y) for y in range(top, bottom + 1)]
    return dots
