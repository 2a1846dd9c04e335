"""Threads for work that releases the interpreter: parts of one long loop, side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

# Elements of an update from which several threads are worth their start; shorter loops would wait
# for the worker threads of the matrix products, which spin for a while after their last task.
SHARED_FROM = 1 << 22
_limit: list[int] = []


def count() -> int:
    """Return how many threads to use: the cores this process may run on, or the limit set."""
    if _limit:
        return _limit[-1]
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Use at most `most` threads inside the ``with`` block."""
    _limit.append(most)
    try:
        yield
    finally:
        _limit.pop()


@cache
def _pool(size: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(size, thread_name_prefix="mxtrain")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run_all(parts: Sequence[Callable[[], object]]) -> None:
    """Run all parts, the last in this thread, and return when all are done."""
    others = [_pool(len(parts) - 1).submit(part) for part in parts[:-1]]
    parts[-1]()
    for other in others:
        other.result()
