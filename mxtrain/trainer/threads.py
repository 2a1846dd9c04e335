"""How many threads the matrix products use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mxtrain.backend import threads


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Limit the BLAS to `count` threads inside the ``with`` block (None: its own choice)."""
    if count is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count), threads.limited(count):
        yield
