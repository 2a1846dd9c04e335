"""The lines at the start of a run: what will run, in words."""

from __future__ import annotations

from mxtrain.console.format import count, fraction
from mxtrain.console.glyphs import Glyphs
from mxtrain.trainer.report import ParameterRow, RunInfo

Line = tuple[str, str]


def opening(info: RunInfo, glyphs: Glyphs) -> list[Line]:
    """Return (label, text) lines that say what will run; a continued entry has an empty label."""
    lines: list[Line] = [
        ("run", f"{info.config} {glyphs.arrow} {info.output}"),
        ("network", f"{info.network}, {count(info.num_parameters, 'parameter')}"),
    ]
    if info.layers:
        lines.append(("", _chain(info, glyphs)))
    lines += [
        *_data(info),
        ("epochs", _epochs(info)),
        ("backend", f"{info.backend}, seed {info.seed}"),
        ("optimizer", f"{info.optimizer}, rescale_grad {fraction(info.rescale_grad)}"),
        ("schedule", info.lr_scheduler),
    ]
    lines += _grouped("initializer", _initializers(info.parameters))
    lines += _grouped("multipliers", _multipliers(info.parameters))
    return lines + [("note", note) for note in info.notes]


def _chain(info: RunInfo, glyphs: Glyphs) -> str:
    """The layers in a row, with the middle left out of a deep network."""
    names = [_layer(layer.name, layer.op, layer.output_shape) for layer in info.layers]
    if len(names) > 8:
        names = [*names[:4], f"{glyphs.dots} {len(names) - 7} more {glyphs.dots}", *names[-3:]]
    return f" {glyphs.arrow} ".join(names)


def _layer(name: str, op: str, shape: tuple[int, ...]) -> str:
    return f"{name} {'x'.join(map(str, shape[1:]))}".rstrip() if op else name


def _data(info: RunInfo) -> list[Line]:
    train = f"train {info.train_data}, {count(info.train_rows, 'row')}"
    if info.eval_data is None:
        return [("data", f"{train}; no eval data")]
    return [("data", train), ("", f"eval {info.eval_data}, {count(info.eval_rows, 'row')}")]


def _epochs(info: RunInfo) -> str:
    batches = f"{count(info.batches_per_epoch, 'batch')} of {info.batch_size}"
    first = info.begin_epoch + 1
    which = f"{info.num_epoch}" if first == 1 else f"{first} to {info.num_epoch}"
    return f"{which}, each {batches}"


def _initializers(parameters: tuple[ParameterRow, ...]) -> dict[str, list[str]]:
    """Which rule hit which parameters."""
    groups: dict[str, list[str]] = {}
    for row in parameters:
        groups.setdefault(row.initializer, []).append(row.name)
    return groups


def _multipliers(parameters: tuple[ParameterRow, ...]) -> dict[str, list[str]]:
    """The parameters whose learning rate or weight decay is scaled."""
    groups: dict[str, list[str]] = {}
    for row in parameters:
        factors = [
            f"{name} {value:g}"
            for name, value in (("lr_mult", row.lr_mult), ("wd_mult", row.wd_mult))
            if value != 1
        ]
        if factors:
            groups.setdefault(", ".join(factors), []).append(row.name)
    return groups


def _grouped(label: str, groups: dict[str, list[str]]) -> list[Line]:
    lines = []
    for what, names in groups.items():
        lines.append((label, f"{what}: {_names(names)}"))
        label = ""
    return lines


def _names(names: list[str], limit: int = 6) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
