"""The leaderboard of a comparison on a terminal: one region, redrawn a few times a second.

The best trial stands on top. Where not all of them fit the screen, those that are running and the
best of the others are shown, with the number of those left out. In the end the whole table is
printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mxtrain.console.columns import Pieces
from mxtrain.console.format import clock, count
from mxtrain.console.glyphs import Glyphs, glyphs_for
from mxtrain.console.live import Frame
from mxtrain.console.standings import (
    Columns,
    Line,
    closing,
    columns_of,
    opening,
    reasons,
    trials_done,
)
from mxtrain.trainer.compare.report import FAILED, CompareInfo, Comparison, TrialRow, ranked

SECONDS_BETWEEN_FRAMES = 0.25
_STYLES = {"running": "cyan", "waiting": "dim", **dict.fromkeys(FAILED, "red")}
_STATUS_STYLES = {"done": "bold green", "failed": "bold red"}


class LiveLeaderboard:
    """Draws a comparison on a terminal.

    Parameters
    ----------
    stream : the terminal.
    console : the rich console to draw on instead of a new one on `stream`.
    now : the clock in seconds, replaceable in tests.
    """

    def __init__(
        self,
        stream: TextIO,
        console: Console | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(file=stream, highlight=False)
        self._glyphs: Glyphs = glyphs_for(stream)
        self._now = now
        self._live: Live | None = None
        self._rows: dict[int, TrialRow] = {}
        self._last_drawn = float("-inf")
        self._started = 0.0

    def start(self, info: CompareInfo) -> None:
        """Print what will be compared and open the region."""
        self._labelled(opening(info, self._glyphs), "cyan")
        self._console.print()
        self._goal, self._columns = (
            info.goal,
            columns_of(info.goal, info.num_epoch - info.begin_epoch, info.rows),
        )
        self._rows = {row.number: row for row in info.rows}
        self._started = self._now()
        # refreshed by hand: rich's own thread would draw in the middle of a batch
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()

    def update(self, row: TrialRow) -> None:
        """Take in how a trial stands; drawn when the next frame is due."""
        self._rows[row.number] = row
        now = self._now()
        if self._live is not None and now - self._last_drawn >= SECONDS_BETWEEN_FRAMES:
            self._last_drawn = now
            self._live.update(Frame(self._lines(now)), refresh=True)

    def finish(self, result: Comparison) -> None:
        """Replace the region by the whole table and say where everything is."""
        self.close()
        layout = self._columns.fitting(self._console.width)
        self._console.print(Frame([*layout.heading(self._glyphs), *_table(layout, result.rows)]))
        self._console.print()
        notes = reasons(result)
        if notes:
            self._labelled(notes, "yellow")
            self._console.print()
        style = _STATUS_STYLES.get(result.status, "bold")
        self._labelled(closing(result, self._glyphs), style)

    def close(self) -> None:
        """Leave the terminal as it was; safe to call twice, and after an exception."""
        live, self._live = self._live, None
        if live is not None:
            live.update(Frame([]))
            live.transient = True
            live.stop()

    def _lines(self, now: float) -> list[Pieces]:
        layout = self._columns.fitting(self._console.width)
        heading = layout.heading(self._glyphs)
        order = ranked(list(self._rows.values()), self._goal)
        places = {row.number: place for place, row in enumerate(order, start=1)}
        # the bar, a line for those left out, the cursor's line
        shown = _most_wanted(order, max(self._console.height - len(heading) - 3, 1))
        lines = [*heading, *(_row(layout, places[row.number], row) for row in shown)]
        if len(shown) < len(order):
            lines.append([(f"{self._glyphs.skipped} {len(order) - len(shown)} more", "dim")])
        return [*lines, self._bar(now)]

    def _bar(self, now: float) -> Pieces:
        rows = list(self._rows.values())
        share, ended = trials_done(rows)
        elapsed = now - self._started
        words = f"{ended} of {count(len(rows), 'trial')}  elapsed {clock(elapsed)}"
        if share > 0:
            words += f"  left {clock(elapsed / share * (1 - share))}"
        length = min(self._console.width, 80) - len(words) - 12
        filled = max(int(share * length), 0)
        done, left = self._glyphs.bar_done * filled, self._glyphs.bar_left * (length - filled)
        return [(done, "cyan"), (left, "dim"), (f" {share:4.0%}  {words}", "dim")]

    def _labelled(self, lines: list[Line], style: str) -> None:
        """Print lines behind a column of labels, wrapped within their own column."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for label, text in lines:
            grid.add_row(Text(label, style), Text(text))
        self._console.print(grid)


def _most_wanted(order: list[TrialRow], room: int) -> list[TrialRow]:
    """Return the rows to show where only `room` fit: what is running, then the best."""
    running = [row for row in order if row.status == "running"][:room]
    others = [row for row in order if row.status != "running"][: room - len(running)]
    chosen = {row.number for row in (*running, *others)}
    return [row for row in order if row.number in chosen]


def _table(layout: Columns, rows: tuple[TrialRow, ...]) -> list[Pieces]:
    return [_row(layout, place, row) for place, row in enumerate(rows, start=1)]


def _row(layout: Columns, place: int, row: TrialRow) -> Pieces:
    style = _STYLES.get(row.status, "bold green" if place == 1 else "")
    return layout.row(place, row, style)
