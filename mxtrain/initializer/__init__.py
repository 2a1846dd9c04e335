"""How weights start: the base class with its name rules, and one file per initializer or family.

Every module of this folder is found by itself; the classes that it lists in ``__all__`` are
attributes of this package. All random numbers come from `mxtrain.random.generator`.

>>> from mxtrain import initializer
>>> initializer.create("xavier", magnitude=2)
Xavier(rnd_type='uniform', factor_type='avg', magnitude=2)
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from mxtrain.initializer.base import Initializer, alias, create, register, registry
from mxtrain.initializer.names import InitDesc

__all__ = ["InitDesc", "Initializer", "alias", "create", "register", "registry"]

_MACHINERY = {"__init__", "base", "draw", "names"}

_CLASSES: dict[str, Any] = {}
for _path in sorted(Path(__file__).parent.glob("*.py")):
    if _path.stem not in _MACHINERY:
        _module = import_module(f"{__name__}.{_path.stem}")
        _CLASSES |= {_name: getattr(_module, _name) for _name in _module.__all__}


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module 'mxtrain.initializer' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_CLASSES])
