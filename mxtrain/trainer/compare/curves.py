"""What the curves of a comparison show: panels of lines, however they are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mxtrain.trainer.compare.report import FAILED, TrialRow
from mxtrain.trainer.compare.scores import Scores

COLORS = (
    "#1f77b4",
    "#d62728",
    "#2ca02c",
    "#9467bd",
    "#ff7f0e",
    "#17becf",
    "#8c564b",
    "#e377c2",
    "#7f7f7f",
    "#bcbd22",
)
DASHES = ((), (6, 3), (2, 2), (9, 3, 2, 3))
"""Lengths of strokes and gaps; a colour comes back with the next of them."""

# A loss that spans more than this factor is shown on a logarithmic axis.
LOG_FROM = 20.0
# The share of the values that may be left out so that the others can be told apart.
WORST = 0.2


@dataclass(frozen=True)
class Line:
    """One curve: its `key` in the legend, its points, and whether the trial failed at its end."""

    key: str
    color: str
    dash: tuple[int, ...]
    points: tuple[tuple[float, float], ...]
    failed: bool


@dataclass(frozen=True)
class Panel:
    """One plot over the epochs, from `low` to `high`; `mark` is a level that is pointed out.

    Lines may leave the plot: they are cut off there.
    """

    title: str
    lines: tuple[Line, ...]
    low: float
    high: float
    log: bool = False
    mark: float | None = None


def panels_of(scores: Scores) -> list[Panel]:
    """Return the compared metric and the losses, best trial first; none before the first epoch."""
    goal = scores.goal
    shown = [row for row in scores.ranked() if row.epochs]
    wanted = [(goal.side, goal.name), ("eval", "loss"), ("train", "loss")]
    panels = []
    for side, name in dict.fromkeys(wanted):
        lines = tuple(
            line
            for place, row in enumerate(shown)
            if (line := _line(scores, shown, place, row, side, name)).points
        )
        if not lines:
            continue
        mark = goal.target if (side, name) == (goal.side, goal.name) else None
        panels.append(_panel(f"{side} {name}", lines, name == "loss", goal.higher, mark))
    return panels


def _panel(
    title: str, lines: tuple[Line, ...], loss: bool, higher: bool, mark: float | None
) -> Panel:
    values = sorted(y for line in lines for _, y in line.points)
    low, high = values[0], values[-1]
    log = loss and low > 0 and high > LOG_FROM * low
    if log and (mark is None or mark <= 0):
        return Panel(title, lines, low, high, log)
    if not log:
        low, high, part = _good_part(values, higher and not loss)
        title += part
    shown = [low, high, *([] if mark is None else [mark])]
    return Panel(title, lines, min(shown), max(shown), log, mark)


def _good_part(values: list[float], higher: bool) -> tuple[float, float, str]:
    """Return the range to show of sorted values, and words that say so where it is not all.

    The worst values are left out where the others would else share less than half of the plot.
    """
    low, high, left_out = values[0], values[-1], int(len(values) * WORST)
    inner = values[left_out] if higher else values[-1 - left_out]
    kept = (inner, high) if higher else (low, inner)
    if 0 < kept[1] - kept[0] < (high - low) / 2:
        return *kept, f" (worst {WORST:.0%} of the values not shown)"
    return low, high, ""


def _line(
    scores: Scores, shown: list[TrialRow], place: int, row: TrialRow, side: str, name: str
) -> Line:
    points = tuple(
        (float(point.epoch), value)
        for point in scores.points[row.number]
        if math.isfinite(value := point.values(side).get(name, math.nan))
    )
    several = sum(other.label == row.label for other in shown) > 1
    rate = f" lr {row.rate:g}" if several and row.rate is not None else ""
    dash = DASHES[place // len(COLORS) % len(DASHES)]
    color = COLORS[place % len(COLORS)]
    return Line(row.label + rate, color, dash, points, row.status in FAILED)
