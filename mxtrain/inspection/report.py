"""What lies at a path, whatever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.inspection.arrays import ArraysReport, arrays_report
from mxtrain.inspection.graph import GraphReport, graph_report
from mxtrain.inspection.kind import ARRAYS, GRAPH, RUN, kind_of
from mxtrain.inspection.run import RunReport, run_report
from mxtrain.inspection.state import StateReport, state_report

__all__ = ["Report", "StateFileReport", "as_json", "report_of"]

_OF_A_STATE = {"sha256", "data_sha256", "mxtrain"}  # the metadata of a run's state


@dataclass(frozen=True)
class StateFileReport:
    """A run's state: its metadata, and its arrays."""

    state: StateReport
    arrays: ArraysReport


Report = ArraysReport | StateFileReport | GraphReport | RunReport


def report_of(path: Path, patterns: Sequence[str] = ()) -> Report:
    """Look into a file or the folder of a run; `patterns` choose arrays by name.

    Raises MXNetError for what is not there, is damaged or is something else, and where there are
    patterns but no arrays.
    """
    kind = kind_of(path)
    if kind == ARRAYS:
        found = arrays_report(path, patterns)
        if found.metadata.keys() >= _OF_A_STATE:
            return StateFileReport(state_report(path), found)
        return found
    if patterns:
        raise MXNetError(f"{path} has no arrays of which --name could choose")
    return graph_report(path) if kind == GRAPH else run_report(path)


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as plain values; its key ``kind`` says which it is."""
    if isinstance(report, StateFileReport):
        return {"kind": "state"} | as_json(report.arrays) | asdict(report.state)
    if isinstance(report, ArraysReport):
        totals = {"parameters": report.parameters, "bytes": report.nbytes}
        return {"kind": ARRAYS} | asdict(report) | {"totals": totals}
    kind = GRAPH if isinstance(report, GraphReport) else RUN
    return {"kind": kind} | asdict(report)
