"""Random numbers of a plan: a pure function of seed, node, mode and step."""

from __future__ import annotations

from typing import Any

from mxtrain import random as mx_random


class _Source:
    def __init__(self, owner: StepRandom, name: str, is_train: bool) -> None:
        self._owner, self._is_train = owner, is_train
        mode = "train" if is_train else "predict"
        self._stream = mx_random.stream(owner.seed, f"{mode}/{name}")

    def generator(self) -> Any:
        """Return the generator of the running step."""
        return self._stream.at(self._owner.steps[self._is_train])


class StepRandom:
    """Counts forward passes of each mode and gives the generators of the running one.

    Executors of one module at different batch sizes share an instance. `seed` decides all numbers;
    `steps` is all there is to save.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = mx_random.current_seed() if seed is None else seed
        self.steps = {True: 0, False: 0}

    def source(self, name: str, is_train: bool) -> _Source:
        """Return the source of the stream `name` in a mode."""
        return _Source(self, name, is_train)

    def advance(self, is_train: bool) -> None:
        """Move on to the next forward pass."""
        self.steps[is_train] += 1
