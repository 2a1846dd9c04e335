"""Parts of a loop side by side."""

from __future__ import annotations

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


def test_the_limit_ends_with_its_block() -> None:
    usual = threads.count()
    with threads.limited(1):
        assert threads.count() == 1
    assert threads.count() == usual >= 1
