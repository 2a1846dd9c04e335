"""From an optimizer's formula to a program: what is traced, and the scalars it is run with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.backend.formula import Program, trace
from mxtrain.errors import MXNetError
from mxtrain.optimizer.base import Optimizer
from mxtrain.optimizer.states import NOISE, NoMaths, is_scalar, state_names

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array

Row = tuple[float, ...]

# What a formula gives in place of a new weight where the step is yet to be scaled.
STEP = "step"


@dataclass(frozen=True)
class Rule:
    """A traced formula.

    arrays : weight, gradient, states, and ``noise`` or ``step`` where the rule has them.
    targets : for each output of the program, the number of the array it goes to.
    """

    program: Program
    states: tuple[str, ...]
    arrays: tuple[str, ...]
    targets: tuple[int, ...]

    @property
    def takes_noise(self) -> bool:
        """Whether the formula takes standard-normal numbers."""
        return NOISE in self.arrays

    @property
    def gives_step(self) -> bool:
        """Whether the formula gives a step that is yet to be scaled."""
        return STEP in self.arrays


@dataclass(frozen=True)
class Structure:
    """What decides the shape of a formula; when it changes, the formula is traced anew."""

    code: Any
    rescales: bool
    clips: bool
    decays: bool


@dataclass(frozen=True)
class Layer:
    """One parameter in one update, as `Optimizer.layer_scalars` sees it.

    index : its number. lr, wd : its rate and decay, multipliers included. t : its count.
    weight, grad : its arrays, the gradient as it arrived. states : its state arrays by name.
    """

    index: Any
    lr: float
    wd: float
    t: int
    weight: Array
    grad: Array
    states: Mapping[str, Array] = field(default_factory=dict)


SMALLEST_HALF = 2.0**-24  # the smallest float16 above 0

# Elements summed at once for a norm: fewer than BLAS would split among threads, so that the
# number of threads never shows in a result.
_PART = 8192


def norm(array: Array) -> float:
    """Return the Euclidean norm, summed in the array's own precision unless that overflows."""
    flat = array.reshape(-1)
    total = _sum_of_squares(flat)
    if not isfinite(total) and flat.dtype != np.float64:
        total = _sum_of_squares(flat.astype(np.float64))
    return sqrt(total)


def _sum_of_squares(flat: Array) -> float:
    parts = (flat[start : start + _PART] for start in range(0, flat.size, _PART))
    return sum(float(np.dot(part, part)) for part in parts)


def structure_of(optimizer: Optimizer, decays: bool, by_rows: bool = False) -> Structure:
    """Return the structure of the optimizer's formula as its settings stand now.

    On listed rows (`by_rows`) a `clip_gradient` of 0 turns clipping off for every optimizer.
    """
    step = optimizer.rule(NoMaths())
    if not optimizer.prepares_gradient:
        return Structure(step.__code__, rescales=False, clips=False, decays=decays)
    clip = optimizer.clip_gradient
    clips = clip is not None and (clip > 0 or not (optimizer.zero_clip_is_off or by_rows))
    return Structure(step.__code__, optimizer.rescale_grad != 1.0, clips, decays)


def rule_of(optimizer: Optimizer, decays: bool, by_rows: bool = False) -> Rule:
    """Return the optimizer's traced formula; it is traced once per structure."""
    structure = structure_of(optimizer, decays, by_rows)
    rule: Rule | None = optimizer._rules.get(structure)
    if rule is None:
        rule = optimizer._rules[structure] = trace_rule(optimizer, structure)
    return rule


def trace_rule(optimizer: Optimizer, structure: Structure) -> Rule:
    """Trace the optimizer's formula, with the preparation of the gradient before it."""
    names = structure.code.co_varnames[: structure.code.co_argcount]
    scalars = [name for name in names if is_scalar(optimizer, name)]
    extra = [NOISE] if NOISE in names else []
    states = state_names(optimizer, names)
    all_scalars = dict.fromkeys([*scalars, "wd", "rescale_grad", "clip_gradient"])
    zero = [] if structure.decays else ["wd"]

    def prepared(xp: Any) -> Callable[..., Any]:
        step = optimizer.rule(xp)

        def formula(weight: Any, grad: Any, **named: Any) -> Any:
            if structure.rescales:
                grad = named["rescale_grad"] * grad
            if optimizer.decay_before_clip:
                grad = grad + named["wd"] * weight
            if structure.clips:
                limit = named["clip_gradient"]
                grad = xp.maximum(xp.minimum(grad, limit), -limit)
            # By name: the array of a step is written only, the formula does not take it.
            return step(weight=weight, grad=grad, **{n: named[n] for n in names[2:]})

        return formula

    if optimizer.scales_steps:
        extra.append(STEP)
    arrays = ("weight", "grad", *states, *extra)
    program = trace(
        prepared,
        arrays,
        [name for name in all_scalars if name not in zero],
        takes_maths=True,
        zero=zero,
    )
    first = arrays.index(STEP) if STEP in extra else 0
    return Rule(program, states, arrays, (first, *range(2, 2 + len(states))))


# What remains of a rule that gives a step: the weight moves by it, scaled per layer.
APPLY_STEP = trace(lambda weight, step, scale: weight - scale * step, ["weight", STEP], ["scale"])


def row_of(optimizer: Optimizer, names: Sequence[str], values: Mapping[str, Any]) -> Row:
    """Return the scalars a program names: from `values`, else the optimizer's settings."""
    row = [values[name] if name in values else getattr(optimizer, name) for name in names]
    return tuple(0.0 if value is None else float(value) for value in row)


def layer_row(optimizer: Optimizer, names: Sequence[str], layer: Layer) -> Row:
    """Return the scalars of one parameter."""
    values = {"lr": layer.lr, "wd": layer.wd} | optimizer.layer_scalars(layer)
    row = row_of(optimizer, names, values)
    if layer.weight.dtype != np.float16:
        return row
    # An addend such as 1e-8 would round to 0 in half precision, and divide 0 by 0.
    return tuple(
        max(value, SMALLEST_HALF) if name in ("epsilon", "eps") else value
        for name, value in zip(names, row, strict=True)
    )


def require_states(optimizer: Optimizer, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raise MXNetError when the rule wants states that were not made."""
    missing = [name for name in wanted if name not in there]
    if missing:
        raise MXNetError(
            f"{type(optimizer).__name__} now needs the state {', '.join(missing)}, which its "
            "settings did not ask for when the states were made; set them before the first update"
        )
