"""The live table on a terminal.

Below the opening lines there is one region, redrawn a few times a second: headings, the last
epochs that fit the screen, the running epoch, a progress bar. An epoch that no longer fits is
printed above the region, so that every epoch ends up in the terminal's scrollback exactly once,
in order; the best one is then repeated below the headings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from mxtrain.console.bar import Totals, progress_line
from mxtrain.console.closing import closing, profile_note, profile_sheets
from mxtrain.console.columns import (
    Column,
    Layout,
    Pieces,
    choose_layout,
    columns_for,
    epoch_cells,
    progress_cells,
)
from mxtrain.console.format import MAX_CHANGES_LISTED, rate_changes
from mxtrain.console.glyphs import Glyphs, glyphs_for
from mxtrain.console.opening import opening
from mxtrain.console.tables import draw
from mxtrain.trainer.report import EpochRow, Progress, RunInfo, RunResult

SECONDS_BETWEEN_FRAMES = 0.25
_STATUS_STYLES = {"done": "bold green", "stopped early": "bold green", "failed": "bold red"}


@dataclass(frozen=True)
class _Epoch:
    row: EpochRow
    previous_lr: float | None


class Frame:
    """Lines handed to rich as they are: laying out a table anew each time costs too much."""

    def __init__(self, lines: Iterable[Pieces]) -> None:
        self.lines = list(lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines:
            for text, style in line:
                yield Segment(text, Style.parse(style))
            yield Segment.line()


class LiveReporter:
    """Draws a run on a terminal as a table that grows.

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
        self._columns: tuple[Column, ...] = ()
        self._window: list[_Epoch | str] = []
        self._running: Progress | None = None
        self._best: _Epoch | None = None
        self._last_lr: float | None = None
        self._totals = Totals(0)
        self._overflowed = False
        self._last_drawn = float("-inf")

    def start(self, info: RunInfo) -> None:
        """Print what will run and open the table."""
        self._labelled(opening(info, self._glyphs), "cyan")
        self._console.print()
        self._columns = columns_for(info)
        self._totals = Totals(info.num_epoch)
        # refreshed by hand: rich's own thread would draw in the middle of a batch
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()

    def progress(self, progress: Progress) -> None:
        """Draw where the running epoch stands."""
        self._running = progress
        self._draw_if_due()

    def epoch(self, row: EpochRow) -> None:
        """Add a finished epoch."""
        entry = _Epoch(row, self._last_lr)
        self._window.append(entry)
        if 0 < len(row.lr_changes) <= MAX_CHANGES_LISTED:
            changes = rate_changes(row.lr_changes, self._last_lr, self._glyphs.arrow)
            self._window.append(f"lr {changes}")
        if row.best:
            self._best = entry
        self._last_lr = row.lr
        self._running = None
        self._totals.add(row)
        self._draw_if_due()

    def notice(self, text: str) -> None:
        """Show `text` among the epochs, where it happened."""
        if self._live is None:
            self._console.print(Text(text, "yellow"))
            return
        self._window += text.splitlines()
        self._draw_if_due()

    def finish(self, result: RunResult) -> None:
        """Close the table and say how the run ended."""
        self.close()
        self._console.print()
        self._labelled(closing(result, self._glyphs), _STATUS_STYLES.get(result.status, "bold"))
        if result.profile is not None:
            for sheet in profile_sheets(result.profile):
                self._console.print()
                draw(sheet, self._console)
            self._console.print(Text(profile_note(result.profile), "dim"))

    def close(self) -> None:
        """Leave the terminal as it was; safe to call twice, and after an exception."""
        live, self._live = self._live, None
        if live is None:
            return
        self._running = None
        layout = choose_layout(self._columns, self._console.width)
        heading = [] if self._overflowed else layout.heading(self._glyphs)
        rows = [self._entry(layout, entry) for entry in self._window]
        live.update(Frame(heading + rows))
        live.vertical_overflow = "visible"
        live.stop()

    def _draw_if_due(self) -> None:
        now = self._now()
        if self._live is not None and now - self._last_drawn >= SECONDS_BETWEEN_FRAMES:
            self._draw(self._live)
            self._last_drawn = now

    def _draw(self, live: Live) -> None:
        layout = choose_layout(self._columns, self._console.width)
        heading = layout.heading(self._glyphs)
        # the running epoch, the bar, the repeated best epoch with its dots, the cursor's line
        room = max(self._console.height - len(heading) - 5, 1)
        leaving, self._window = self._window[:-room], self._window[-room:]
        if leaving:
            lines = [] if self._overflowed else heading
            self._overflowed = True
            # Goes above the region, and draws that as it was before.
            live.console.print(Frame(lines + [self._entry(layout, entry) for entry in leaving]))
        live.update(Frame(heading + self._body(layout)), refresh=True)

    def _body(self, layout: Layout) -> list[Pieces]:
        lines: list[Pieces] = []
        if self._best is not None and all(entry is not self._best for entry in self._window):
            lines.append(self._entry(layout, self._best))
            lines.append([(self._glyphs.skipped.rjust(layout.widths[0]), "dim")])
        lines += [self._entry(layout, entry) for entry in self._window]
        if self._running is not None:
            lines.append(layout.row(progress_cells(self._running), "cyan"))
        # the terminal echoes ^C behind the last character, which must not start a new line
        width = min(layout.width, self._console.width - 4)
        lines.append(progress_line(self._running, self._totals, width, self._glyphs))
        return lines

    def _entry(self, layout: Layout, entry: _Epoch | str) -> Pieces:
        if isinstance(entry, str):
            indent = " " * (layout.widths[0] + layout.gap)
            return [((indent + entry)[: self._console.width], "yellow")]
        best = entry is self._best
        cells = epoch_cells(entry.row, entry.previous_lr, best, self._glyphs)
        return layout.row(cells, "bold green" if best else "")

    def _labelled(self, lines: list[tuple[str, str]], style: str) -> None:
        """Print lines behind a column of labels, wrapped within their own column."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for label, text in lines:
            grid.add_row(Text(label, style), Text(text))
        self._console.print(grid)
