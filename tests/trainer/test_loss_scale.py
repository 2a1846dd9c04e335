"""The scale of losses by itself: when it moves, what it remembers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.trainer.loss_scale import BEGIN, DYNAMIC, LEAST, MOST, WINDOW, LossScale

# What happens to a run: an overflow, or so many updates in a row.
EVENTS = st.lists(st.none() | st.integers(1, 3 * WINDOW), max_size=60)


def follow(scale: LossScale, events: list[int | None]) -> None:
    for event in events:
        if event is None:
            scale.overflowed()
        else:
            scale.succeeded(event)


@given(EVENTS)
def test_a_dynamic_scale_is_a_power_of_two_within_its_bounds(events: list[int | None]) -> None:
    scale = LossScale(DYNAMIC)
    follow(scale, events)
    assert LEAST <= scale.value <= MOST
    assert math.frexp(scale.value)[0] == 0.5
    assert 1 <= scale.room() <= WINDOW


@given(EVENTS, st.integers(1, 5000))
def test_updates_count_alike_together_and_one_by_one(events: list[int | None], count: int) -> None:
    together, singly = LossScale(DYNAMIC), LossScale(DYNAMIC)
    for scale in (together, singly):
        follow(scale, events)
    together.succeeded(count)
    for _ in range(count):
        singly.succeeded()
    assert together.state() == singly.state()


@given(EVENTS)
def test_it_stays_until_its_room_is_used_up(events: list[int | None]) -> None:
    scale = LossScale(DYNAMIC)
    follow(scale, events)
    before, room = scale.value, scale.room()
    scale.succeeded(room - 1)
    assert (scale.value, scale.room()) == (before, 1)
    scale.succeeded()
    assert (scale.value, scale.room()) == (min(2 * before, MOST), WINDOW)


@given(EVENTS)
def test_an_overflow_halves_it_and_counts_anew(events: list[int | None]) -> None:
    scale = LossScale(DYNAMIC)
    follow(scale, events)
    before, state = scale.value, scale.state()
    if before == LEAST:
        assert not scale.can_be_halved
        assert not scale.overflowed()
        assert scale.state() == state
    else:
        assert scale.overflowed()
        assert (scale.value, scale.room()) == (before / 2, WINDOW)


@given(EVENTS, EVENTS)
def test_a_state_goes_on_as_its_owner(events: list[int | None], later: list[int | None]) -> None:
    scale, other = LossScale(DYNAMIC), LossScale(DYNAMIC)
    follow(scale, events)
    other.set_state(scale.state())
    for one in (scale, other):
        follow(one, later)
    assert other.state() == scale.state()


def test_it_begins_as_mxnets() -> None:
    scale = LossScale(DYNAMIC)
    assert (scale.value, scale.room(), BEGIN, MOST) == (65536, 2000, 2**16, 2**24)


@given(EVENTS)
def test_a_fixed_one_never_moves(events: list[int | None]) -> None:
    scale = LossScale(100.0)
    follow(scale, events)
    assert scale.value == 100
    assert not scale.overflowed()
    assert scale.room() > 10**9


@pytest.mark.parametrize(("before", "now"), [(DYNAMIC, 8.0), (8.0, DYNAMIC), (8.0, 4.0)])
def test_another_setting_begins_anew(before: float | str, now: float | str) -> None:
    old, new = LossScale(before), LossScale(now)
    follow(old, [None, 7])
    new.set_state(old.state())
    assert new.state() == LossScale(now).state()
