"""Whoever a comparison reports to: when nobody listens any more, it still ends in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.trainer.compare.report import CompareInfo, CompareReporter, Comparison, TrialRow


class CompareAudience:
    """Passes everything on to a reporter until that cannot write (a closed pipe, a full disk).

    `lost` is the error it then raised; afterwards nothing is passed on. No trial is blamed for it.
    """

    def __init__(self, reporter: CompareReporter) -> None:
        self._reporter = reporter
        self.lost: OSError | None = None

    def start(self, info: CompareInfo) -> None:
        """Show what will be compared."""
        self._tell(self._reporter.start, info)

    def update(self, row: TrialRow) -> None:
        """Show how a trial stands now."""
        self._tell(self._reporter.update, row)

    def finish(self, result: Comparison) -> None:
        """Show the table and where everything was written."""
        self._tell(self._reporter.finish, result)

    def _tell(self, method: Callable[[Any], None], what: Any) -> None:
        if self.lost is None:
            try:
                method(what)
            except OSError as error:
                self.lost = error
