"""Writes a `RunSpec` as a config that loads to the same spec."""

from __future__ import annotations

import math
import os
import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from mxtrain.config.nodes import VARIABLE
from mxtrain.config.paths import AbsolutePath
from mxtrain.config.scalar import resolve
from mxtrain.config.spec import Component, NodeSpec, PythonSymbol, RunSpec

_PLAIN_WORD = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_PATHS = ("path", "images", "labels", "file", "python")


def to_yaml(spec: RunSpec, folder: str | Path | None = None) -> str:
    """Return `spec` as YAML text, defaults included.

    Parameters
    ----------
    spec : what to write.
    folder : where the text will lie; paths are then written relative to it, but for those that a
        config gave as absolute ones. Without it all are absolute.
    """
    base = None if folder is None else Path(folder).resolve()
    lines: list[str] = []
    for key, value in _entries(_with_one_rate(spec), base).items():
        if isinstance(value, dict) and key in ("data", "fit", "compare"):
            lines.append(f"{key}:")
            lines += [f"  {_scalar(inner)}: {_flow(child)}" for inner, child in value.items()]
        elif isinstance(value, list) and key == "symbol":
            lines.append(f"{key}:")
            lines += [f"  - {_flow(node)}" for node in value]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _with_one_rate(spec: RunSpec) -> RunSpec:
    """Leave out a ``base_lr`` that is the optimizer's rate anyway, so that one place has it."""
    scheduler = spec.lr_scheduler
    if scheduler is None or "base_lr" not in scheduler.settings:
        return spec
    if scheduler.settings["base_lr"] != spec.optimizer.settings.get("learning_rate"):
        return spec
    settings = {name: value for name, value in scheduler.settings.items() if name != "base_lr"}
    return replace(spec, lr_scheduler=replace(scheduler, settings=settings))


def _entries(spec: Any, base: Path | None) -> dict[str, Any]:
    """Return what is written of a spec: everything except what is left out by default."""
    found: dict[str, Any] = {}
    for entry in fields(spec):
        value = getattr(spec, entry.name)
        if value is None and entry.default is None:
            continue
        if entry.name in _PATHS and isinstance(value, str):
            found[entry.name] = _relative(value, base)
        elif entry.name == "plugins":
            found["plugins"] = [_relative(p, base) if p.endswith(".py") else p for p in value]
        else:
            found[entry.name] = _plain(value, base)
    if isinstance(spec, PythonSymbol):
        found |= found.pop("arguments")
    return found


def _plain(value: Any, base: Path | None) -> Any:
    if isinstance(value, Component):
        return {"name": value.name, **value.settings} if value.settings else value.name
    if isinstance(value, NodeSpec):
        return _node(value)
    if is_dataclass(value):
        return _entries(value, base)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(item, base) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, base) for key, item in value.items()}
    return value


def _node(node: NodeSpec) -> dict[str, Any]:
    written: dict[str, Any] = {"op": node.op, "name": node.name}
    if node.op != VARIABLE:
        written["inputs"] = _plain(node.inputs, None)
    written |= _plain(node.attrs, None)
    if node.init and node.op == VARIABLE:
        written["init"] = _plain(node.init[node.name], None)
    elif node.init:
        written["init"] = _plain(node.init, None)
    return written


def _relative(path: str, base: Path | None) -> str:
    if base is None or isinstance(path, AbsolutePath):
        return path
    try:
        return os.path.relpath(path, base)
    except ValueError:
        return path  # another drive


def _flow(value: Any) -> str:
    """Return a value in YAML's flow style, on one line."""
    if isinstance(value, dict):
        inside = ", ".join(f"{_scalar(str(key))}: {_flow(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(_flow(item) for item in value)}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """Return a scalar so that it is read back as it is: text in quotes where it needs them."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
        return repr(value)
    if not isinstance(value, str):
        return str(value)
    if _PLAIN_WORD.fullmatch(value) and resolve(value) == value:
        return value
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
