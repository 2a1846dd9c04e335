"""How weights start: the base class with its name rules, and one file per initializer or family.

Every module of this folder is found by itself; its public classes are attributes of
this package. All random numbers come from `mxtrain.random.generator`.

>>> from mxtrain import initializer
>>> initializer.create("xavier", magnitude=2)
Xavier(rnd_type='uniform', factor_type='avg', magnitude=2)
"""

from __future__ import annotations

from typing import Any

from mxtrain.discovery import public_classes
from mxtrain.initializer.base import Initializer, alias, create, register, registry
from mxtrain.initializer.names import InitDesc

__all__ = ["InitDesc", "Initializer", "alias", "create", "register", "registry"]

_CLASSES = public_classes(__name__, __file__, machinery={"base", "draw", "names"})


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module 'mxtrain.initializer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_CLASSES])
