"""One row per schedule: what the tests that go over all of them have to know.

The restatements are written from the formulas, in the plainest way, without a look at the code
under test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from mxtrain.errors import CallError

Settings = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """What to know about one schedule.

    settings : a strategy for its own settings; those it needs are always there.
    restated : the rate at (settings, base_lr, warmup_steps, update), after the warm-up.
    moves : by how much the rate may rise and fall from one update to the next, over base_lr.
    wrong : settings that are refused, with the error and a word of its text.
    follows : whether an assigned base_lr changes the rate.
    """

    settings: st.SearchStrategy[Settings]
    restated: Callable[[Settings, float, int, int], float]
    moves: Callable[[Settings, int], tuple[float, float]]
    wrong: tuple[tuple[Settings, type[Exception], str], ...]
    follows: bool = True


def factor(s: Settings, base: float, warm: int, n: int) -> float:
    decays = max(0, math.ceil(n / s["step"]) - 1)
    return max(base * s["factor"] ** decays, 1e-8) if decays else base


def multi_factor(s: Settings, base: float, warm: int, n: int) -> float:
    return base * s["factor"] ** sum(step < n for step in s["step"])


def along(s: Settings, base: float, warm: int, n: int) -> float | None:
    """The part of a curve done at `n`, None past its end."""
    return None if n > s["max_update"] else (n - warm) / (s["max_update"] - warm)


def poly(s: Settings, base: float, warm: int, n: int) -> float:
    x = along(s, base, warm, n)
    return s["final_lr"] + (0 if x is None else (base - s["final_lr"]) * (1 - x) ** s["pwr"])


def cosine(s: Settings, base: float, warm: int, n: int) -> float:
    x = along(s, base, warm, n)
    height = 0 if x is None else math.cos(math.pi * x / 2) ** 2
    return s["final_lr"] + (base - s["final_lr"]) * height


def constant(s: Settings, base: float, warm: int, n: int) -> float:
    return base


def exponential(s: Settings, base: float, warm: int, n: int) -> float:
    return max(base * math.exp(math.log(s["factor"]) * (n - warm) / s["step"]), s["final_lr"])


def restarts(s: Settings, base: float, warm: int, n: int) -> float:
    start, length, peak = 0.0, float(s["period"]), base
    while start + length <= n - warm:
        start, length, peak = start + length, length * s["period_mult"], peak * s["peak_decay"]
    peak, low = max(peak, s["final_lr"]), s["final_lr"]
    return low + (peak - low) * math.cos(math.pi / 2 * (n - warm - start) / length) ** 2


def one_cycle(s: Settings, base: float, warm: int, n: int) -> float:
    end, turn = s["max_update"], s["max_update"] * s["pct_start"]
    first = base / s["div_factor"]
    last = first / s["final_div_factor"]
    n = min(n, end)
    low, x = (first, 1 - n / turn) if n < turn else (last, (n - turn) / (end - turn))
    part = x if s["anneal_strategy"] == "linear" else math.sin(math.pi * x / 2) ** 2
    return base * (1 - part) + low * part


def stable(s: Settings, base: float, warm: int, n: int) -> float:
    start = s["max_update"] - s["decay_steps"]
    x = min(max(0, (n - start) / s["decay_steps"]), 1)
    part = {"linear": x, "cosine": math.sin(math.pi * x / 2) ** 2, "sqrt": x**0.5}[s["decay"]]
    return base * (1 - part) + s["final_lr"] * part


def chain(s: Settings, base: float, warm: int, n: int) -> float:
    lasting = [*s["updates"], math.inf][: len(s["schedules"])]
    n = int(min(n, sum(lasting)))
    for inner, updates in zip(s["schedules"], lasting, strict=True):
        if n <= updates:
            return ROWS[f"{inner['name']}scheduler"].restated(inner, base, 0, n)
        n -= updates
    raise AssertionError


rates = st.floats(0, 0.01)
shares = st.floats(0.05, 1)
HALF_WAVE = math.pi / 2
CURVE_MISTAKES = (
    ({"max_update": 1.5}, CallError, "max_update"),
    ({"max_update": 0}, ValueError, "max_update"),
)


def _largest(*moves: float) -> float:
    return min(1.0, max(moves))


ROWS = {
    "factorscheduler": Row(
        settings=st.fixed_dictionaries({"step": st.integers(1, 50), "factor": shares}),
        restated=factor,
        moves=lambda s, warm: (0, 1 - s["factor"] ** (1 + warm // s["step"])),
        wrong=(
            ({"step": 0, "factor": 1}, ValueError, "step"),
            ({"step": 3, "factor": 2}, ValueError, "factor"),
        ),
    ),
    "multifactorscheduler": Row(
        settings=st.fixed_dictionaries(
            {"step": st.lists(st.integers(1, 90), min_size=1, unique=True).map(sorted)}
            | {"factor": shares}
        ),
        restated=multi_factor,
        moves=lambda s, warm: (0, 1 - s["factor"] ** max(1, sum(n < warm for n in s["step"]))),
        wrong=(
            ({"step": [3, 2]}, ValueError, "increase"),
            ({"step": []}, CallError, "step"),
            ({"step": 3}, CallError, "step"),
            ({"step": [0, 2]}, ValueError, "at least 1"),
            ({"step": [3], "factor": 1.1}, ValueError, "factor"),
        ),
    ),
    "polyscheduler": Row(
        settings=st.fixed_dictionaries(
            {"max_update": st.integers(41, 150), "pwr": st.floats(0.5, 3), "final_lr": rates}
        ),
        restated=poly,
        moves=lambda s, warm: (
            0,
            max(s["pwr"] / (s["max_update"] - warm), (s["max_update"] - warm) ** -s["pwr"]),
        ),
        wrong=(*CURVE_MISTAKES, ({"max_update": 9, "pwr": 0}, ValueError, "pwr")),
        follows=False,
    ),
    "cosinescheduler": Row(
        settings=st.fixed_dictionaries({"max_update": st.integers(41, 150), "final_lr": rates}),
        restated=cosine,
        moves=lambda s, warm: (0, HALF_WAVE / (s["max_update"] - warm)),
        wrong=CURVE_MISTAKES,
        follows=False,
    ),
    "constantscheduler": Row(
        settings=st.just({}),
        restated=constant,
        moves=lambda s, warm: (0, 0),
        wrong=(({"base_lr": -1}, ValueError, "base_lr"),),
    ),
    "exponentialscheduler": Row(
        settings=st.fixed_dictionaries(
            {"factor": shares, "step": st.floats(1, 50), "final_lr": rates}
        ),
        restated=exponential,
        moves=lambda s, warm: (0, 1 - s["factor"] ** (1 / s["step"])),
        wrong=(
            ({"factor": 0}, ValueError, "factor"),
            ({"factor": 1.5}, ValueError, "factor"),
            ({"factor": 0.5, "step": 0.5}, ValueError, "step"),
        ),
    ),
    "onecyclescheduler": Row(
        settings=st.fixed_dictionaries(
            {
                "max_update": st.integers(1, 150),
                "pct_start": st.floats(0.05, 0.95),
                "div_factor": st.floats(1, 50),
                "final_div_factor": st.floats(1, 1e4),
                "anneal_strategy": st.sampled_from(["linear", "cosine"]),
            }
        ),
        restated=one_cycle,
        moves=lambda s, warm: (
            _largest(HALF_WAVE / (s["pct_start"] * s["max_update"])),
            _largest(HALF_WAVE / ((1 - s["pct_start"]) * s["max_update"])),
        ),
        wrong=(
            *CURVE_MISTAKES,
            ({"max_update": 9, "pct_start": 0}, ValueError, "pct_start"),
            ({"max_update": 9, "pct_start": 1}, ValueError, "pct_start"),
            ({"max_update": 9, "div_factor": 0.5}, ValueError, "div_factor"),
            ({"max_update": 9, "final_div_factor": 0}, ValueError, "final_div_factor"),
            ({"max_update": 9, "anneal_strategy": "cos"}, ValueError, "'cosine', 'linear'"),
            ({"max_update": 9, "warmup_steps": 3}, TypeError, "warmup_steps"),
        ),
    ),
    "cosinerestartsscheduler": Row(
        settings=st.fixed_dictionaries(
            {
                "period": st.integers(1, 60),
                "period_mult": st.sampled_from([1, 2, 3, 1.5]),
                "peak_decay": shares,
                "final_lr": rates,
            }
        ),
        restated=restarts,
        moves=lambda s, warm: (1, _largest(HALF_WAVE / s["period"])),
        wrong=(
            ({"period": 0}, ValueError, "period"),
            ({"period": 2.5}, CallError, "period"),
            ({"period": 2, "period_mult": 0.5}, ValueError, "period_mult"),
            ({"period": 2, "peak_decay": 1.5}, ValueError, "peak_decay"),
            ({"period": 2, "peak_decay": 0}, ValueError, "peak_decay"),
        ),
    ),
    "warmupstabledecayscheduler": Row(
        settings=st.fixed_dictionaries(
            {
                "max_update": st.integers(90, 150),
                "decay_steps": st.integers(1, 50),
                "decay": st.sampled_from(["linear", "cosine", "sqrt"]),
                "final_lr": rates,
            }
        ),
        restated=stable,
        moves=lambda s, warm: (0, _largest(HALF_WAVE / s["decay_steps"], s["decay_steps"] ** -0.5)),
        wrong=(
            ({"max_update": 0, "decay_steps": 1}, ValueError, "max_update"),
            ({"max_update": 9, "decay_steps": 0}, ValueError, "decay_steps"),
            ({"max_update": 9, "decay_steps": 2.5}, CallError, "decay_steps"),
            ({"max_update": 9, "decay_steps": 5, "warmup_steps": 5}, ValueError, "together"),
            ({"max_update": 9, "decay_steps": 5, "decay": "cos"}, ValueError, "'sqrt'"),
        ),
    ),
    "chainscheduler": Row(
        settings=st.fixed_dictionaries(
            {
                "schedules": st.just(
                    [
                        {"name": "constant"},
                        {"name": "poly", "max_update": 30, "pwr": 1, "final_lr": 0.01},
                        {"name": "exponential", "factor": 0.5, "step": 9, "final_lr": 0.0},
                    ]
                ),
                "updates": st.lists(st.integers(1, 40), min_size=2, max_size=3),
            }
        ),
        restated=chain,
        moves=lambda s, warm: (1, 1 / 9),
        wrong=(
            ({"schedules": [], "updates": []}, ValueError, "schedules"),
            ({"schedules": "poly", "updates": []}, CallError, "schedules"),
            ({"schedules": ["constant"] * 3, "updates": [1]}, ValueError, "3 schedules"),
            ({"schedules": ["constant"], "updates": [1, 2]}, ValueError, "1 schedules"),
            ({"schedules": ["constant"], "updates": 1}, CallError, "updates"),
            ({"schedules": ["constant"], "updates": [0]}, ValueError, "updates[0]"),
            ({"schedules": ["constant"], "updates": [1.5]}, CallError, "updates[0]"),
            ({"schedules": ["constnt"], "updates": [1]}, ValueError, "constant"),
            ({"schedules": [3], "updates": [1]}, TypeError, "mapping"),
            ({"schedules": [{"step": 3}], "updates": [1]}, TypeError, "name"),
            ({"schedules": ["poly"], "updates": [1]}, TypeError, "max_update"),
        ),
    ),
}
