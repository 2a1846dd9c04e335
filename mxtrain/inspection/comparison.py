"""How what lies at two paths differs: two files of arrays, two graphs, two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.inspection.difference import EQUAL, ArrayDifference, compare_files
from mxtrain.inspection.graph import GraphReport, NodeReport, graph_report
from mxtrain.inspection.kind import ARRAYS, GRAPH, RUN, kind_of
from mxtrain.inspection.run import RunReport, config_of, run_report
from mxtrain.trainer.saved_files import find

__all__ = ["Change", "Comparison", "compare"]

_NAMES = {ARRAYS: "a file of arrays", GRAPH: "a graph", RUN: "the folder of a run"}
_TIMES = ("samples_per_second", "seconds")  # of a run: no two agree


@dataclass(frozen=True)
class Change:
    """A value at a place that A and B do not share; None on the side that has none."""

    where: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Comparison:
    """How A and B differ.

    Attributes
    ----------
    kind : ``arrays``, ``graph`` or ``run``.
    arrays : every array of either side; of two runs, their weights.
    changes : of graphs: nodes and their attributes; of runs: settings and last metrics.
    weights : of two runs: the files that were compared.
    """

    kind: str
    arrays: tuple[ArrayDifference, ...] = ()
    changes: tuple[Change, ...] = ()
    weights: tuple[str, ...] = field(default=())

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs (by more than the tolerance)."""
        return not self.changes and all(each.found == EQUAL for each in self.arrays)

    def as_json(self) -> dict[str, Any]:
        """Return plain values; ``equal`` is `is_equal`."""
        return {"equal": self.is_equal} | asdict(self)


def compare(a: Path, b: Path, tolerance: float = 0.0) -> Comparison:
    """Compare what lies at two paths.

    Raises MXNetError where something is missing, damaged or of another kind than the other.
    """
    kind, other = kind_of(a), kind_of(b)
    if kind != other:
        raise MXNetError(
            f"{a} is {_NAMES[kind]} and {b} is {_NAMES[other]}; compare two of one kind"
        )
    if kind == ARRAYS:
        return Comparison(kind, tuple(compare_files(a, b, tolerance)))
    if kind == GRAPH:
        return Comparison(kind, changes=tuple(_graph_changes(a, b)))
    return _compare_runs(a, b, tolerance)


def _graph_changes(a: Path, b: Path) -> list[Change]:
    of_a, of_b = graph_report(a), graph_report(b)
    # Without its operators a graph cannot say which variables are auxiliary, nor name its outputs.
    known = not (of_a.unknown or of_b.unknown)
    return changed(_graph(of_a, known), _graph(of_b, known))


def _graph(report: GraphReport, known: bool) -> dict[str, Any]:
    variables = {
        f"{each.kind if known else 'variable'} {each.name}": each.attrs
        for each in report.variables
        if known or each.kind != "output"
    }
    return {"written by": report.written_by} | _nodes(report.nodes) | variables


def _nodes(nodes: Sequence[NodeReport]) -> dict[str, Any]:
    """Nodes by name; one whose name came before has its number behind it."""
    found: dict[str, Any] = {}
    for node in nodes:
        name, number = node.name, 2
        while name in found:
            name, number = f"{node.name} ({number})", number + 1
        found[name] = {"op": node.op, "inputs": list(node.inputs), **node.attrs}
    return found


def _compare_runs(a: Path, b: Path, tolerance: float) -> Comparison:
    runs = run_report(a), run_report(b)
    changes = changed(config_of(a), config_of(b))
    metrics = changed(_last_metrics(runs[0]), _last_metrics(runs[1]), "last epoch")
    changes += [change for change in metrics if not _is_within(change, tolerance)]
    of_a, of_b = (_weights(run) for run in runs)
    if of_a is None or of_b is None:
        missing = changed({"weights": of_a and str(of_a)}, {"weights": of_b and str(of_b)})
        return Comparison(RUN, changes=(*changes, *missing))
    arrays = compare_files(of_a, of_b, tolerance)
    return Comparison(RUN, tuple(arrays), tuple(changes), (str(of_a), str(of_b)))


def _last_metrics(run: RunReport) -> dict[str, Any]:
    row = run.metrics[-1] if run.metrics else {}
    return {key: value for key, value in row.items() if key not in _TIMES}


def _is_within(change: Change, tolerance: float) -> bool:
    a, b = change.a, change.b
    if type(a) is not float or type(b) is not float:
        return False
    return abs(a - b) <= tolerance * max(1.0, abs(a), abs(b))


def _weights(run: RunReport) -> Path | None:
    """Return the weights that the run ends with; None where none are saved yet."""
    if not any(each.weights for each in run.checkpoints):
        return None
    return find(run.file).weights


def changed(a: Mapping[str, Any], b: Mapping[str, Any], where: str = "") -> list[Change]:
    """Return what differs between nested mappings, each with its path.

    >>> changed({"fit": {"num_epoch": 3}}, {"fit": {"num_epoch": 5}})
    [Change(where='fit.num_epoch', a=3, b=5)]
    """
    changes = []
    for key in dict.fromkeys([*a, *b]):
        place = f"{where}.{key}" if where else str(key)
        x, y = a.get(key), b.get(key)
        if isinstance(x, Mapping) and isinstance(y, Mapping):
            changes += changed(x, y, place)
        elif isinstance(x, list) and isinstance(y, list) and _are_named(x) and _are_named(y):
            changes += changed(_by_name(x), _by_name(y), place)
        elif x != y:
            changes.append(Change(place, x, y))
    return changes


def _are_named(items: Sequence[Any]) -> bool:
    """Whether these are nodes of a network, each with a name of its own."""
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items]
    return all(isinstance(name, str) for name in names) and len(set(names)) == len(names)


def _by_name(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {str(item["name"]): item for item in items}
