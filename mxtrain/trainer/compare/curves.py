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
    """One plot over the epochs. `mark` is a level that is pointed out."""

    title: str
    lines: tuple[Line, ...]
    log: bool = False
    mark: float | None = None

    def span(self) -> tuple[float, float]:
        """Return the lowest and highest value shown."""
        values = [y for line in self.lines for _, y in line.points]
        if self.mark is not None:
            values.append(self.mark)
        return min(values), max(values)


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
        panel = Panel(f"{side} {name}", lines)
        low, high = panel.span()
        log = name == "loss" and low > 0 and high > LOG_FROM * low
        mark = goal.target if (side, name) == (goal.side, goal.name) else None
        panels.append(Panel(panel.title, lines, log, mark if not log or (mark or 0) > 0 else None))
    return panels


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
