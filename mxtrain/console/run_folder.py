"""Shows the folder of a run, and the state in one of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from mxtrain.console.fitting import Column, show_columns
from mxtrain.console.format import count, metric, size
from mxtrain.console.glyphs import Glyphs, glyphs_for, write
from mxtrain.console.tables import Sheet, show
from mxtrain.inspection.run import CheckpointReport, RunReport
from mxtrain.inspection.state import StateReport

Line = tuple[str, str]
MOST_NODES = 6


def show_run(report: RunReport, stream: TextIO) -> None:
    """Write what lies in the folder of a run to `stream`."""
    glyphs = glyphs_for(stream)
    write(stream, f"{report.file}: run, {report.status}, {_progress(report)}")
    _show_lines([*_config(report.config, glyphs), *_metrics(report)], stream)
    for note in report.notes:
        write(stream, f"note: {note}")
    if report.checkpoints:
        write(stream, "")
        _show_checkpoints(report.checkpoints, stream, glyphs)
    write(stream, "")
    rows = [(name, size(nbytes)) for name, nbytes in report.files]
    show(Sheet(("file", "size"), rows, right=(1,)), stream)


def _progress(report: RunReport) -> str:
    if report.num_epoch is None:
        return count(report.epochs, "epoch")
    return f"{report.epochs} of {count(report.num_epoch, 'epoch')}"


def _config(config: dict[str, Any], glyphs: Glyphs) -> list[Line]:
    """The config in a few lines."""
    data, fit = (config.get(key) or {} for key in ("data", "fit"))
    lines = [("network", _network(config.get("symbol"), glyphs))]
    for label, section in (("data", data), ("", fit)):
        if not isinstance(section, dict):
            continue
        sides = [(side, section[side]) for side in ("train", "eval") if side in section]
        for side, source in sides:
            lines.append((label, f"{side} {_source(source)}"))
            label = ""
    batch = data.get("batch_size") if isinstance(data, dict) else None
    lines.append(("batch size", f"{batch}, seed {config.get('seed')}"))
    lines += [
        (key.replace("lr_scheduler", "schedule"), _call(config[key]))
        for key in ("optimizer", "lr_scheduler")
        if config.get(key) is not None
    ]
    return [(label, text) for label, text in lines if text]


def _network(symbol: Any, glyphs: Glyphs) -> str:
    if not isinstance(symbol, list):
        return _call(symbol)
    names = [str(node.get("name") or node.get("op")) for node in symbol if isinstance(node, dict)]
    if len(names) > MOST_NODES:
        middle = f"{glyphs.dots} {len(names) - MOST_NODES} more {glyphs.dots}"
        names = [*names[:3], middle, *names[-3:]]
    return ", ".join(names)


def _source(source: Any) -> str:
    if not isinstance(source, dict):
        return str(source)
    return ", ".join(str(source[key]) for key in ("path", "images", "fraction") if key in source)


def _call(value: Any) -> str:
    """Return ``{name: sgd, momentum: 0.9}`` as ``sgd(momentum=0.9)``."""
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    settings = ", ".join(f"{key}={item}" for key, item in value.items() if key != "name")
    name = value.get("name", "")
    return f"{name}({settings})" if settings else str(name)


def _metrics(report: RunReport) -> list[Line]:
    if not report.metrics:
        return []
    by_epoch = {row["epoch"]: row for row in report.metrics}
    lines = [("last", _row(report.metrics[-1]))]
    if report.best_epoch in by_epoch:
        lines.append(("best", _row(by_epoch[report.best_epoch])))
    return lines


def _row(row: dict[str, Any]) -> str:
    """The metrics of an epoch, those of the eval rows where there are any."""
    side = "eval_" if any(key.startswith("eval_") for key in row) else "train_"
    values = [
        f"{key.removeprefix(side)} {_value(value)}"
        for key, value in row.items()
        if key.startswith(side)
    ]
    return f"epoch {row['epoch']}, {side[:-1]} {', '.join(values)}"


def _value(value: Any) -> str:
    return metric(float(value)) if isinstance(value, int | float) else "not finite"


def _show_checkpoints(
    checkpoints: Sequence[CheckpointReport], stream: TextIO, glyphs: Glyphs
) -> None:
    columns = [
        Column("epoch", [_place(each, glyphs) for each in checkpoints]),
        Column("weights", [each.weights or "-" for each in checkpoints], right=False),
        Column("state", [_state(each) for each in checkpoints], right=False),
        Column("size", [size(each.nbytes) for each in checkpoints]),
    ]
    show_columns(columns, stream)
    for each in checkpoints:
        if each.problem:
            write(stream, f"{each.state}: {each.problem}")


def _place(checkpoint: CheckpointReport, glyphs: Glyphs) -> str:
    best = f"{glyphs.best} " if checkpoint.best else ""
    within = f", batch {checkpoint.batch}" if checkpoint.batch else ""
    return f"{best}{checkpoint.epoch}{within}"


def _state(checkpoint: CheckpointReport) -> str:
    if checkpoint.problem:
        return "broken"
    return "whole, resumes" if checkpoint.state else "-"


def show_state(state: StateReport, file: str, stream: TextIO) -> None:
    """Write what the state of a run says to `stream`."""
    within = f", {state.batch} batches of the next" if state.batch else ""
    found = "whole" if state.is_whole else "broken"
    write(stream, f"{file}: state of a run after {count(state.epoch, 'epoch')}{within}; {found}")
    lines = [
        ("weights", state.weights),
        ("best weights", state.best_weights),
        ("ends with", "its best weights" if state.restores_best else "its last weights"),
        ("versions", ", ".join(f"{key} {value}" for key, value in state.versions.items())),
    ]
    _show_lines([line for line in lines if line[1]], stream)
    write(stream, "")
    rows = [(each.name, each.found, each.sha256[:16]) for each in state.files]
    show(Sheet(("needs", "is", "SHA-256"), rows), stream)
    write(stream, "")


def _show_lines(lines: Sequence[Line], stream: TextIO) -> None:
    import textwrap

    width = max((len(label) for label, _ in lines), default=0) + 2
    for label, text in lines:
        room = max(80 - width, 20) if stream.isatty() else 10**6
        for index, part in enumerate(textwrap.wrap(text, room) or [""]):
            write(stream, f"{label if not index else '':<{width}}{part}")
