"""`ChainScheduler` and `CosineRestartsScheduler` in what is their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.lr_scheduler import (
    ChainScheduler,
    ConstantScheduler,
    CosineRestartsScheduler,
    FactorScheduler,
    PolyScheduler,
)


def rates(schedule: Any, updates: range) -> list[float]:
    return [schedule(n) for n in updates]


def test_each_schedule_counts_its_own_updates() -> None:
    factor, poly = FactorScheduler(2, 0.5, base_lr=1.0), PolyScheduler(4, 0.5)
    chain = ChainScheduler([factor, poly], [5])
    assert rates(chain, range(1, 6)) == rates(factor, range(1, 6))
    assert rates(chain, range(6, 12)) == rates(poly, range(1, 7))


def test_a_number_for_the_last_one_keeps_its_last_rate() -> None:
    chain = ChainScheduler([FactorScheduler(1, 0.5, base_lr=1.0)], [3])
    assert rates(chain, range(1, 6)) == [1.0, 0.5, 0.25, 0.25, 0.25]


def test_whose_base_lr_counts() -> None:
    own = {"name": "constant", "base_lr": 0.3}
    chain = ChainScheduler(["constant", own, ConstantScheduler(0.4)], [1, 1], base_lr=0.1)
    assert rates(chain, range(1, 4)) == [0.1, 0.3, 0.4]
    chain.base_lr = 0.2
    assert rates(chain, range(1, 4)) == [0.2, 0.3, 0.4]


def test_a_chain_within_a_chain_and_any_function() -> None:
    inner = {"name": "chain", "schedules": ["constant", lambda n: n / 8], "updates": [2]}
    chain = ChainScheduler([inner, lambda n: -n], [4], base_lr=0.5)
    assert rates(chain, range(1, 7)) == [0.5, 0.5, 0.125, 0.25, -1, -2]
    chain.base_lr = 0.25
    assert chain(1) == 0.25


def test_the_first_schedule_may_warm_up() -> None:
    first = {"name": "constant", "warmup_steps": 4}
    chain = ChainScheduler([first, "constant"], [6], base_lr=0.4)
    assert rates(chain, range(5)) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@given(
    period=st.integers(1, 30),
    mult=st.sampled_from([1, 1.0, 2, 3.0, 1.5, 1 + 1e-9]) | st.floats(1, 4),
    n=st.integers(0, 10**9),
)
def test_the_period_found_contains_the_update(period: int, mult: float, n: int) -> None:
    schedule = CosineRestartsScheduler(period, 1.0, mult)
    number, since, length = schedule._place(n)
    assert 0 <= since < length
    assert length == pytest.approx(period * mult**number, rel=1e-5)


def test_every_restart_is_a_peak() -> None:
    schedule = CosineRestartsScheduler(10, 1.0, period_mult=2, peak_decay=0.5)
    starts = [10 * (2**i - 1) for i in range(20)]
    assert [schedule(n) for n in starts] == [0.5**i for i in range(20)]
