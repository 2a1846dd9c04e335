"""Everything of a run that changes while it trains, but for its weights."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import random as mx_random
from mxtrain.trainer.attributes import Attributes

if TYPE_CHECKING:
    from mxtrain.trainer.best import Best
    from mxtrain.trainer.build import Built
    from mxtrain.trainer.loop import Loop
    from mxtrain.trainer.position import Position


class Pieces:
    """Gathers the state of a run from its pieces, and puts one back into them.

    Parameters
    ----------
    built, loop, best : the run, not yet begun.
    scheduler : the schedule that is shown (None without one); the optimizer has its own.
    """

    def __init__(self, built: Built, loop: Loop, best: Best, scheduler: Any) -> None:
        self._module, self._loop, self._best = built.module, loop, best
        self._remembered = {"optimizer": Attributes(built.module.optimizer)}
        if scheduler is not None:
            self._remembered["lr_scheduler"] = Attributes(scheduler)

    def state(self) -> dict[str, Any]:
        """Return the state; arrays are those in use, not copies."""
        return {
            "optimizer": self._module.optimizer_state(),
            "attributes": {name: one.state() for name, one in self._remembered.items()},
            "loop": self._loop.state(),
            "best": self._best.state(),
            "steps": dict(self._module.random.steps),
            "generators": _generators(),
        }

    def set_state(self, position: Position, values: Mapping[str, Any], source: str) -> None:
        """Take over a state that was gathered at `position`.

        The weights are not part of it, and come first. Raises MXNetError, KeyError, TypeError or
        ValueError for the state of another run; `source` names it.
        """
        self._module.set_optimizer_state(values["optimizer"], source)
        for name, one in self._remembered.items():
            one.set_state(values["attributes"].get(name, {}))
        self._loop.set_state(position, values["loop"])
        self._module.random.steps.update({bool(k): int(v) for k, v in values["steps"].items()})
        _set_generators(values["generators"])

    def not_stored(self) -> list[str]:
        """Return attributes that have changed but cannot be stored, in words."""
        everything = [*self._remembered.values(), *self._loop.train_measure.remembered]
        return list(dict.fromkeys(text for one in everything for text in one.not_stored()))


def _generators() -> dict[str, Any]:
    """Return the random generators of the process: a plugin may draw from any of them."""
    version, numbers, gauss = random.getstate()
    return {
        "mxtrain": mx_random.generator().bit_generator.state,
        "numpy": np.random.get_state(legacy=False),
        "python": (version, np.array(numbers, np.uint32), gauss),
    }


def _set_generators(values: Mapping[str, Any]) -> None:
    version, numbers, gauss = values["python"]
    random.setstate((version, tuple(map(int, numbers)), gauss))
    np.random.set_state(values["numpy"])
    mx_random.generator().bit_generator.state = values["mxtrain"]
