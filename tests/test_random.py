from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain import random

steps = st.integers(0, 2**64 - 1)


def test_seed_restarts_the_generator() -> None:
    random.seed(5)
    first = random.generator().random(4)
    assert not np.array_equal(first, random.generator().random(4))
    random.seed(5)
    assert np.array_equal(first, random.generator().random(4))
    random.seed(6)
    assert not np.array_equal(first, random.generator().random(4))


def test_seed_leaves_numpys_generator_alone() -> None:
    np.random.seed(1)
    want = np.random.random(3)
    np.random.seed(1)
    random.seed(99)
    random.generator().random(10)
    assert np.array_equal(np.random.random(3), want)


@given(seed=st.integers(-(2**70), 2**70), name=st.text(max_size=8), step=steps, other=steps)
def test_a_stream_is_a_pure_function(seed: int, name: str, step: int, other: int) -> None:
    a, b = random.stream(seed, name), random.stream(seed, name)
    b.at(other).standard_normal(5)
    b.at(other).integers(0, 7, 3, dtype=np.uint32)  # leaves half a word behind
    assert np.array_equal(a.at(step).random(6), b.at(step).random(6))
    draws = a.at(step).integers(0, 9, 5, dtype=np.uint32)
    assert np.array_equal(draws, b.at(step).integers(0, 9, 5, dtype=np.uint32))


@given(step=steps, other=steps)
def test_steps_differ(step: int, other: int) -> None:
    s = random.stream(0, "x")
    same = np.array_equal(s.at(step).random(4), s.at(other).random(4))
    assert same == (step == other)


def test_names_and_seeds_are_independent() -> None:
    draws = [
        random.stream(seed, name).at(step).random(2000)
        for seed in (0, 1)
        for name in ("a", "b")
        for step in (0, 1, 2)
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 0.12  # five standard deviations of 2000 samples


def test_a_long_step_does_not_run_into_the_next() -> None:
    s = random.stream(0, "x")
    long = s.at(0).random(100_000)
    assert not np.isin(s.at(1).random(100), long).any()


@pytest.mark.parametrize("step", [-1, 2**64])
def test_step_out_of_range(step: int) -> None:
    with pytest.raises(ValueError, match=r"step of random stream 'x' is 0 to .* got"):
        random.stream(0, "x").at(step)


def test_permutation() -> None:
    s = random.stream(3, "shuffle")
    orders = [s.permutation(epoch, 50) for epoch in range(4)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert np.array_equal(s.permutation(1, 50), orders[1])


def test_the_same_in_another_process() -> None:
    code = (
        "from mxtrain.random import stream, seed, generator; seed(4); "
        "print(stream(7, 'é').at(9).integers(0, 2**60), generator().integers(0, 2**60))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    random.seed(4)
    here = [random.stream(7, "é").at(9).integers(0, 2**60), random.generator().integers(0, 2**60)]
    assert [int(word) for word in out.stdout.split()] == here


def test_values_never_change() -> None:
    """Runs of older versions must continue with the numbers they began with."""
    assert random.stream(7, "shuffle").permutation(0, 8).tolist() == [0, 7, 3, 5, 4, 6, 2, 1]
    drawn = random.stream(7, "dropout").at(3).integers(0, 1000, 4).tolist()
    assert drawn == [843, 229, 12, 165]


def test_moving_is_cheap() -> None:
    s = random.stream(0, "x")
    best = min(_seconds_of_1000_moves(s) for _ in range(20)) / 1000
    assert best < 20e-6  # about 1 microsecond; making a generator takes about 10


def _seconds_of_1000_moves(s: random.Stream) -> float:
    start = time.perf_counter()
    for step in range(1000):
        s.at(step)
    return time.perf_counter() - start
