"""The line below the table: a bar, how far the epoch is, how long the run has left."""

from __future__ import annotations

from mxtrain.console.columns import Pieces
from mxtrain.console.format import clock
from mxtrain.console.glyphs import Glyphs
from mxtrain.trainer.report import EpochRow, Progress

SHORTEST_EPOCH_WITH_A_BAR = 1.0
"""Seconds; the bar of a shorter epoch would only flicker, so it shows the whole run."""


class Totals:
    """What the finished epochs of a run add up to."""

    def __init__(self, num_epoch: int) -> None:
        self.num_epoch = num_epoch
        self.epoch = 0
        self.finished = 0
        self.seconds = 0.0
        self.last_epoch_seconds = float("inf")

    def add(self, row: EpochRow) -> None:
        """Count a finished epoch in."""
        self.epoch = row.epoch
        self.finished += 1
        self.seconds += row.seconds
        self.last_epoch_seconds = row.seconds


def progress_line(progress: Progress | None, totals: Totals, width: int, glyphs: Glyphs) -> Pieces:
    """Return the line, at most `width` characters wide; a narrow one loses words, then the bar."""
    within = progress.batch / max(progress.batches, 1) if progress else 0.0
    if totals.last_epoch_seconds < SHORTEST_EPOCH_WITH_A_BAR:
        done = (totals.epoch + within) / max(totals.num_epoch, 1)
        label = "run"
    else:
        done = within
        label = f"epoch {progress.epoch if progress else totals.epoch}/{totals.num_epoch}"
    done = min(max(done, 0.0), 1.0)
    percent = f"{done:4.0%}"
    words = _words(progress, totals)
    while words and len(label) + len(percent) + sum(len(w) + 2 for w in words) + 14 > width:
        words.pop(0)
    tail = "".join("  " + word for word in words)
    length = width - len(label) - len(percent) - len(tail) - 2
    if length < 4:
        return [(f"{label} {percent}{tail}"[:width], "dim")]
    return [(label + " ", "dim"), *_bar(done, length, glyphs), (f" {percent}{tail}", "dim")]


def _words(progress: Progress | None, totals: Totals) -> list[str]:
    """What stands right of the bar, the least important first."""
    if progress is None:
        place = f"epoch {totals.epoch}/{totals.num_epoch}"
        seconds = totals.seconds
        mean = seconds / totals.finished if totals.finished else float("nan")
        left = clock(mean * (totals.num_epoch - totals.epoch))
    else:
        short = totals.last_epoch_seconds < SHORTEST_EPOCH_WITH_A_BAR
        epoch, batch = (
            f"{progress.epoch}/{totals.num_epoch}",
            f"{progress.batch}/{progress.batches}",
        )
        place = f"epoch {epoch}" if short else f"batch {batch}"
        seconds = totals.seconds + progress.seconds
        left = clock(progress.seconds_left)
    words = [place, f"elapsed {clock(seconds)}"]
    return words if left == "-" else [*words, f"left {left}"]


def _bar(done: float, length: int, glyphs: Glyphs) -> Pieces:
    filled = int(done * length)
    tip = glyphs.bar_tip if 0 < filled < length else ""
    return [
        (glyphs.bar_done * filled + tip, "cyan"),
        (glyphs.bar_left * (length - filled - len(tip)), "dim"),
    ]
