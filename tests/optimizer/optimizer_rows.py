"""One row per optimizer: what the tests that go over all of them have to know.

The restatements are written from the formulas of the specification, in float64 and in the plainest
way, without a look at the code under test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
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


def clipped(x: Any, limit: float | None) -> Any:
    """Clipping of the kernel style: None, 0 and negative limits mean none."""
    return x if limit is None or limit <= 0 else np.clip(x, -limit, limit)


def sgd(w: Any, g: Any, memory: dict[str, Any], p: dict[str, Any]) -> Any:
    grad = clipped(p["rho"] * g, p["clip"])
    if p["momentum"] <= 0:
        return w - p["lr"] * (grad + p["wd"] * w)
    velocity = memory.get("v", 0) * p["momentum"] - p["lr"] * (p["wd"] * w + grad)
    memory["v"] = velocity
    return w + velocity


def nag(w: Any, g: Any, memory: dict[str, Any], p: dict[str, Any]) -> Any:
    grad = clipped(p["rho"] * g, p["clip"])
    if p["momentum"] == 0:
        return w - p["lr"] * (grad + p["wd"] * w)
    velocity = p["momentum"] * memory.get("v", 0)
    ahead = velocity - p["lr"] * (grad + p["wd"] * w)
    new = w - velocity + (p["momentum"] + 1) * ahead
    memory["v"] = velocity - p["lr"] * (grad + p["wd"] * new)
    return new


def adam(w: Any, g: Any, memory: dict[str, Any], p: dict[str, Any]) -> Any:
    grad = clipped(p["rho"] * g + p["wd"] * w, p["clip"])
    b1, b2 = p["beta1"], p["beta2"]
    memory["m"] = m = b1 * memory.get("m", 0) + (1 - b1) * grad
    memory["v"] = v = b2 * memory.get("v", 0) + (1 - b2) * grad**2
    rate = p["lr"] * np.sqrt(1 - b2 ** p["t"]) / (1 - b1 ** p["t"])
    return w - rate * m / (np.sqrt(v) + p["epsilon"])


@dataclass(frozen=True)
class Row:
    """What to know about one optimizer.

    own : its own arguments in positional order.
    rate : the learning rate when none is given.
    passes_rate_on : whether its default rate replaces a scheduler's base_lr.
    cases, row_sparse_cases : recorded cases that run, and that wait for row-sparse gradients.
    variants : settings that give each form of the rule.
    settings : strategies for its own settings.
    descent : settings under which the loss of an easy quadratic goes down.
    counts_pieces : whether a piece of parameters counts before any rate is looked up.
    master_last : whether the pair under mixed precision is (state, master).
    """

    own: tuple[str, ...]
    rate: float
    passes_rate_on: bool
    cases: int
    row_sparse_cases: int
    variants: tuple[dict[str, Any], ...]
    settings: dict[str, st.SearchStrategy[Any]]
    restated: Callable[..., Any]
    descent: dict[str, Any]
    counts_pieces: bool = False
    master_last: bool = False


decays = st.floats(0, 0.99)
momenta = st.sampled_from([0.0, 0.5, 0.9]) | decays

ROWS = {
    "sgd": Row(
        own=("momentum", "lazy_update"),
        rate=0.01,
        passes_rate_on=False,
        cases=55,
        row_sparse_cases=10,
        variants=({}, {"momentum": 0.9}),
        settings={"momentum": momenta | st.just(-0.5)},
        restated=sgd,
        descent={"learning_rate": 0.05},
        counts_pieces=True,
        master_last=True,
    ),
    "nag": Row(
        own=("momentum",),
        rate=0.01,
        passes_rate_on=False,
        cases=26,
        row_sparse_cases=1,
        variants=({}, {"momentum": 0.9}),
        settings={"momentum": momenta},
        restated=nag,
        descent={"learning_rate": 0.05},
        master_last=True,
    ),
    "adam": Row(
        own=("learning_rate", "beta1", "beta2", "epsilon", "lazy_update"),
        rate=0.001,
        passes_rate_on=True,
        cases=19,
        row_sparse_cases=5,
        variants=({},),
        settings={"beta1": decays, "beta2": st.floats(0, 0.9999), "epsilon": st.floats(1e-8, 1)},
        restated=adam,
        descent={"learning_rate": 0.05},
    ),
}

VARIANTS = [(name, settings) for name, row in ROWS.items() for settings in row.variants]
