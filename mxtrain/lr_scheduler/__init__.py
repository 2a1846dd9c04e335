r"""Learning-rate schedules: pure functions of the number of updates, one file per schedule.

A scheduler is called with ``num_update`` (1 at the first update) and returns the learning rate
for it, computed in Python doubles. A call changes nothing: the same scheduler may be asked for any
update in any order. `LRScheduler.base_lr` may be assigned at any time; what that does is said by
each class.

Every module of this folder is found by itself; its public classes are attributes of
this package.

>>> from mxtrain.lr_scheduler import FactorScheduler
>>> schedule = FactorScheduler(step=100, factor=0.5, base_lr=0.4)
>>> [schedule(n) for n in (1, 100, 101, 201)]
[0.4, 0.4, 0.2, 0.1]
"""

from __future__ import annotations

from typing import Any

from mxtrain.discovery import public_classes
from mxtrain.lr_scheduler.base import LRScheduler, create, register, registry

__all__ = ["LRScheduler", "create", "register", "registry"]

_CLASSES = public_classes(__name__, __file__, machinery={"base", "checks", "curve", "updates"})


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return _CLASSES[name]
    raise AttributeError(f"module 'mxtrain.lr_scheduler' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*__all__, *_CLASSES])
