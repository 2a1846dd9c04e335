"""Whoever a run reports to: when nobody listens any more, the run still ends in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.trainer.report import EpochRow, Progress, Reporter, RunInfo, RunResult


class Listener:
    """Is told things until it cannot write them (a closed pipe, a full disk).

    `lost` is the error it then raised; afterwards it is told nothing.
    """

    def __init__(self) -> None:
        self.lost: OSError | None = None

    def _tell(self, method: Callable[[Any], None], what: Any) -> None:
        if self.lost is None:
            try:
                method(what)
            except OSError as error:
                self.lost = error


class Audience(Listener):
    """Passes everything on to the reporter of a run."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def start(self, info: RunInfo) -> None:
        """Show what will run."""
        self._tell(self._reporter.start, info)

    def progress(self, progress: Progress) -> None:
        """Show where the running epoch stands."""
        self._tell(self._reporter.progress, progress)

    def epoch(self, row: EpochRow) -> None:
        """Show a finished epoch."""
        self._tell(self._reporter.epoch, row)

    def notice(self, text: str) -> None:
        """Show something the user should know."""
        self._tell(self._reporter.notice, text)

    def finish(self, result: RunResult) -> None:
        """Show how the run ended."""
        self._tell(self._reporter.finish, result)
