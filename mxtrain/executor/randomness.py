"""Random numbers of a plan: a pure function of seed, node, mode and step."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np

from mxtrain import random as mx_random

Array = np.ndarray[Any, Any]


class StepCounts(MutableMapping[bool, int]):
    """Counts of forward passes, of training (True) and prediction (False), in memory.

    Compiled kernels read them there.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2, np.int64)
        self._cells = self._counts.data  # an element of it costs a third of an array's

    def of(self, is_train: bool) -> Array:
        """Return the count of a mode as an array of one element."""
        return self._counts[int(is_train) :][:1]

    def __getitem__(self, is_train: bool) -> int:
        return self._cells[is_train]

    def __setitem__(self, is_train: bool, count: int) -> None:
        self._cells[is_train] = count

    def count_up(self, is_train: bool) -> None:
        """Add one to the count of a mode."""
        self._cells[is_train] += 1

    def __delitem__(self, is_train: bool) -> None:
        raise TypeError("both modes are always counted")

    def __iter__(self) -> Iterator[bool]:
        return iter((True, False))

    def __len__(self) -> int:
        return 2


class _Source:
    """See `mxtrain.backend.uniform.RandomSource`."""

    def __init__(self, owner: StepRandom, name: str, is_train: bool) -> None:
        mode = "train" if is_train else "predict"
        self._stream = mx_random.stream(owner.seed, f"{mode}/{name}")
        self.key, self.step = self._stream.key, owner.steps.of(is_train)

    def generator(self) -> Any:
        """Return the generator of the running step."""
        return self._stream.at(int(self.step[0]))


class StepRandom:
    """Counts forward passes of each mode and gives the generators of the running one.

    Executors of one module at different batch sizes share an instance. `seed` decides all numbers;
    `steps` is all there is to save.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = mx_random.current_seed() if seed is None else seed
        self.steps = StepCounts()

    def source(self, name: str, is_train: bool) -> _Source:
        """Return the source of the stream `name` in a mode."""
        return _Source(self, name, is_train)

    def advance(self, is_train: bool) -> None:
        """Move on to the next forward pass."""
        self.steps.count_up(is_train)
