"""The columns of the table of epochs: which fit the width at hand, and how they are headed.

The layout is tried in this order until it fits: whole names; abbreviated names; abbreviated names
one space apart; then the same again with the least important column left out, and so on. What is
left out is still in the run's ``metrics.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mxtrain.console.format import METRIC_WIDTH, duration, learning_rate, metric, per_second
from mxtrain.console.format import short_name as abbreviation
from mxtrain.console.glyphs import Glyphs
from mxtrain.trainer.report import EpochRow, Progress, RunInfo

Pieces = list[tuple[str, str]]
# Headings of the columns that only some runs have, and their rank.
_SHOWN = {"loss_scale": "scale", "skipped_updates": "skipped"}
_EXTRA = 92.0


@dataclass(frozen=True)
class Column:
    """One column: `group` is ``train``, ``eval`` or empty; a high `rank` is left out first."""

    group: str
    name: str
    short: str
    width: int
    rank: float


@dataclass(frozen=True)
class Layout:
    """Columns chosen for a width: their headings, widths and the spaces between them."""

    columns: tuple[Column, ...]
    headings: tuple[str, ...]
    widths: tuple[int, ...]
    gap: int

    @property
    def width(self) -> int:
        """The characters of a line."""
        return sum(self.widths) + self.gap * (len(self.widths) - 1)

    def heading(self, glyphs: Glyphs) -> list[Pieces]:
        """Return the lines above the rows: group names, column names, a rule."""
        names: Pieces = []
        for heading, width in zip(self.headings, self.widths, strict=True):
            names.append((heading.rjust(width) + " " * self.gap, "bold"))
        rule = [((glyphs.rule * width) + " " * self.gap, "dim") for width in self.widths]
        return [self._groups(glyphs), names, rule]

    def _groups(self, glyphs: Glyphs) -> Pieces:
        spans: list[tuple[str, int]] = []
        for column, width in zip(self.columns, self.widths, strict=True):
            if column.group and spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + self.gap + width)
            else:
                spans.append((column.group, width))
        gap = " " * self.gap
        return [(_label(group, width, glyphs.rule) + gap, "dim") for group, width in spans]

    def row(self, cells: Mapping[tuple[str, str], str], style: str) -> Pieces:
        """Return a line of right-aligned cells."""
        texts = [cells.get((column.group, column.name), "") for column in self.columns]
        aligned = (text.rjust(width) for text, width in zip(texts, self.widths, strict=True))
        return [((" " * self.gap).join(aligned), style)]


def _label(group: str, width: int, rule: str) -> str:
    """The name of a group centred on a line over its columns."""
    if not group:
        return " " * width
    return f" {group} ".center(width, rule) if len(group) + 2 <= width else group.center(width)


def columns_for(info: RunInfo) -> tuple[Column, ...]:
    """Return every column a run could show, left to right.

    The rank decides what a narrow terminal loses first: times and speed, then the metrics beyond
    the first (the last of them first, train before eval), then the rate, then train metrics. What
    only some runs tell is there where all columns fit with their whole names.
    """
    epoch_width = max(5, len(str(info.num_epoch)) + 2)
    return (
        Column("", "epoch", "epoch", epoch_width, 0),
        *_metric_columns("train", info.train_columns, (1, 5)),
        *_metric_columns("eval", info.eval_columns, (2, 3)),
        Column("", "lr", "lr", 8, 6),
        Column("", "samples/s", "samp/s", 6, 90),
        Column("", "time", "time", 7, 91),
        *(Column("", _SHOWN[name], _SHOWN[name], 8, _EXTRA) for name in info.extra_columns),
    )


def _metric_columns(
    group: str, names: tuple[str, ...], first_ranks: tuple[int, int]
) -> list[Column]:
    later = 10.5 if group == "train" else 10.0
    ranks = [*map(float, first_ranks), *(later + index for index in range(len(names)))]
    return [
        Column(group, name, abbreviation(name), METRIC_WIDTH, rank)
        for name, rank in zip(names, ranks, strict=False)
    ]


def choose_layout(columns: tuple[Column, ...], width: int) -> Layout:
    """Return the fullest layout of `columns` that is at most `width` characters wide.

    The column of rank 0 is always kept, even where nothing fits.
    """
    kept = list(columns)
    if _layout(columns, True, 2).width > width:
        kept = [column for column in columns if column.rank < _EXTRA]
    while True:
        for whole_names, gap in ((True, 2), (False, 2), (False, 1)):
            layout = _layout(tuple(kept), whole_names, gap)
            if layout.width <= width:
                return layout
        least = max(kept, key=lambda column: column.rank)
        if least.rank == 0:
            return layout
        kept.remove(least)


def _layout(columns: tuple[Column, ...], whole_names: bool, gap: int) -> Layout:
    headings = tuple(column.name if whole_names else column.short for column in columns)
    widths = tuple(
        max(column.width, len(heading)) for column, heading in zip(columns, headings, strict=True)
    )
    return Layout(columns, headings, widths, gap)


def epoch_cells(
    row: EpochRow, previous_lr: float | None, best: bool, glyphs: Glyphs
) -> dict[tuple[str, str], str]:
    """Return the cells of a finished epoch by (group, column name).

    The rate is that at the end of the epoch, with an arrow where it moved during the epoch.
    """
    mark = glyphs.best + " " if best else ""
    arrow = ""
    if row.lr_changes and previous_lr is not None and previous_lr != row.lr:
        arrow = glyphs.up if row.lr > previous_lr else glyphs.down
    cells = {("", "epoch"): f"{mark}{row.epoch}", ("", "lr"): learning_rate(row.lr) + arrow}
    cells |= {("train", name): metric(value) for name, value in row.train.items()}
    cells |= {("eval", name): metric(value) for name, value in row.eval.items()}
    cells["", "samples/s"] = per_second(row.samples_per_second)
    cells["", "time"] = duration(row.seconds)
    cells |= {("", _SHOWN[name]): f"{value:.8g}" for name, value in row.extra.items()}
    return cells


def progress_cells(progress: Progress) -> dict[tuple[str, str], str]:
    """Return the cells of the running epoch by (group, column name)."""
    cells = {("", "epoch"): str(progress.epoch), ("", "lr"): learning_rate(progress.lr)}
    cells |= {("train", name): metric(value) for name, value in progress.train.items()}
    cells["", "samples/s"] = per_second(progress.samples_per_second)
    cells["", "time"] = duration(progress.seconds)
    return cells
