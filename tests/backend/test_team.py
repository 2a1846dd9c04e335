"""A team of threads within compiled functions: products and updates in parts."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from threadpoolctl import threadpool_info, threadpool_limits

from mxtrain import optimizer
from mxtrain.backend import threads
from mxtrain.backend.compiled import team as teams
from mxtrain.backend.compiled.products import DOUBLE, SINGLE, addresses
from mxtrain.backend.compiled.rules import CompiledSegment
from mxtrain.backend.numpy import Array
from mxtrain.optimizer.tracing import rule_of

pytestmark = pytest.mark.skipif(
    addresses() is None or threads.count() < 2, reason="wants two cores and NumPy's own BLAS"
)

SIZES = [(128, 131, 257), (7, 1001, 300), (1001, 7, 300), (1, 3, 400_000)]
KINDS = {SINGLE: np.float32, DOUBLE: np.float64}


class Shared:
    """A team of its own, and the table that products find it by."""

    def __init__(self, size: int = 2, starts: bool = True) -> None:
        self.team = teams.Team(size)
        if starts:
            self.team.start()
        self.table = np.array([*teams.table()[:-1], self.team.address], np.int64)

    def line(self, number: int = 0) -> Array:
        words: Array = self.team._words[teams._LINE * (number + 1) :]
        return words

    def multiply(
        self, left: Array, right: Array, transposed: tuple[bool, bool] = (False, False)
    ) -> Array:
        """Return the product of the matrices, which are stored transposed where that is said."""
        a = np.ascontiguousarray(left.T if transposed[0] else left)
        b = np.ascontiguousarray(right.T if transposed[1] else right)
        (m, k), n = left.shape, right.shape[1]
        target = np.full((m, n), np.nan, left.dtype)
        kind = SINGLE if left.dtype == np.float32 else DOUBLE
        sides = (a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1], target.ctypes.data, n)
        flags = (int(flag) for flag in transposed)
        teams.share_product(self.table.ctypes.data, kind, *flags, m, n, k, *sides)
        return target


def _matrices(m: int, n: int, k: int, dtype: Any = np.float32) -> tuple[Array, Array]:
    random = np.random.default_rng(m * n + k)
    left, right = random.normal(size=(m, k)), random.normal(size=(k, n))
    return left.astype(dtype), right.astype(dtype)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transposed", list(product([False, True], repeat=2)))
@pytest.mark.parametrize(
    "sizes", [(128, 131, 257), (7, 1001, 300), (1001, 7, 300), (1, 3, 400_000)]
)
def test_parts_give_the_product(
    size: int, kind: int, transposed: tuple[bool, bool], sizes: tuple[int, int, int]
) -> None:
    left, right = _matrices(*sizes, KINDS[kind])
    shared = Shared(size)
    with threadpool_limits(size):
        found = shared.multiply(left, right, transposed)
        again = shared.multiply(left, right, transposed)
    exact = left.astype(np.float64) @ right.astype(np.float64)
    scale = 4 * np.finfo(left.dtype).eps * sizes[2]
    np.testing.assert_allclose(found, exact, rtol=0, atol=scale)
    np.testing.assert_array_equal(found, again)
    assert shared.line()[teams._POSTED] == 2


def test_small_products_are_not_cut() -> None:
    left, right = _matrices(20, 20, 20)
    shared = Shared()
    np.testing.assert_allclose(shared.multiply(left, right), left @ right, rtol=1e-5, atol=1e-5)
    assert shared.line()[teams._POSTED] == 0


def test_who_limits_the_blas_limits_the_team() -> None:
    left, right = _matrices(256, 256, 256)
    shared = Shared()
    with threadpool_limits(1):
        found = shared.multiply(left, right)
    np.testing.assert_allclose(found, left @ right, rtol=1e-4, atol=1e-4)
    assert shared.line()[teams._POSTED] == 0


def test_the_blas_has_its_threads_again() -> None:
    left, right = _matrices(256, 256, 256)
    with threadpool_limits(2):
        Shared().multiply(left, right)
        blas = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    assert blas and set(blas) == {2}


def test_without_threads_who_posts_does_everything() -> None:
    left, right = _matrices(256, 256, 256)
    alone, together = Shared(3, starts=False), Shared(3)
    with threadpool_limits(3):
        one, other = alone.multiply(left, right), together.multiply(left, right)
    np.testing.assert_array_equal(one, other)
    assert alone.line()[teams._POSTED] == 1
    assert alone.line()[teams._DONE] == 0


def test_a_child_begins_alone() -> None:
    shared = Shared()
    left, right = _matrices(256, 256, 256)
    shared.team.begin_alone()  # what a child does; the thread of this process now looks on
    with threadpool_limits(2):
        found = shared.multiply(left, right)
    np.testing.assert_allclose(found, left @ right, rtol=1e-4, atol=1e-4)


def test_a_thread_that_sleeps_is_woken() -> None:
    left, right = _matrices(256, 256, 256)
    shared = Shared()
    line, end = shared.line(), time.monotonic() + 30
    while line[teams._AWAKE] and time.monotonic() < end:
        time.sleep(0.01)
    assert not line[teams._AWAKE]
    with threadpool_limits(2):
        while not line[teams._DONE] and time.monotonic() < end:  # it does not get every part
            shared.multiply(left, right)
    assert line[teams._DONE]


def test_a_team_that_is_in_use_is_left_alone() -> None:
    left, right = _matrices(256, 256, 256)
    shared = Shared()
    shared.team._words[teams._BUSY] = 1
    with threadpool_limits(2):
        found = shared.multiply(left, right)
    np.testing.assert_allclose(found, left @ right, rtol=1e-4, atol=1e-4)
    assert shared.line()[teams._POSTED] == 0


@pytest.mark.parametrize("size", [1, teams.SHARED_UPDATE - 1, teams.SHARED_UPDATE + 17, 100_003])
@pytest.mark.parametrize("name", ["sgd", "adam", "adadelta"])
def test_updates_in_parts_have_the_bits_of_one(name: str, size: int) -> None:
    rule = rule_of(optimizer.create(name), True)
    scalars = tuple(np.linspace(0.01, 0.5, len(rule.program.scalars)))
    results = []
    for most in (1, 2, 3):
        arrays = [np.linspace(0.1, 1, size, dtype="f") for _ in rule.arrays]
        segment = CompiledSegment(rule.program, arrays, rule.targets)
        with threads.limited(most):
            for _ in range(20):
                segment.run(scalars)
        results.append(arrays)
    assert not np.array_equal(results[0][0], np.linspace(0.1, 1, size, dtype="f"))
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_one_core_has_no_team() -> None:
    with threads.limited(1):
        assert teams.team() is None
        assert teams.table()[-1] == 0
        assert teams.helpers(1_000_000) == (0, 1)
