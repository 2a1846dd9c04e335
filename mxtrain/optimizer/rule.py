"""Running update rules: the formula of an optimizer over the arena.

An update has a prologue in Python doubles (count, rate, decay and `Optimizer.scalars`, once per
parameter in index order, giving a row of scalars each) and the compiled formula. Parameters that
lie side by side and have equal rows are one segment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.backend.formula import Maths, Program, trace
from mxtrain.errors import MXNetError
from mxtrain.optimizer.base import Optimizer, aggregation_size

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, Segment

Row = tuple[float, ...]


@dataclass(frozen=True)
class Rule:
    """A traced formula: its program, and the names of its states."""

    program: Program
    states: tuple[str, ...]


@dataclass(frozen=True)
class Structure:
    """What decides the shape of a formula; when it changes, the formula is traced anew."""

    code: Any
    rescales: bool
    clips: bool
    decays: bool


def structure_of(optimizer: Optimizer, decays: bool) -> Structure:
    """Return the structure of the optimizer's formula as its settings stand now."""
    clip = optimizer.clip_gradient
    clips = clip is not None and (clip > 0 or not optimizer.zero_clip_is_off)
    step = optimizer.rule(_NO_MATHS)
    return Structure(step.__code__, optimizer.rescale_grad != 1.0, clips, decays)


class _NoMaths(Maths):
    """Stands for ``xp`` where a formula is made but not run."""

    def __init__(self) -> None:
        """Take no trace: nothing is recorded."""


_NO_MATHS = _NoMaths()


def rule_of(optimizer: Optimizer, decays: bool) -> Rule:
    """Return the optimizer's traced formula; it is traced once per structure."""
    structure = structure_of(optimizer, decays)
    rule: Rule | None = optimizer._rules.get(structure)
    if rule is None:
        rule = optimizer._rules[structure] = trace_rule(optimizer, structure)
    return rule


def trace_rule(optimizer: Optimizer, structure: Structure) -> Rule:
    """Trace the optimizer's formula, with the preparation of the gradient before it."""
    names = structure.code.co_varnames[: structure.code.co_argcount]
    scalars = [name for name in names if is_scalar(optimizer, name)]
    states = tuple(n for n in names if n not in ("weight", "grad") and n not in scalars)
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
            return step(weight=weight, grad=grad, **{n: named[n] for n in names[2:]})

        return formula

    program = trace(
        prepared,
        ["weight", "grad", *states],
        [name for name in all_scalars if name not in zero],
        takes_maths=True,
        zero=zero,
    )
    return Rule(program, states)


def is_scalar(optimizer: Optimizer, name: str) -> bool:
    """Whether a name in a formula is a scalar (and not an array or a state)."""
    known = name in ("lr", "wd") or name in optimizer.extra_scalars
    return known or (name in type(optimizer)._fields and name not in ("weight", "grad"))


def row_of(optimizer: Optimizer, names: Sequence[str], lr: float, wd: float, t: int) -> Row:
    """Return the values of the scalars a program names, for one parameter at count `t`."""
    values: dict[str, Any] = {"lr": lr, "wd": wd}
    values |= optimizer.scalars(lr, wd, t)
    row = [values[name] if name in values else getattr(optimizer, name) for name in names]
    return tuple(0.0 if value is None else float(value) for value in row)


def no_state(optimizer: Optimizer, missing: Sequence[str]) -> str:
    """Say that the rule wants states that were not made."""
    return (
        f"{type(optimizer).__name__} now needs the state {', '.join(missing)}, which its settings "
        "did not ask for when the states were made; set them before the first update"
    )


def targets(rule: Rule) -> list[int]:
    """Return the number of the array that each output of the formula replaces."""
    return [0, *range(2, 2 + len(rule.states))]


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies in the flat arrays of an arena."""

    index: int
    start: int
    stop: int


class BoundRule:
    """An optimizer's rule over one dtype of an arena.

    Parameters
    ----------
    slots : the parameters that are updated, in arena order.
    weight, grad : the flat buffers.
    states : flat buffers of the same layout, by state name; made here when not given.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        slots: Sequence[Slot],
        weight: Array,
        grad: Array,
        backend: str = "numpy",
    ) -> None:
        self.optimizer, self.slots = optimizer, tuple(slots)
        self.weight, self.grad = weight, grad
        self._backend = backends.get(backend)
        names = rule_of(optimizer, decays=True).states
        self.states = {name: self._backend.zeros(weight.shape, weight.dtype) for name in names}
        self._by_index = sorted(self.slots, key=lambda slot: slot.index)
        self._segments: dict[tuple[int, int, Structure], tuple[Segment, tuple[str, ...]]] = {}
        self._snapshot: tuple[Any, ...] | None = None
        self._groups: list[tuple[float, float, Segment, tuple[str, ...]]] = []

    def state_of(self, slot: Slot, shape: tuple[int, ...]) -> Any:
        """Return the states of one parameter as views, in MXNet's form."""
        views = [state[slot.start : slot.stop].reshape(shape) for state in self.states.values()]
        return None if not views else views[0] if len(views) == 1 else tuple(views)

    def step(self) -> None:
        """Update every parameter once."""
        optimizer = self.optimizer
        counts = optimizer._index_update_count
        begin = optimizer.begin_num_update
        first = counts.get(self._by_index[0].index, begin)
        uniform = self._hooks_are_built_in() and all(
            counts.get(slot.index, begin) == first for slot in self._by_index
        )
        with np.errstate(all="ignore"):
            if uniform:
                self._step_together(first + 1)
            else:
                self._step_one_by_one()

    def _hooks_are_built_in(self) -> bool:
        cls, optimizer = type(self.optimizer), self.optimizer
        return (
            cls._get_lr is Optimizer._get_lr
            and cls._get_lrs is Optimizer._get_lrs
            and cls._get_wd is Optimizer._get_wd
            and cls._get_wds is Optimizer._get_wds
            and cls._update_count is Optimizer._update_count
            and optimizer.scalars_are_pure
            and not optimizer.param_dict
        )

    def _step_together(self, t: int) -> None:
        """All counts agree, so parameters of equal multipliers have equal rows."""
        optimizer = self.optimizer
        counts = optimizer._index_update_count
        for slot in self._by_index:
            counts[slot.index] = t
        if t > optimizer.num_update:
            optimizer.num_update = t
        rate, decay = optimizer._global_lr(), optimizer.wd
        self._regroup_if_changed()
        for lr_mult, wd_mult, segment, names in self._groups:
            segment.run(row_of(optimizer, names, rate * lr_mult, decay * wd_mult, t))

    def _regroup_if_changed(self) -> None:
        optimizer = self.optimizer
        structure = structure_of(optimizer, decays=optimizer.wd != 0)
        tables = (optimizer.lr_mult, optimizer.wd_mult, optimizer.idx2name)
        if self._snapshot == (structure, *tables):
            return
        self._snapshot = (structure, *(dict(table) for table in tables))
        rows = [(*optimizer.multipliers(s.index), optimizer.wd != 0) for s in self.slots]
        rows = [(lr, wd if decays else 0.0, decays) for lr, wd, decays in rows]
        self._groups = []
        for (lr_mult, wd_mult, decays), start, stop in self._runs(rows):
            segment, names = self._segment(start, stop, decays and wd_mult != 0)
            self._groups.append((lr_mult, wd_mult, segment, names))

    def _step_one_by_one(self) -> None:
        optimizer = self.optimizer
        rows: dict[int, tuple[float, float, int]] = {}
        size = max(aggregation_size(optimizer), 1)
        for start in range(0, len(self._by_index), size):
            indices = [slot.index for slot in self._by_index[start : start + size]]
            optimizer._update_count(indices if size > 1 else indices[0])
            if size > 1:
                rates, decays = optimizer._get_lrs(indices), optimizer._get_wds(indices)
            else:
                rates, decays = [optimizer._get_lr(indices[0])], [optimizer._get_wd(indices[0])]
            for index, lr, wd in zip(indices, rates, decays, strict=True):
                t = optimizer._index_update_count[index]
                rows[index] = (lr, wd, t)
        for slot in self.slots:
            lr, wd, t = rows[slot.index]
            segment, names = self._segment(slot.start, slot.stop, wd != 0)
            segment.run(row_of(optimizer, names, lr, wd, t))

    def _runs(self, rows: Sequence[Any]) -> list[tuple[Any, int, int]]:
        """Join neighbours with equal rows: (row, start, stop) of each run."""
        runs: list[tuple[Any, int, int]] = []
        for slot, row in zip(self.slots, rows, strict=True):
            if runs and runs[-1][0] == row:
                runs[-1] = (row, runs[-1][1], slot.stop)
            else:
                runs.append((row, slot.start, slot.stop))
        return runs

    def _segment(self, start: int, stop: int, decays: bool) -> tuple[Segment, tuple[str, ...]]:
        key = (start, stop, structure_of(self.optimizer, decays))
        if key not in self._segments:
            rule = rule_of(self.optimizer, decays)
            missing = [name for name in rule.states if name not in self.states]
            if missing:
                raise MXNetError(no_state(self.optimizer, missing))
            arrays = [self.weight, self.grad, *(self.states[name] for name in rule.states)]
            parts = [array[start:stop] for array in arrays]
            segment = self._backend.segment(rule.program, parts, targets(rule))
            self._segments[key] = (segment, rule.program.scalars)
        return self._segments[key]
