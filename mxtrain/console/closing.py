"""The lines at the end of a run: how it ended, its best epoch, and where everything is."""

from __future__ import annotations

import re
from pathlib import Path

from mxtrain.console.format import count, duration, metric
from mxtrain.console.glyphs import Glyphs
from mxtrain.console.tables import Sheet
from mxtrain.trainer.report import RunResult

Line = tuple[str, str]


def closing(result: RunResult, glyphs: Glyphs) -> list[Line]:
    """Return (label, text) lines that say how the run ended and what it wrote."""
    lines: list[Line] = [(result.status, _took(result))]
    lines += [("", line) for line in result.reason.splitlines()]
    if result.best_epoch is not None:
        lines.append(("best", _best(result)))
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


def kernel_sheet(result: RunResult, limit: int = 30) -> Sheet:
    """Return the slowest kernels of a profiled run: node, kernel, calls, milliseconds, share."""
    total = sum(seconds for *_, seconds in result.kernels) or 1.0
    slowest = sorted(result.kernels, key=lambda kernel: -kernel[3])[:limit]
    rows = [
        (node, kernel, f"{calls:,}", f"{seconds * 1000:.2f}", f"{seconds / total:.1%}")
        for node, kernel, calls, seconds in slowest
    ]
    headers = ("node", "kernel", "calls", "ms", "share")
    return Sheet(headers, rows, right=(2, 3, 4), title="kernels, slowest first")
