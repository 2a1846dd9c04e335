"""Every schedule: against a restatement, as a pure function, without unexpected jumps."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_rows import ROWS, Settings

from mxtrain import lr_scheduler
from mxtrain.settings import Updates
from mxtrain.settings import settings as settings_of

BASE = 0.2
every_row = pytest.mark.parametrize("name", ROWS)
WRONG = [(name, *case) for name, row in ROWS.items() for case in row.wrong]


def made(name: str, given: Settings, warm: int = 0) -> Any:
    warm_up = {"warmup_steps": warm} if warm else {}
    return lr_scheduler.create(name, base_lr=BASE, **given, **warm_up)


def warm_ups(name: str) -> st.SearchStrategy[int]:
    takes_one = lr_scheduler.registry.get(name).takes_warmup
    return st.integers(0, 40) if takes_one else st.just(0)


def test_every_registered_schedule_has_a_row() -> None:
    missing = set(lr_scheduler.registry.names()) - set(ROWS)
    assert not missing, f"add {missing} to ROWS in tests/lr_scheduler/schedule_rows.py"
    assert set(ROWS) == set(lr_scheduler.registry.names())


@every_row
def test_names_with_and_without_their_ending(name: str) -> None:
    registry = lr_scheduler.registry
    cls = registry.get(name)
    assert registry.get(name.removesuffix("scheduler").upper()) is cls
    assert getattr(lr_scheduler, cls.__name__) is cls
    assert cls.__name__ in dir(lr_scheduler)


@every_row
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_restatement(name: str, data: st.DataObject) -> None:
    row = ROWS[name]
    given, warm = data.draw(row.settings), data.draw(warm_ups(name))
    schedule = made(name, given, warm)
    for n in range(warm, 200):
        expected = row.restated(given, BASE, warm, n)
        assert schedule(n) == pytest.approx(expected, rel=1e-9, abs=1e-12), n


@every_row
@given(data=st.data(), updates=st.lists(st.integers(0, 400), max_size=30))
@settings(max_examples=40, deadline=None)
def test_calls_in_any_order_give_what_a_fresh_scheduler_gives(
    name: str, data: st.DataObject, updates: list[int]
) -> None:
    given, warm = data.draw(ROWS[name].settings), data.draw(warm_ups(name))
    used = made(name, given, warm)
    for n in updates:
        assert used(n) == made(name, given, warm)(n)
    assert used.base_lr == BASE


@every_row
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_rate_moves_no_further_than_its_formula(name: str, data: st.DataObject) -> None:
    row = ROWS[name]
    given, warm = data.draw(row.settings), data.draw(warm_ups(name))
    rise, fall = row.moves(given, warm)
    rise = max(rise, 1 / warm) if warm else rise
    schedule = made(name, given, warm)
    rates = [schedule(n) for n in range(300)]
    assert all(0 <= rate <= BASE * (1 + 1e-12) for rate in rates)
    moves = [after - before for before, after in pairwise(rates)]
    slack = 1 + 1e-9
    assert -BASE * fall * slack - 1e-15 <= min(moves)
    assert max(moves) <= BASE * rise * slack + 1e-15


@every_row
@given(data=st.data(), factor=st.floats(0.5, 2))
@settings(max_examples=20, deadline=None)
def test_an_assigned_base_lr(name: str, data: st.DataObject, factor: float) -> None:
    row = ROWS[name]
    given = data.draw(row.settings)
    schedule = made(name, given)
    before = [schedule(n) for n in range(1, 100)]
    schedule.base_lr = BASE * factor
    after = [schedule(n) for n in range(1, 100)]
    if not row.follows:
        assert after == before
    elif name != "chainscheduler":  # its schedules each have a way of their own
        expected = [row.restated(given, BASE * factor, 0, n) for n in range(1, 100)]
        assert after == pytest.approx(expected, rel=1e-9, abs=1e-12)
    schedule.base_lr = BASE
    assert [schedule(n) for n in range(1, 100)] == before


@pytest.mark.parametrize(("name", "given", "error", "words"), WRONG)
def test_wrong_settings_are_refused(
    name: str, given: Settings, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        lr_scheduler.create(name, **given)


@every_row
def test_every_setting_says_what_it_means_and_every_class_its_source(name: str) -> None:
    cls = lr_scheduler.registry.get(name)
    found = {setting.name: setting for setting in settings_of(cls)}
    assert all(setting.meaning for setting in found.values())
    assert "base_lr" in found
    assert {"warmup_steps", "warmup_begin_lr", "warmup_mode"} <= found.keys() or (
        not cls.takes_warmup and not any(key.startswith("warmup") for key in found)
    )
    document = cls.__dict__["__doc__"]
    assert "\n    Source: " in document and "\n    .. math::" in document


@every_row
def test_a_number_of_epochs_is_for_configs(name: str) -> None:
    cls = lr_scheduler.registry.get(name)
    found = settings_of(cls)
    counted = [s.name for s in found if Updates() in s.constraints]
    needed = {s.name: 1 for s in found if s.required}
    assert counted
    for setting in counted:
        for value in ("2 epochs", ["1 epoch", "1.5 epochs"]):
            with pytest.raises(TypeError, match=f"{setting} counts updates"):
                lr_scheduler.create(name, **needed | {setting: value})
