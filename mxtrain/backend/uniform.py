"""Uniform random numbers of a plan: the kernel, and what a source of them tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


class RandomSource(Protocol):
    """Gives the random numbers of a running step; the same step gives the same numbers.

    They are those of NumPy's ``Philox``: with the counter's third word the step, the others 0.

    Attributes
    ----------
    key : the two words of the key, each from 0 to 2**64 - 1.
    step : int64 with one element, the number of the running step.
    """

    key: tuple[int, int]
    step: Array

    def generator(self) -> Any:
        """Return a NumPy ``Generator`` positioned at the running step."""


def fill_uniform(source: RandomSource, out: Array) -> None:
    """Fill a float32 buffer with numbers drawn uniformly from [0, 1)."""
    source.generator().random(out=out, dtype="float32")
