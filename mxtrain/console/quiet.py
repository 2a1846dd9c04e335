"""Silence: nothing is shown unless the run did not end as asked."""

from __future__ import annotations

from typing import TextIO

from mxtrain.console.glyphs import write
from mxtrain.trainer.report import EpochRow, Progress, Reporter, RunInfo, RunResult


class QuietReporter:
    """Shows only how the run ended: a failure or interruption, or whatever `last` makes of it.

    Parameters
    ----------
    stream : where a run that was interrupted or failed is mentioned (standard error).
    last : a reporter that is given the result alone, instead.
    """

    def __init__(self, stream: TextIO, last: Reporter | None = None) -> None:
        self._stream = stream
        self._last = last

    def start(self, info: RunInfo) -> None:
        """Show nothing."""

    def progress(self, progress: Progress) -> None:
        """Show nothing."""

    def epoch(self, row: EpochRow) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Show nothing; the run's ``log.txt`` has it."""

    def finish(self, result: RunResult) -> None:
        """Show the result where it is wanted or not the one asked for."""
        if self._last is not None:
            self._last.finish(result)
        elif result.status in {"failed", "interrupted"}:
            reason = f": {result.reason}" if result.reason else ""
            write(self._stream, f"{result.status}{reason} (written to {result.output})")

    def close(self) -> None:
        """Do nothing."""
