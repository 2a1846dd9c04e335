"""What a comparison looks like where there is no terminal: plain lines, JSON lines, or nothing."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any, Protocol, TextIO

from mxtrain.console import can_redraw
from mxtrain.console.format import learning_rate, metric
from mxtrain.console.glyphs import glyphs_for, write
from mxtrain.console.jsonl import dumps
from mxtrain.console.standings import Line, closing, columns_of, opening, reasons, trials_done
from mxtrain.trainer.compare.report import CompareInfo, CompareReporter, Comparison, TrialRow


class ConsoleCompareReporter(CompareReporter, Protocol):
    """A reporter that owns part of the terminal until it is closed."""

    def close(self) -> None:
        """Give the terminal back; safe to call twice, and after an exception."""


def make_compare_reporter(json: bool, quiet: bool, stream: TextIO) -> ConsoleCompareReporter:
    """Return the reporter for `stream`: live on a terminal, plain lines anywhere else.

    `json` asks for JSON lines and `quiet` for silence; with both, the one line is the result.
    """
    if json:
        return JsonComparison(stream, only_result=quiet)
    if quiet:
        return QuietComparison(sys.stderr)
    if can_redraw(stream):
        from mxtrain.console.leaderboard import LiveLeaderboard

        return LiveLeaderboard(stream)
    return PlainComparison(stream)


class PlainComparison:
    """Writes a line for each trial that has ended, and in the end the table."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._glyphs = glyphs_for(stream)

    def start(self, info: CompareInfo) -> None:
        """Write what will be compared."""
        self._goal, self._columns = (
            info.goal,
            columns_of(info.goal, info.num_epoch - info.begin_epoch, info.rows),
        )
        self._rows = {row.number: row for row in info.rows}
        self._labelled(opening(info, self._glyphs))
        write(self._stream, "")

    def update(self, row: TrialRow) -> None:
        """Write the line of a trial once it has ended."""
        self._rows[row.number] = row
        if row.status in ("waiting", "running", "interrupted"):
            return
        parts = [f"{trials_done(list(self._rows.values()))[1]}/{len(self._rows)}", row.label]
        if row.rate is not None:
            parts.append(f"lr {learning_rate(row.rate)}")
        if row.best is not None:
            goal = f"best {self._goal.side} {self._goal.name}"
            parts.append(f"{goal} {metric(row.best)} in epoch {row.best_epoch}")
        write(self._stream, "  ".join([*parts, row.status]))

    def finish(self, result: Comparison) -> None:
        """Write the table, and where everything is."""
        write(self._stream, "")
        lines = [*self._columns.heading(self._glyphs)]
        lines += [self._columns.row(place, row, "") for place, row in enumerate(result.rows, 1)]
        for pieces in lines:
            write(self._stream, "".join(text for text, _ in pieces).rstrip())
        write(self._stream, "")
        notes = reasons(result)
        if notes:
            self._labelled(notes)
            write(self._stream, "")
        self._labelled(closing(result, self._glyphs))

    def close(self) -> None:
        """Do nothing: every line is out already."""

    def _labelled(self, lines: list[Line]) -> None:
        width = max((len(label) for label, _ in lines), default=0)
        for label, text in lines:
            write(self._stream, f"{label:<{width}}  {text}".rstrip())


class JsonComparison:
    """Writes JSON lines with an ``event``: ``start``, ``trial`` and ``finish``.

    There is a ``trial`` for each of them that begins, finishes an epoch or ends.
    """

    def __init__(self, stream: TextIO, only_result: bool = False) -> None:
        self._stream, self._only_result = stream, only_result
        self._said: dict[int, tuple[str, int]] = {}

    def start(self, info: CompareInfo) -> None:
        """Write everything known before the first batch."""
        if not self._only_result:
            self._write("start", asdict(info))

    def update(self, row: TrialRow) -> None:
        """Write how a trial stands, unless it is within an epoch."""
        if self._only_result or self._said.get(row.number) == (row.status, row.epochs):
            return
        self._said[row.number] = row.status, row.epochs
        self._write("trial", asdict(row))

    def finish(self, result: Comparison) -> None:
        """Write the result."""
        self._write("finish", asdict(result))

    def close(self) -> None:
        """Do nothing: every line is out already."""

    def _write(self, event: str, values: dict[str, Any]) -> None:
        self._stream.write(dumps({"event": event} | values) + "\n")
        self._stream.flush()


class QuietComparison:
    """Shows only a comparison that did not end as asked."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def start(self, info: CompareInfo) -> None:
        """Show nothing."""

    def update(self, row: TrialRow) -> None:
        """Show nothing."""

    def finish(self, result: Comparison) -> None:
        """Say that it was interrupted, or that nothing learned, and why."""
        if result.status == "done":
            return
        write(self._stream, f"{result.status} (written to {result.output})")
        for label, text in reasons(result):
            write(self._stream, f"{label}: {text}")

    def close(self) -> None:
        """Do nothing."""
