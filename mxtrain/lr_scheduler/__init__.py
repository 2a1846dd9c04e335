r"""Learning-rate schedules: pure functions of the number of updates, one file per schedule.

A scheduler is called with ``num_update`` (1 at the first update) and returns the learning rate
for it, computed in Python doubles. A call changes nothing: the same scheduler may be asked for any
update in any order. `LRScheduler.base_lr` may be assigned at any time; what that does is said by
each class.

Every module of this folder is found by itself; the classes that it lists in ``__all__`` are
attributes of this package.

>>> from mxtrain.lr_scheduler import FactorScheduler
>>> schedule = FactorScheduler(step=100, factor=0.5, base_lr=0.4)
>>> [schedule(n) for n in (1, 100, 101, 201)]
[0.4, 0.4, 0.2, 0.1]
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from mxtrain.lr_scheduler.base import LRScheduler, create, register, registry

__all__ = ["LRScheduler", "create", "register", "registry"]

_MACHINERY = {"__init__", "base", "checks", "curve", "updates"}

_CLASSES: dict[str, Any] = {}
for _path in sorted(Path(__file__).parent.glob("*.py")):
    if _path.stem not in _MACHINERY:
        _module = import_module(f"{__name__}.{_path.stem}")
        _CLASSES |= {_name: getattr(_module, _name) for _name in _module.__all__}


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module 'mxtrain.lr_scheduler' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_CLASSES])
