"""The lines at the start of a run: what will run, in words."""

from __future__ import annotations

from mxtrain.console.format import count, fraction
from mxtrain.console.glyphs import Glyphs
from mxtrain.trainer.report import RunInfo

Line = tuple[str, str]
MOST_NODES = 10
MOST_CLASSES = 12


def opening(info: RunInfo, glyphs: Glyphs) -> list[Line]:
    """Return (label, text) lines that say what will run; a continued entry has an empty label."""
    lines: list[Line] = [
        ("run", f"{info.config} {glyphs.arrow} {info.output}"),
        *([("resumed", info.resumed)] if info.resumed else []),
        ("network", _network(info, glyphs)),
        ("", count(info.num_parameters, "parameter")),
        *_data(info),
        *_classes(info, glyphs),
        ("epochs", _epochs(info)),
        ("backend", f"{info.backend}, seed {info.seed}"),
        ("optimizer", info.optimizer),
        ("", f"rescale_grad {fraction(info.rescale_grad)}"),
        ("schedule", info.lr_scheduler),
    ]
    lines += _weights(info)
    lines += _grouped("initializer", _initializers(info))
    lines += _grouped("multipliers", _multipliers(info))
    return lines + [("note", note) for note in info.notes]


def _network(info: RunInfo, glyphs: Glyphs) -> str:
    """The nodes in a row, with the middle left out of a deep network."""
    is_chain = " -> " in info.network
    nodes = info.network.split(" -> " if is_chain else ", ")
    if len(nodes) > MOST_NODES:
        left_out = len(nodes) - MOST_NODES + 1
        nodes = [*nodes[:5], f"{glyphs.dots} {left_out} more {glyphs.dots}", *nodes[-4:]]
    return (f" {glyphs.arrow} " if is_chain else ", ").join(nodes)


def _classes(info: RunInfo, glyphs: Glyphs) -> list[Line]:
    """The class names in the order of their numbers, with the middle left out of many."""
    lines = []
    for label, names in info.classes.items():
        shown = list(names)
        if len(names) > MOST_CLASSES:
            shown = [*names[: MOST_CLASSES - 2], glyphs.dots, names[-1]]
        of = f" of {label}" if len(info.classes) > 1 else ""
        lines.append((f"classes{of}", f"{len(names)}: {', '.join(shown)}"))
    return lines


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


def _weights(info: RunInfo) -> list[Line]:
    """What was taken from saved weights, and what was not."""
    if info.weights is None:
        return []
    taken, missing, extra = info.weights.taken, info.weights.missing, info.weights.extra
    lines = [("weights", f"{info.weights.source}, {count(len(taken), 'array')} taken")]
    if missing:
        lines.append(("", f"{len(missing)} missing, so initialized: {_names(list(missing))}"))
    if extra:
        lines.append(("", f"{len(extra)} left over: {_names(list(extra))}"))
    return lines


def _initializers(info: RunInfo) -> dict[str, list[str]]:
    """Which rule hit which parameters."""
    groups: dict[str, list[str]] = {}
    taken = () if info.weights is None else info.weights.taken
    for row in info.parameters:
        if row.name in taken:
            continue
        groups.setdefault(row.rule or row.initializer, []).append(row.name)
    return groups


def _multipliers(info: RunInfo) -> dict[str, list[str]]:
    """The parameters whose learning rate, or whose weight decay if there is any, is scaled."""
    groups: dict[str, list[str]] = {}
    for row in info.parameters:
        if row.fixed:
            groups.setdefault("fixed", []).append(row.name)
            continue
        scaled = [("lr_mult", row.lr_mult), *([("wd_mult", row.wd_mult)] if info.wd else [])]
        factors = [f"{name} {value:g}" for name, value in scaled if value != 1]
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
