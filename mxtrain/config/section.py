"""Reads a mapping of the file by the settings of a class: unknown, missing and wrong values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxtrain.config.document import Node
from mxtrain.config.problem import Problems
from mxtrain.config.value import check, describe
from mxtrain.errors import closest
from mxtrain.settings import Setting, settings

BAD: Any = type("_Bad", (), {"__repr__": lambda self: "BAD"})()
"""What a reader returns for a value that is wrong; the problem has been noted."""

_SYNONYMS = {
    "lr": ("learning_rate",),
    "weight_decay": ("wd",),
    "eps": ("epsilon",),
    "epochs": ("num_epoch",),
    "batch": ("batch_size",),
    "units": ("num_hidden",),
    "out_features": ("num_hidden",),
    "type": ("op", "name"),
    "model": ("symbol",),
    "network": ("symbol",),
    "layers": ("symbol",),
    "scheduler": ("lr_scheduler",),
    "validation": ("eval",),
    "test": ("eval",),
    "target": ("label",),
    "file": ("path",),
}

Reader = Callable[[Node, str], Any]


@dataclass(frozen=True)
class Context:
    """What every reader needs: where problems go, and what paths are relative to.

    `looks_at_files` is whether what lies in files is checked as well: data, graphs, weights.
    `graph` is a ``-symbol.json`` to take where the file of ``symbol`` has gone.
    """

    problems: Problems
    folder: Path
    looks_at_files: bool = True
    graph: Path | None = None

    def bad(self, node: Node, path: str, text: str) -> Any:
        """Note a problem with the value `node` and return `BAD`."""
        self.problems.add(node.mark, path, text)
        return BAD


def joined(path: str, key: str) -> str:
    """Return the path of `key` inside `path`."""
    return f"{path}.{key}" if path else key


def settings_by_name(cls: type[Any]) -> dict[str, Setting]:
    """Return the settings of `cls` by name."""
    return {setting.name: setting for setting in settings(cls)}


def read_section(
    cls: type[Any],
    node: Node,
    path: str,
    context: Context,
    nested: Mapping[str, Reader],
    elsewhere: Mapping[str, str] | None = None,
) -> Any:
    """Return an instance of the spec class `cls` made from `node`, or `BAD`.

    `nested` reads the keys that are more than one value; `elsewhere` says where a key belongs that
    stands here by mistake.
    """
    known = settings_by_name(cls)
    if not node.is_mapping:
        what = f"expected a mapping with {_some(known)}, received {node.shown()}"
        return context.bad(node, path, what)
    values = read_values(known, node, path, context, nested)
    guessed = report_unknown(node, path, context, known, "unknown key", elsewhere)
    for name, setting in known.items():
        if setting.required and name not in node.value and name not in guessed:
            where = node.mark if path else type(node.mark)(node.mark.source, 1, 1)
            context.problems.add(where, joined(path, name), f"missing: {setting.meaning}")
    if any(setting.required and name not in values for name, setting in known.items()):
        return BAD
    return cls(**values)


def read_values(
    known: Mapping[str, Setting],
    node: Node,
    path: str,
    context: Context,
    nested: Mapping[str, Reader],
) -> dict[str, Any]:
    """Return the right values among the `known` keys of the mapping `node`."""
    values = {}
    for key, child in node.value.items():
        if key in known:
            reader = nested.get(key)
            inner = joined(path, key)
            if reader is not None:
                value = reader(child, inner)
            else:
                value = read_value(known[key].annotation, child, inner, context)
            if value is not BAD:
                values[key] = value
    return values


def read_value(annotation: Any, node: Node, path: str, context: Context) -> Any:
    """Return the value of `node`, or `BAD` after noting what is wrong with it."""
    value, findings = check(annotation, node)
    for mark, inside, text in findings:
        context.problems.add(mark, path + inside, text)
    return BAD if findings else value


def report_unknown(
    node: Node,
    path: str,
    context: Context,
    known: Iterable[str],
    what: str,
    elsewhere: Mapping[str, str] | None = None,
) -> set[str]:
    """Note every key of `node` that is not `known`; return the keys that were probably meant."""
    names = list(known)
    free = [name for name in names if name not in node.value]
    guessed = set()
    for key in node.value:
        if key in names:
            continue
        near = closest(key, free) or _synonym(key, names) or closest(key, names)
        if key.isdigit() and node.value[key].value is None:
            hint = "numbers have a point, not a comma"
        elif elsewhere and key in elsewhere:
            hint = f"it belongs under {elsewhere[key]}"
        elif near:
            hint = f"did you mean '{near}'?"
            guessed.add(near)
        else:
            hint = f"known: {', '.join(names) or 'none'}"
        context.problems.add(node.keys[key], joined(path, key), f"{what} ({hint})")
    return guessed


def _synonym(key: str, names: Sequence[str]) -> str | None:
    """Return the one of `names` that other frameworks call `key`."""
    return next((name for name in _SYNONYMS.get(key.lower(), ()) if name in names), None)


def missing_text(setting: Setting) -> str:
    """Say what a setting that was left out should be."""
    meaning = f": {setting.meaning}" if setting.meaning else ""
    return f"{describe(setting.annotation)}{meaning}"


def _some(names: Iterable[str], at_most: int = 4) -> str:
    listed: Sequence[str] = list(names)
    return ", ".join(listed[:at_most]) + (", ..." if len(listed) > at_most else "")
