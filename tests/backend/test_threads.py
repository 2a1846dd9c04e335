"""Parts of a loop side by side."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from mxtrain.backend import threads


def test_every_part_runs_and_the_last_one_here() -> None:
    names: dict[int, str] = {}

    def part(number: int) -> None:
        names[number] = threading.current_thread().name

    threads.run_all([lambda n=n: part(n) for n in range(3)])  # type: ignore[misc]
    assert sorted(names) == [0, 1, 2]
    assert names[2] == threading.current_thread().name
    assert names[0].startswith("mxtrain")


def test_what_a_part_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        threads.run_all([lambda: 1 / 0, lambda: None])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    parts = [lambda: None] * 3
    threads.run_all(parts)
    child = os.fork()
    if not child:
        signal.alarm(20)  # kills it where it would wait for ever
        threads.run_all(parts)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_the_limit_ends_with_its_block() -> None:
    usual = threads.count()
    with threads.limited(1):
        assert threads.count() == 1
    assert threads.count() == usual >= 1
