"""The lines at the end of a run: how it ended, its best epoch, and where everything is."""

from __future__ import annotations

import re
from pathlib import Path

from mxtrain.console.format import count, duration, metric
from mxtrain.console.glyphs import Glyphs
from mxtrain.console.tables import Sheet
from mxtrain.trainer.report import Profiled, RunResult

Line = tuple[str, str]


def closing(result: RunResult, glyphs: Glyphs) -> list[Line]:
    """Return (label, text) lines that say how the run ended and what it wrote."""
    lines: list[Line] = [(result.status, _took(result))]
    lines += [("", line) for line in result.reason.splitlines()]
    if result.best_epoch is not None:
        lines.append(("best", _best(result)))
    if result.skipped_updates:
        lines.append(("skipped", _skipped(result)))
    if result.weights:
        lines.append(("weights", _weights(result)))
    if result.output:
        lines.append(("written to", result.output))
        if result.files:
            lines.append(("", "  ".join(_files(result, glyphs))))
    return lines


def _took(result: RunResult) -> str:
    return f"{count(result.epochs, 'epoch')} in {duration(result.seconds)}"


def _best(result: RunResult) -> str:
    epoch = f"epoch {result.best_epoch}"
    file = f" ({result.best_weights})" if result.best_weights else ""
    if result.best_metric is None:
        return epoch + file
    side, _, name = result.best_metric.partition("_")
    return f"{epoch}, {side} {name} {metric(result.best_value)}{file}"


def _skipped(result: RunResult) -> str:
    updates = count(result.skipped_updates, "update")
    return f"{updates}, whose gradients overflowed; the loss scale is {result.loss_scale:.6g} now"


def _weights(result: RunResult) -> str:
    if result.restored:
        return f"{result.weights}, restored from the best epoch"
    return result.weights


def _files(result: RunResult, glyphs: Glyphs) -> list[str]:
    """File names inside the run's folder; a numbered series is shown by its two ends."""
    names = [_inside(Path(result.output), name) for name in result.files]
    series: dict[str, list[str]] = {}
    for name in names:
        series.setdefault(re.sub(r"\d{4,}", "NNNN", name), []).append(name)
    shown = []
    for members in series.values():
        if len(members) > 2:
            shown.append(f"{members[0]} {glyphs.dots} {members[-1]} ({len(members)} files)")
        else:
            shown += members
    return shown


def _inside(folder: Path, name: str) -> str:
    path = Path(name)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else name


def profile_sheets(profile: Profiled, limit: int = 20) -> list[Sheet]:
    """Return the phases of a profiled run, and its slowest nodes."""
    phases = [
        (one.phase, f"{one.calls:,}", *_times(one.seconds, one.floor, profile))
        for one in profile.phases
    ]
    nodes = [
        (one.node, one.phase, f"{one.calls:,}", *_times(one.seconds, one.floor, profile))
        for one in profile.nodes[:limit]
    ]
    numbers = ("calls", "ms", "share", "floor")
    return [
        Sheet(("phase", *numbers), phases, right=(1, 2, 3, 4), title="where the time went"),
        Sheet(("node", "phase", *numbers), nodes, right=(2, 3, 4, 5), title="nodes, slowest first"),
    ]


def profile_note(profile: Profiled) -> str:
    """Return what the column ``floor`` means."""
    return (
        "floor: the share of the time that matrix products need at "
        f"{profile.product_rate / 1e9:.0f} GFLOP/s, and the update at "
        f"{profile.copy_rate / 1e9:.0f} GB/s, as measured after the run. Batches ran one by one."
    )


def _times(seconds: float, floor: float | None, profile: Profiled) -> tuple[str, str, str]:
    share = seconds / max(profile.seconds, 1e-9)
    of_floor = "" if floor is None else f"{floor / max(seconds, 1e-9):.0%}"
    return f"{seconds * 1000:.2f}", f"{share:.1%}", of_floor
