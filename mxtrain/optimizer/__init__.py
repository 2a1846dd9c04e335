"""How weights move: the base class and one file per algorithm.

Every module of this folder that registers an optimizer is found by itself; its classes are
attributes of this package.

>>> from mxtrain import optimizer
>>> optimizer.create("sgd", learning_rate=0.1)
SGD(momentum=0.0, lazy_update=True, learning_rate=0.1)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mxtrain.discovery import public_classes
from mxtrain.optimizer.base import Optimizer, create, register, registry

__all__ = ["Optimizer", "Updater", "create", "get_updater", "register", "registry"]

# Modules of the machinery; NumPy comes with some of them, so they are imported when used.
_MACHINERY = {
    "base",
    "copies",
    "loose",
    "rows",
    "rates",
    "rule",
    "states",
    "subnormals",
    "together",
    "tracing",
    "updater",
}

_CLASSES = public_classes(__name__, __file__, _MACHINERY)


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
