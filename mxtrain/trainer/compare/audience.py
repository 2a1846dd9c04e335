"""Whoever a comparison reports to: when nobody listens any more, it still ends in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxtrain.trainer.audience import Listener

if TYPE_CHECKING:
    from mxtrain.trainer.compare.report import CompareInfo, CompareReporter, Comparison, TrialRow


class CompareAudience(Listener):
    """Passes everything on to a reporter; no trial is blamed where that cannot write."""

    def __init__(self, reporter: CompareReporter) -> None:
        super().__init__()
        self._reporter = reporter

    def start(self, info: CompareInfo) -> None:
        """Show what will be compared."""
        self._tell(self._reporter.start, info)

    def update(self, row: TrialRow) -> None:
        """Show how a trial stands now."""
        self._tell(self._reporter.update, row)

    def finish(self, result: Comparison) -> None:
        """Show the table and where everything was written."""
        self._tell(self._reporter.finish, result)
