"""Plain lines for a pipe, a log or CI: one per epoch, no escape codes."""

from __future__ import annotations

from typing import TextIO

from mxtrain.console.closing import closing, profile_note, profile_sheets
from mxtrain.console.format import (
    clock,
    duration,
    learning_rate,
    metric,
    per_second,
    rate_changes,
)
from mxtrain.console.glyphs import glyphs_for, write
from mxtrain.console.opening import opening
from mxtrain.console.tables import show
from mxtrain.trainer.report import EpochRow, Progress, RunInfo, RunResult

WIDTH = 80
SECONDS_BETWEEN_LINES = 60.0
"""Within an epoch longer than this a line says now and then how far it is."""


class PlainReporter:
    """Writes a run as lines of text, each flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._glyphs = glyphs_for(stream)
        self._num_epoch = 0
        self._last_lr: float | None = None
        self._next_line_at = SECONDS_BETWEEN_LINES
        self._mean_seconds = 0.0
        self._finished = 0

    def start(self, info: RunInfo) -> None:
        """Write what will run."""
        self._num_epoch = info.num_epoch
        self._labelled(opening(info, self._glyphs))
        write(self._stream, "")

    def progress(self, progress: Progress) -> None:
        """Write a line about the running epoch, once a minute."""
        if progress.seconds < self._next_line_at:
            return
        self._next_line_at += SECONDS_BETWEEN_LINES
        parts = [
            self._epoch_label(progress.epoch),
            f"batch {progress.batch}/{progress.batches}",
            _metrics("train", progress.train),
            f"lr {learning_rate(progress.lr)}",
            f"{per_second(progress.samples_per_second)} samples/s",
            f"left {clock(progress.seconds_left)}",
        ]
        write(self._stream, "  ".join(parts))

    def epoch(self, row: EpochRow) -> None:
        """Write the line of a finished epoch."""
        self._next_line_at = SECONDS_BETWEEN_LINES
        self._finished += 1
        self._mean_seconds += (row.seconds - self._mean_seconds) / self._finished
        parts = [self._epoch_label(row.epoch), _metrics("train", row.train)]
        if row.eval:
            parts.append(_metrics("eval", row.eval))
        parts += [
            f"lr {self._rate(row)}",
            f"{per_second(row.samples_per_second)} samples/s",
            duration(row.seconds),
        ]
        if row.epoch < self._num_epoch:
            parts.append(f"left {clock(self._mean_seconds * (self._num_epoch - row.epoch))}")
        if row.extra.get("skipped_updates"):
            parts.append(f"{row.extra['skipped_updates']:.0f} skipped")
        if row.best:
            parts.append("best")
        self._last_lr = row.lr
        write(self._stream, "  ".join(parts))

    def notice(self, text: str) -> None:
        """Write `text` as it is."""
        write(self._stream, text)

    def finish(self, result: RunResult) -> None:
        """Write how the run ended."""
        write(self._stream, "")
        self._labelled(closing(result, self._glyphs))
        if result.profile is not None:
            for sheet in profile_sheets(result.profile):
                write(self._stream, "")
                show(sheet, self._stream)
            write(self._stream, profile_note(result.profile))

    def close(self) -> None:
        """Do nothing: every line is out already."""

    def _epoch_label(self, epoch: int) -> str:
        digits = len(str(self._num_epoch))
        return f"epoch {epoch:>{digits}}/{self._num_epoch}"

    def _rate(self, row: EpochRow) -> str:
        if not row.lr_changes:
            return learning_rate(row.lr)
        return rate_changes(row.lr_changes, self._last_lr, self._glyphs.arrow)

    def _labelled(self, lines: list[tuple[str, str]]) -> None:
        width = max((len(label) for label, _ in lines), default=0)
        for label, text in lines:
            for number, part in enumerate(_wrapped(text, WIDTH - width - 2)):
                write(self._stream, f"{'' if number else label:<{width}}  {part}".rstrip())


def _wrapped(text: str, width: int) -> list[str]:
    """Lines no longer than `width` where words allow it; items two spaces apart stay whole."""
    gap = "  " if "  " in text else " "
    lines: list[str] = []
    for item in text.split(gap):
        if lines and len(lines[-1]) + len(gap) + len(item) <= width:
            lines[-1] += gap + item
        else:
            lines.append(item)
    return lines


def _metrics(group: str, values: dict[str, float]) -> str:
    return " ".join([group, *(f"{name} {metric(value)}" for name, value in values.items())])
