"""Schedules against the recorded values of MXNet 1.9.1, an independent restatement and rules."""

from __future__ import annotations

import builtins
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain import lr_scheduler
from mxtrain.errors import CallError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lr_schedulers.json").read_text())
ERRORS = {f"{number}-{case['class']}": case for number, case in enumerate(GOLDEN["errors"])}

BACKWARDS = (
    "the reference's state only moves forward, so a smaller num_update gets the rate of an earlier "
    "call; ours gets its own"
)
PAST_THE_END = (
    "past max_update the reference repeats the value it computed last; ours gives final_lr"
)
DIFFERS_ON_PURPOSE = {
    "FactorScheduler/jump_seq0": BACKWARDS,
    "FactorScheduler/jump_seq1": BACKWARDS,
    "FactorScheduler/jump_seq3": BACKWARDS,
    "MultiFactorScheduler/jump_seq0": BACKWARDS,
    "MultiFactorScheduler/jump_seq1": BACKWARDS,
    "MultiFactorScheduler/jump_seq3": BACKWARDS,
    "PolyScheduler/warm_jump_seq0": PAST_THE_END,
    "PolyScheduler/warm_jump_seq1": PAST_THE_END,
    "PolyScheduler/warm_jump_seq2": PAST_THE_END,
    "PolyScheduler/jump_seq0": PAST_THE_END,
    "PolyScheduler/jump_seq1": PAST_THE_END,
    "PolyScheduler/jump_seq2": PAST_THE_END,
    "PolyScheduler/base_lr_replaced_jump_seq0": PAST_THE_END,
    "CosineScheduler/warm_jump_seq0": PAST_THE_END,
    "CosineScheduler/warm_jump_seq1": PAST_THE_END,
    "CosineScheduler/warm_jump_seq2": PAST_THE_END,
    "CosineScheduler/jump_seq0": PAST_THE_END,
    "CosineScheduler/jump_seq1": PAST_THE_END,
    "CosineScheduler/jump_seq2": PAST_THE_END,
    "CosineScheduler/base_lr_replaced_jump_seq0": PAST_THE_END,
}


def restated(kind: str, kwargs: dict[str, Any], n: int, replaced: float | None = None) -> float:
    """The rate by closed formulas, written without a look at the code under test."""
    base = kwargs.get("base_lr", 0.01)
    warm = kwargs.get("warmup_steps", 0)
    if n < warm:
        begin = kwargs.get("warmup_begin_lr", 0.0)
        return begin + ((base - begin) * n / warm if _is_linear(kwargs) else 0.0)
    if kind in ("PolyScheduler", "CosineScheduler"):
        final, last = kwargs.get("final_lr", 0.0), kwargs["max_update"]
        if n > last:
            return final
        x = (n - warm) / (last - warm)
        poly = kind == "PolyScheduler"
        height = (1 - x) ** kwargs.get("pwr", 2) if poly else math.cos(math.pi * x / 2) ** 2
        return final + (base - final) * height
    start, factor = base if replaced is None else replaced, kwargs.get("factor", 1)
    if kind == "MultiFactorScheduler":
        return start * factor ** sum(s < n for s in kwargs["step"])
    decays = max(0, math.ceil(n / kwargs["step"]) - 1)
    floor = kwargs.get("stop_factor_lr", 1e-8)
    return max(start * factor**decays, floor) if decays else start


def _is_linear(kwargs: dict[str, Any]) -> bool:
    return kwargs.get("warmup_mode", "linear") == "linear"


def updates_of(case: dict[str, Any]) -> list[int]:
    given_as = case["num_updates"]
    return list(range(*given_as["range"])) if isinstance(given_as, dict) else given_as


def scheduler_of(case: dict[str, Any]) -> Any:
    scheduler = getattr(lr_scheduler, case["class"])(**case["kwargs"])
    if "set_base_lr" in case:
        scheduler.base_lr = case["set_base_lr"]
    return scheduler


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: c["id"])
def test_recorded_case(case: dict[str, Any]) -> None:
    scheduler = scheduler_of(case)
    base_lr = scheduler.base_lr
    ours = [scheduler(n) for n in updates_of(case)]
    if case["id"] in DIFFERS_ON_PURPOSE:
        assert ours != pytest.approx(case["lr"], rel=1e-12, abs=0)
    else:
        assert ours == pytest.approx(case["lr"], rel=1e-12, abs=0)
    kind, kwargs, replaced = case["class"], case["kwargs"], case.get("set_base_lr")
    expected = [restated(kind, kwargs, n, replaced) for n in updates_of(case)]
    assert ours == pytest.approx(expected, rel=1e-12, abs=1e-17)
    assert scheduler.base_lr == base_lr, "a call must not change base_lr"


@pytest.mark.parametrize(
    "case", [c for c in GOLDEN["cases"] if c["id"] in DIFFERS_ON_PURPOSE], ids=lambda c: c["id"]
)
def test_difference_is_only_what_depends_on_earlier_calls(case: dict[str, Any]) -> None:
    scheduler, highest, differing = scheduler_of(case), -1, 0
    for n, reference in zip(updates_of(case), case["lr"], strict=True):
        past_the_end = n > case["kwargs"].get("max_update", math.inf)
        if scheduler(n) == pytest.approx(reference, rel=1e-12, abs=0):
            highest = max(highest, n)
            continue
        differing += 1
        assert past_the_end or n < highest
        if past_the_end:
            assert scheduler(n) == case["kwargs"].get("final_lr", 0)
        highest = max(highest, n)
    assert differing > 0


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: c["id"])
def test_base_lr_at_the_end_is_the_rate_last_computed(case: dict[str, Any]) -> None:
    """The reference overwrites base_lr with the rate it computes; ours is asked for that rate."""
    scheduler = scheduler_of(case)
    end = case["kwargs"].get("max_update", math.inf)
    computed = [n for n in updates_of(case) if scheduler.warmup_steps <= n <= end]
    rate = scheduler.base_lr
    if computed:  # a curve follows the calls back and forth, decays only go forward
        rate = scheduler(computed[-1] if math.isfinite(end) else max(computed))
    assert rate == pytest.approx(case["base_lr_at_end"], rel=1e-12, abs=0)


def test_every_listed_difference_is_a_recorded_case(
    say_counts: Callable[[str, str], None],
) -> None:
    assert set(DIFFERS_ON_PURPOSE) <= {case["id"] for case in GOLDEN["cases"]}
    assert len(GOLDEN["cases"]) == 62
    assert len(ERRORS) == 51
    matched = len(GOLDEN["cases"]) - len(DIFFERS_ON_PURPOSE)
    counts = f"{matched} of 62 sequences match, {len(DIFFERS_ON_PURPOSE)} differ on purpose"
    say_counts("lr_schedulers", f"{counts}; {len(ERRORS)} errors match")
    assert len(DIFFERS_ON_PURPOSE) == 20


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
def test_recorded_error(case: dict[str, Any]) -> None:
    def program() -> None:
        scheduler = getattr(lr_scheduler, case["class"])(**case["kwargs"])
        if "call" in case:
            scheduler(case["call"])

    if case["raises"] is None:
        program()
        return
    with pytest.raises(getattr(builtins, case["raises"])) as caught:
        program()
    assert len(str(caught.value)) > 20, "the message must say what is wrong"


@given(
    step=st.one_of(st.integers(1, 50), st.floats(1, 50)),
    factor=st.floats(-1, 1),
    stop=st.one_of(st.just(1e-8), st.floats(-0.2, 0.2)),
    updates=st.lists(st.integers(0, 3000), min_size=1, max_size=12),
)
def test_factor_rounds_as_the_reference_loop_does(
    step: float, factor: float, stop: float, updates: list[int]
) -> None:
    scheduler = lr_scheduler.FactorScheduler(step, factor, stop, 0.1)
    for n in updates:
        count, rate = 0, 0.1
        while n > count + step:
            count += step
            rate *= factor
            if rate < stop:
                rate = stop
        assert scheduler(n) == rate


def test_factor_is_cheap_at_any_update() -> None:
    decays = 0

    class Counting(float):
        def __rmul__(self, other: float) -> float:
            nonlocal decays
            decays += 1
            return other * float(self)

    scheduler = lr_scheduler.FactorScheduler(1, Counting(1 - 1e-7), 0, 1.0)
    far = scheduler(1_000_000)
    assert decays == 999_999
    assert scheduler(1_000_001) < far
    assert decays == 1_000_000, "one update further costs one decay"
    before = decays
    assert scheduler(500_000) > far
    assert decays - before <= 1024, "an earlier update starts at a remembered decay"
    assert scheduler(1_000_000) == far
    assert decays - before <= 2048


def test_assigned_base_lr_is_where_the_decays_start() -> None:
    scheduler = lr_scheduler.FactorScheduler(step=10, factor=0.5, base_lr=0.1)
    assert scheduler(25) == 0.025
    scheduler.base_lr = 0.8
    assert scheduler(25) == 0.2
    scheduler.base_lr = 0.1
    assert scheduler(25) == 0.025


@pytest.mark.parametrize("kind", ["PolyScheduler", "CosineScheduler"])
def test_assigned_base_lr_leaves_the_curve_alone(kind: str) -> None:
    scheduler = getattr(lr_scheduler, kind)(50, 0.1)
    before = [scheduler(n) for n in range(60)]
    scheduler.base_lr = 3.0
    assert [scheduler(n) for n in range(60)] == before


def test_warm_up_longer_than_the_curve_ends_at_final_lr() -> None:
    scheduler = lr_scheduler.PolyScheduler(10, 0.1, warmup_steps=20, final_lr=0.02)
    assert [scheduler(n) for n in (10, 20, 21)] == [pytest.approx(0.05), 0.02, 0.02]


def test_no_log_record_is_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    lr_scheduler.FactorScheduler(step=1, factor=0.5)(100)
    lr_scheduler.MultiFactorScheduler(step=[1, 2], factor=0.5)(100)
    assert caplog.records == []


def test_positional_arguments_are_in_the_order_of_mxnet() -> None:
    common = (0.5, 3, 0.25, "constant")
    names = ("base_lr", "warmup_steps", "warmup_begin_lr", "warmup_mode")
    made = lr_scheduler.FactorScheduler(9, 0.5, 1e-3, *common)
    assert (made.step, made.factor, made.stop_factor_lr) == (9, 0.5, 1e-3)
    assert tuple(getattr(made, name) for name in names) == common
    multi = lr_scheduler.MultiFactorScheduler([4, 8], 0.5, *common)
    assert (multi.step, multi.factor) == ([4, 8], 0.5)
    assert tuple(getattr(multi, name) for name in names) == common
    poly = lr_scheduler.PolyScheduler(50, 0.5, 3, 0.1, *common[1:])
    assert (poly.max_update, poly.base_lr, poly.power, poly.final_lr) == (50, 0.5, 3, 0.1)
    assert (poly.max_steps, poly.base_lr_orig, poly.warmup_final_lr) == (47, 0.5, 0.5)
    cosine = lr_scheduler.CosineScheduler(50, 0.5, 0.1, *common[1:])
    assert (cosine.max_update, cosine.base_lr, cosine.final_lr) == (50, 0.5, 0.1)
    assert tuple(getattr(lr_scheduler.LRScheduler(*common), name) for name in names) == common


def test_get_warmup_lr_refuses_an_update_after_the_warm_up() -> None:
    scheduler = lr_scheduler.FactorScheduler(5, warmup_steps=4, base_lr=0.1)
    assert scheduler.get_warmup_lr(2) == 0.05
    with pytest.raises(CallError, match="below warmup_steps=4, got 4"):
        scheduler.get_warmup_lr(4)


def test_create_takes_both_spellings() -> None:
    assert lr_scheduler.create("factor", step=3, factor=0.5)(4) == 0.005
    assert lr_scheduler.create("FactorScheduler", step=3, factor=0.5)(4) == 0.005
    with pytest.raises(ValueError, match="did you mean 'cosine'"):
        lr_scheduler.create("cosin", max_update=3)


def test_register_enters_both_spellings() -> None:
    registry = lr_scheduler.registry
    classes, aliases = dict(registry._classes), dict(registry._aliases)

    @lr_scheduler.register
    class SawScheduler(lr_scheduler.LRScheduler):
        """Up and down."""

        period: Annotated[int, "updates between two peaks"] = 4

        def __call__(self, num_update: int) -> float:
            return self.base_lr * (num_update % self.period)

    try:
        assert lr_scheduler.create("saw", 3, base_lr=0.5)(5) == 1.0
        assert registry.get("sawscheduler") is SawScheduler
    finally:
        registry._classes, registry._aliases = classes, aliases


def test_import_needs_no_numpy() -> None:
    program = "import sys, mxtrain.lr_scheduler; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
