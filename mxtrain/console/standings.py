"""What the table of a comparison has in its columns, and the lines around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from mxtrain.console.columns import Pieces
from mxtrain.console.format import (
    METRIC_WIDTH,
    count,
    duration,
    learning_rate,
    metric,
    short_name,
)
from mxtrain.console.glyphs import Glyphs
from mxtrain.trainer.compare.report import CompareInfo, Comparison, Goal, TrialRow

Line = tuple[str, str]
LABEL = 1
"""The place of the column that may be cut short."""

LONGEST_LABEL, SHORTEST_LABEL = 32, 12


@dataclass(frozen=True)
class Column:
    """One column. `name` stands in its heading, `rank` decides what a narrow terminal loses."""

    name: str
    width: int
    rank: int
    cell: Callable[[int, TrialRow], str]
    left: bool = False


@dataclass(frozen=True)
class Columns:
    """The columns of a table, two spaces apart."""

    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """The characters of a line."""
        return sum(column.width + 2 for column in self.columns) - 2

    def fitting(self, width: int) -> Columns:
        """Return the columns that fit: the label becomes shorter, then the least ones go."""
        kept = list(self.columns)
        while True:
            over = max(Columns(tuple(kept)).width - width, 0)
            label = kept[LABEL]
            shorter = replace(label, width=max(label.width - over, SHORTEST_LABEL))
            found = Columns((*kept[:LABEL], shorter, *kept[LABEL + 1 :]))
            least = max(kept, key=lambda column: column.rank)
            if found.width <= width or least.rank == 0:
                return found
            kept.remove(least)

    def heading(self, glyphs: Glyphs) -> list[Pieces]:
        """Return the lines above the rows: names, then a rule."""
        names = "  ".join(_cell(column, column.name) for column in self.columns)
        rule = "  ".join(glyphs.rule * column.width for column in self.columns)
        return [[(names, "bold")], [(rule, "dim")]]

    def row(self, place: int, row: TrialRow, style: str) -> Pieces:
        """Return the line of a trial."""
        return [("  ".join(_cell(c, c.cell(place, row)) for c in self.columns), style)]


def _cell(column: Column, text: str) -> str:
    text = _cut(text, column.width)
    return text.ljust(column.width) if column.left else text.rjust(column.width)


def _cut(text: str, width: int) -> str:
    """Cut a text that is too long, between two words where there are some.

    >>> _cut("adam beta1=0.9 wd=0.0001", 22), _cut("unfinished", 8)
    ('adam beta1=0.9 ..', 'unfinis.')
    """
    if len(text) <= width:
        return text
    words = text[: width - 2].rpartition(" ")[0]
    return f"{words} .." if words else text[: width - 1] + "."


def columns_of(goal: Goal, epochs: int, rows: Sequence[TrialRow]) -> Columns:
    """Return every column of the table of these trials, each of `epochs` epochs."""
    name = short_name(goal.name)
    label = min(max(len(row.label) for row in rows), LONGEST_LABEL)
    rates = [_or_none(learning_rate, row.rate) for row in rows]
    columns = [
        Column("#", len(str(len(rows))), 0, lambda place, row: str(place)),
        Column("optimizer", max(label, 9), 0, lambda place, row: row.label, left=True),
        Column("lr", max(map(len, rates)), 0, lambda place, row: _or_none(learning_rate, row.rate)),
        Column(name, max(METRIC_WIDTH, len(name)), 3, lambda place, row: metric(row.final)),
        Column("best", METRIC_WIDTH, 0, lambda place, row: metric(row.best)),
        Column("at", 4, 4, lambda place, row: _or_none(str, row.best_epoch)),
    ]
    if goal.name != "loss":
        columns.append(Column("loss", METRIC_WIDTH, 2, lambda place, row: metric(row.loss)))
    if goal.target is not None:
        heading = f"to {goal.target:g}"
        columns.append(
            Column(
                heading, max(len(heading), 4), 1, lambda place, row: _or_none(str, row.target_epoch)
            )
        )
    return Columns(
        (
            *columns,
            Column("s/ep", 6, 6, lambda place, row: metric(row.seconds_per_epoch)),
            Column("B/w", 4, 7, lambda place, row: _or_none(_short, row.state_bytes_per_weight)),
            Column("status", 8, 1, lambda place, row: _status(row, epochs), left=True),
        )
    )


def _or_none(shown: Callable[[float], str], value: float | None) -> str:
    return "-" if value is None else shown(value)


def _short(value: float) -> str:
    return f"{value:.3g}"


def _status(row: TrialRow, epochs: int) -> str:
    if row.status == "running":
        return f"{row.epochs}/{epochs}"
    return {"stopped early": "early", "interrupted": "stopped"}.get(row.status, row.status)


def trials_done(rows: Sequence[TrialRow]) -> tuple[float, int]:
    """Return which share of the work is done, and how many trials have ended."""
    ended = [row for row in rows if row.status not in ("waiting", "running")]
    running = sum(row.done for row in rows if row.status == "running")
    return (len(ended) + running) / max(len(rows), 1), len(ended)


def opening(info: CompareInfo, glyphs: Glyphs) -> list[Line]:
    """Return (label, text) lines that say what will be compared."""
    direction = "higher" if info.goal.higher else "lower"
    ranked = f"ranked by their best {info.goal.side} {info.goal.name} ({direction} is better)"
    data = f"{info.train_data}, {count(info.train_rows, 'row')}"
    if info.eval_data is not None:
        data += f"; eval {info.eval_data}, {count(info.eval_rows, 'row')}"
    lines = [
        ("compare", f"{info.config} {glyphs.arrow} {info.output}"),
        ("network", info.network.replace("->", glyphs.arrow)),
        (
            "",
            f"{count(info.num_parameters, 'parameter')}, the same at the start (seed {info.seed})",
        ),
        ("data", data),
        ("epochs", f"{info.num_epoch}, each {count(info.batches_per_epoch, 'batch')}"),
        ("schedule", info.lr_scheduler),
        ("trials", f"{len(info.rows)}, {ranked}"),
    ]
    if info.jobs > 1:
        threads = count(info.threads or 1, "thread")
        lines.append(("jobs", f"{info.jobs} processes of {threads} each; times are of busy cores"))
    return lines


def reasons(result: Comparison) -> list[Line]:
    """Return (label, text) lines about trials that did not end as asked, or gave a warning."""
    lines: list[Line] = []
    for row in result.rows:
        rate = "" if row.rate is None else f" lr {learning_rate(row.rate)}"
        if row.reason and row.status != "interrupted":
            lines.append((row.label + rate, f"{row.status}: {row.reason}"))
        lines += [(row.label + rate, f"warning: {text}") for text in row.warnings]
    return lines


def closing(result: Comparison, glyphs: Glyphs) -> list[Line]:
    """Return (label, text) lines that say how the comparison ended and what it wrote."""
    ended = trials_done(result.rows)[1]
    stopped = sum(row.status == "interrupted" for row in result.rows)
    text = f"{count(ended - stopped, 'trial')} in {duration(result.seconds)}"
    if stopped:
        text += f", {stopped} stopped by the user"
    lines = [(result.status, text)]
    best = result.rows[0]
    if best.best is not None:
        rate = "" if best.rate is None else f", lr {learning_rate(best.rate)}"
        goal = f"{result.goal.side} {result.goal.name} {metric(best.best)}"
        lines.append(("best", f"{best.label}{rate}: {goal} in epoch {best.best_epoch}"))
    return [*lines, ("written to", result.output), ("", "  ".join(result.files))]
