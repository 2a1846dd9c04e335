"""How many threads the matrix products use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from mxtrain.backend import threads

if TYPE_CHECKING:
    from mxtrain.trainer.bound import BoundBatch

# Multiplications and additions of a product that one thread does in about half a millisecond.
# Below, a second thread gains little where it has a core for itself; where it has none, each
# product waits for the scheduler, which is some hundred times longer than the product.
SMALL_PRODUCT = 4e7


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Limit the BLAS to `count` threads inside the ``with`` block (None: its own choice)."""
    if count is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count), threads.limited(count):
        yield


@contextmanager
def suitable_threads(given: int | None, batch: BoundBatch) -> Iterator[None]:
    """Limit the BLAS to one thread where all products of a batch are small.

    A number that is `given` stands: it is limited already.
    """
    small = given is None and largest_product(batch) < SMALL_PRODUCT
    with limited_threads(1 if small else None):
        yield


def largest_product(batch: BoundBatch) -> float:
    """Return the multiplications and additions of the largest matrix product of a prediction."""
    steps = batch.executor.plan.forward(False).steps
    lines = [line for step in steps for line in step.lines if line[0] in (np.dot, np.matmul)]
    return max((2.0 * left.size * right.shape[-1] for _, (left, right, *_) in lines), default=0.0)
