"""How weights move: the base class and one file per algorithm.

Every module of this folder that registers an optimizer is found by itself; its classes are
attributes of this package.

>>> from mxtrain import optimizer
>>> optimizer.create("sgd", learning_rate=0.1)
SGD(momentum=0.0, lazy_update=True, learning_rate=0.1)
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from mxtrain.optimizer.base import Optimizer, create, register, registry

__all__ = ["Optimizer", "Updater", "create", "get_updater", "register", "registry"]

# Modules of the machinery; NumPy comes with some of them, so they are imported when used.
_MACHINERY = {"__init__", "base", "loose", "rows", "rates", "rule", "states", "tracing", "updater"}

for _path in sorted(Path(__file__).parent.glob("*.py")):
    if _path.stem not in _MACHINERY:
        import_module(f"{__name__}.{_path.stem}")

_CLASSES = {registry.get(_name).__name__: registry.get(_name) for _name in registry.names()}


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    if name in ("Updater", "get_updater"):
        return getattr(import_module("mxtrain.optimizer.updater"), name)
    if name == "ccSGD":
        return _CLASSES["SGD"]
    raise AttributeError(f"module 'mxtrain.optimizer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_CLASSES])
