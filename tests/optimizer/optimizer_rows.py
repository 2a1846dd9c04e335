"""One row per optimizer: what the tests that go over all of them have to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optimizer_formulas as formulas
from hypothesis import strategies as st

COMMON = (
    "rescale_grad",
    "param_idx2name",
    "wd",
    "clip_gradient",
    "learning_rate",
    "lr_scheduler",
    "sym",
    "begin_num_update",
    "multi_precision",
    "param_dict",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What to know about one optimizer.

    own : its own arguments in positional order.
    rate : the learning rate when none is given.
    beside_scheduler : what becomes of a rate beside a scheduler: ``given`` rates replace base_lr,
        so do ``always`` (also the default), or ``never``.
    cases, row_sparse_cases : recorded cases, those with dense and with row-sparse gradients.
    source : who states the rule, as its docstring names it.
    variants : settings that give each form of the rule.
    settings : strategy for its own settings.
    restated : the rule in plain float64.
    clips_to_zero : whether ``clip_gradient=0`` clips to zero instead of being off.
    quadratic, rosenbrock : settings under which these go down.
    rates_seen : the rates looked up for a lagging and a leading parameter of one call, where a
        rate is the num_update it was asked for.
    when_still : the weight under a gradient that is always zero, from the one at first; None
        where that is left to chance.
    matrices_only, decays, master_last : what it takes; the order of (state, master).
    in_arena : whether it is a formula.
    """

    own: tuple[str, ...]
    rate: float = 0.01
    beside_scheduler: str = "given"
    cases: int = 0
    row_sparse_cases: int = 0
    source: str = "MXNet 1.9.1"
    variants: tuple[dict[str, Any], ...] = ({},)
    settings: st.SearchStrategy[dict[str, Any]]
    restated: Callable[..., Any]
    clips_to_zero: bool = False
    quadratic: dict[str, Any]
    rosenbrock: dict[str, Any]
    rates_seen: tuple[int, ...] = (2, 3)
    when_still: Callable[[Any], Any] | None = np.copy
    matrices_only: bool = False
    decays: bool = True
    master_last: bool = False
    in_arena: bool = True


def own_settings(**strategies: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(strategies)


decays = st.floats(0, 0.99)
slow_decays = st.floats(0, 0.9999)
epsilons = st.floats(1e-8, 1)
betas = {"beta1": decays, "beta2": slow_decays}
flags = st.booleans()
nothing_or_some = st.sampled_from([0.0, 0.1])
momentum = {"momentum": st.sampled_from([0.0, 0.5, 0.9]) | decays}


def without_wd_lh(settings: dict[str, Any]) -> dict[str, Any]:
    """Sign-SGD refuses wd_lh."""
    return settings if settings["momentum"] else settings | {"wd_lh": 0.0}


with_momentum = ({}, {"momentum": 0.9})
CENTERED_AND_CLIPPED = ((True, None), (False, 3.0), (True, 3.0))
ADAM_ARGUMENTS = ("learning_rate", "beta1", "beta2", "epsilon")

ROWS = {
    "sgd": Row(
        own=("momentum", "lazy_update"),
        cases=55,
        row_sparse_cases=10,
        variants=with_momentum,
        settings=own_settings(**momentum),
        restated=formulas.sgd,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.001},
        rates_seen=(3, 3),
        master_last=True,
    ),
    "nag": Row(
        own=("momentum",),
        cases=26,
        row_sparse_cases=1,
        variants=with_momentum,
        settings=own_settings(**momentum),
        restated=formulas.nag,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.001},
        master_last=True,
    ),
    "signum": Row(
        own=("learning_rate", "momentum", "wd_lh"),
        beside_scheduler="always",
        cases=28,
        row_sparse_cases=1,
        variants=({}, {"momentum": 0.0}),
        settings=own_settings(**momentum, wd_lh=nothing_or_some).map(without_wd_lh),
        restated=formulas.signum,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.003},
    ),
    "ftml": Row(
        own=("beta1", "beta2", "epsilon"),
        cases=18,
        row_sparse_cases=1,
        settings=own_settings(**betas, epsilon=epsilons),
        restated=formulas.ftml,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.03},
    ),
    "lars": Row(
        own=("momentum", "lazy_update", "eta", "eps", "momentum_correction"),
        cases=36,
        row_sparse_cases=2,
        variants=with_momentum,
        settings=own_settings(
            **momentum, eta=st.floats(0.001, 1), eps=nothing_or_some, momentum_correction=flags
        ),
        restated=formulas.lars,
        quadratic={"learning_rate": 0.03, "eta": 1.0},
        rosenbrock={"learning_rate": 0.01, "eta": 1.0},
        rates_seen=(3, 3),
        master_last=True,
    ),
    "lbsgd": Row(
        own=(
            "momentum",
            "multi_precision",
            "warmup_strategy",
            "warmup_epochs",
            "batch_scale",
            "updates_per_epoch",
            "begin_epoch",
            "num_epochs",
        ),
        cases=47,
        row_sparse_cases=2,
        variants=(
            *with_momentum,
            {"batch_scale": 2},
            {"batch_scale": 2, "momentum": 0.9},
            {"warmup_strategy": "lars"},
        ),
        settings=own_settings(
            **momentum,
            warmup_strategy=st.sampled_from(["linear", "power2", "sqrt", "lars", "other"]),
            warmup_epochs=st.integers(0, 2),
            batch_scale=st.integers(1, 3),
            updates_per_epoch=st.integers(1, 3),
            begin_epoch=st.integers(0, 1),
        ),
        restated=formulas.lbsgd,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.001},
        rates_seen=(2, 2),
    ),
    "lamb": Row(
        own=(*ADAM_ARGUMENTS, "lower_bound", "upper_bound", "bias_correction"),
        rate=0.001,
        beside_scheduler="always",
        cases=35,
        row_sparse_cases=1,
        variants=({}, {"bias_correction": False, "upper_bound": 2.0}),
        settings=own_settings(
            **betas,
            epsilon=epsilons,
            lower_bound=st.sampled_from([None, 0.0, -1.0, 1.5]),
            upper_bound=st.sampled_from([None, 0.0, 2.0]),
            bias_correction=flags,
        ).map(lambda s: s | {k: max(s[k] or 0, 0) or None for k in ("lower_bound", "upper_bound")}),
        restated=formulas.lamb,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.03},
    ),
    "dcasgd": Row(
        own=("momentum", "lamda"),
        cases=26,
        row_sparse_cases=1,
        variants=with_momentum,
        settings=own_settings(**momentum, lamda=st.floats(0, 0.5)),
        restated=formulas.dcasgd,
        clips_to_zero=True,
        quadratic={"learning_rate": 0.01},
        rosenbrock={"learning_rate": 0.001},
    ),
    "sgld": Row(
        own=(),
        cases=16,
        settings=own_settings(),
        restated=formulas.sgld,
        clips_to_zero=True,
        quadratic={"learning_rate": 0.01},
        rosenbrock={"learning_rate": 0.001},
        when_still=None,
    ),
    "adam": Row(
        own=(*ADAM_ARGUMENTS, "lazy_update"),
        rate=0.001,
        beside_scheduler="always",
        cases=19,
        row_sparse_cases=5,
        settings=own_settings(**betas, epsilon=epsilons),
        restated=formulas.adam,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.03},
    ),
    "adagrad": Row(
        own=("eps",),
        cases=16,
        row_sparse_cases=2,
        settings=own_settings(eps=epsilons),
        restated=formulas.adagrad,
        clips_to_zero=True,
        quadratic={"learning_rate": 0.3},
        rosenbrock={"learning_rate": 0.3},
    ),
    "rmsprop": Row(
        own=("learning_rate", "gamma1", "gamma2", "epsilon", "centered", "clip_weights"),
        rate=0.001,
        beside_scheduler="always",
        cases=33,
        row_sparse_cases=1,
        variants=({}, *({"centered": c, "clip_weights": w} for c, w in CENTERED_AND_CLIPPED)),
        settings=own_settings(
            # With less the variance of the centered form vanishes in rounding.
            gamma1=st.floats(0.1, 0.99),
            gamma2=decays,
            epsilon=st.floats(1e-3, 1),
            centered=flags,
            clip_weights=st.sampled_from([None, 0.0, 0.5]),
        ),
        restated=formulas.rmsprop,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.003},
    ),
    "adadelta": Row(
        own=("rho", "epsilon"),
        cases=16,
        row_sparse_cases=1,
        settings=own_settings(rho=decays, epsilon=epsilons),
        restated=formulas.adadelta,
        clips_to_zero=True,
        quadratic={"epsilon": 1e-4},
        rosenbrock={"epsilon": 1e-7},
        rates_seen=(),
    ),
    "ftrl": Row(
        own=("lamda1", "learning_rate", "beta"),
        rate=0.1,
        beside_scheduler="never",
        cases=16,
        row_sparse_cases=3,
        variants=({}, {"beta": 0.0}),
        settings=own_settings(lamda1=st.floats(0, 1), beta=st.just(0.0) | st.floats(0.1, 2)),
        restated=formulas.ftrl,
        quadratic={"learning_rate": 0.3},
        rosenbrock={"learning_rate": 0.3},
        when_still=np.zeros_like,
    ),
    "adamax": Row(
        own=("learning_rate", "beta1", "beta2"),
        rate=0.002,
        beside_scheduler="always",
        cases=19,
        row_sparse_cases=1,
        settings=own_settings(**betas),
        restated=formulas.adamax,
        clips_to_zero=True,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.1},
    ),
    "nadam": Row(
        own=(*ADAM_ARGUMENTS, "schedule_decay"),
        rate=0.001,
        beside_scheduler="always",
        cases=20,
        row_sparse_cases=1,
        settings=own_settings(**betas, epsilon=epsilons, schedule_decay=st.floats(0, 0.1)),
        restated=formulas.nadam,
        clips_to_zero=True,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.03},
    ),
    "groupadagrad": Row(
        own=("eps",),
        cases=13,
        row_sparse_cases=2,
        settings=own_settings(eps=epsilons),
        restated=formulas.groupadagrad,
        clips_to_zero=True,
        quadratic={"learning_rate": 0.3},
        rosenbrock={"learning_rate": 0.3},
        matrices_only=True,
        decays=False,
        in_arena=False,
    ),
    "adamw": Row(
        own=(*ADAM_ARGUMENTS, "bias_correction"),
        rate=0.001,
        beside_scheduler="always",
        cases=6,
        variants=({}, {"bias_correction": False}),
        settings=own_settings(**betas, epsilon=epsilons, bias_correction=flags),
        restated=formulas.adamw,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.03},
    ),
    "adabelief": Row(
        own=ADAM_ARGUMENTS,
        rate=0.001,
        beside_scheduler="always",
        source="arXiv:2010.07468",
        settings=own_settings(**betas, epsilon=epsilons),
        restated=formulas.adabelief,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.03},
    ),
    "radam": Row(
        own=ADAM_ARGUMENTS,
        rate=0.001,
        beside_scheduler="always",
        source="arXiv:1908.03265",
        settings=own_settings(**betas, epsilon=epsilons),
        restated=formulas.radam,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.003, "beta2": 0.99},
    ),
    "lion": Row(
        own=("learning_rate", "beta1", "beta2"),
        rate=0.0001,
        beside_scheduler="always",
        source="arXiv:2302.06675",
        settings=own_settings(**betas),
        restated=formulas.lion,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.003},
    ),
    "adan": Row(
        own=("learning_rate", "beta1", "beta2", "beta3", "epsilon"),
        rate=0.001,
        beside_scheduler="always",
        source="arXiv:2208.06677",
        settings=own_settings(**betas, beta3=slow_decays, epsilon=epsilons),
        restated=formulas.adan,
        quadratic={"learning_rate": 0.1},
        rosenbrock={"learning_rate": 0.01},
    ),
    "muon": Row(
        own=(
            "learning_rate",
            "momentum",
            "nesterov",
            "ns_steps",
            "adamw_learning_rate",
            "beta1",
            "beta2",
            "epsilon",
        ),
        rate=0.02,
        beside_scheduler="always",
        source="Jordan and others 2024",
        variants=({}, {"nesterov": False}),
        settings=own_settings(momentum=decays, nesterov=flags, ns_steps=st.integers(1, 6)),
        restated=formulas.muon,
        quadratic={"learning_rate": 0.03},
        rosenbrock={"learning_rate": 0.003},
        in_arena=False,
    ),
}

VARIANTS = [(name, settings) for name, row in ROWS.items() for settings in row.variants]
IN_ARENA = [(name, settings) for name, settings in VARIANTS if ROWS[name].in_arena]
