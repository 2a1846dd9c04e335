"""Running an optimizer's formula over the arena.

An update has a prologue in Python doubles (count, rate, decay and the optimizer's scalars, once per
parameter in index order, giving a row of scalars each) and the compiled formula. Parameters that
lie side by side and have equal rows are one segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.optimizer.base import Optimizer, aggregation_size
from mxtrain.optimizer.states import NOISE
from mxtrain.optimizer.tracing import (
    APPLY_STEP,
    STEP,
    Layer,
    Structure,
    layer_row,
    norm,
    require_states,
    row_of,
    rule_of,
    structure_of,
)

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, RunnableRule

Bound = tuple["RunnableRule", tuple[str, ...]]


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
    backend : where the formula runs.

    `states` has flat buffers of the same layout, by state name.
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
        rule = rule_of(optimizer, decays=True)
        self.states = {name: self._like_weight() for name in rule.states}
        self._copies = [name for name in optimizer.copies_of_weight if name in self.states]
        for name in self._copies:
            self.states[name].fill(np.nan)  # not begun, unless stored states are loaded
        scratch = [name for name in (NOISE, STEP) if name in rule.arrays]
        self._scratch = {name: self._like_weight() for name in scratch}
        self._by_index = sorted(self.slots, key=lambda slot: slot.index)
        self._segments: dict[tuple[int, int, Structure], Bound] = {}
        self._appliers: dict[Slot, RunnableRule] = {}
        self._snapshot: tuple[Any, ...] | None = None
        self._groups: list[tuple[float, float, RunnableRule, tuple[str, ...]]] = []

    def _like_weight(self) -> Array:
        return self._backend.zeros(self.weight.shape, self.weight.dtype)

    def state_of(self, slot: Slot, shape: tuple[int, ...]) -> Any:
        """Return the states of one parameter as views, in MXNet's form."""
        views = {n: s[slot.start : slot.stop].reshape(shape) for n, s in self.states.items()}
        return self.optimizer.pack_states(views)

    def step(self) -> None:
        """Update every parameter once."""
        optimizer = self.optimizer
        counts = optimizer._index_update_count
        begin = optimizer.begin_num_update
        first = counts.get(self._by_index[0].index, begin)
        uniform = self._may_step_together() and all(
            counts.get(slot.index, begin) == first for slot in self._by_index
        )
        with np.errstate(all="ignore"):
            self._begin_states()
            if uniform:
                self._step_together(first + 1)
            else:
                self._step_one_by_one()

    def _may_step_together(self) -> bool:
        """Whether parameters of one rate, decay and count need no look of their own."""
        cls, optimizer = type(self.optimizer), self.optimizer
        return (
            cls._get_lr is Optimizer._get_lr
            and cls._get_lrs is Optimizer._get_lrs
            and cls._get_wd is Optimizer._get_wd
            and cls._get_wds is Optimizer._get_wds
            and cls._update_count is Optimizer._update_count
            and cls.layer_scalars is Optimizer.layer_scalars
            and not optimizer.scales_steps
            and not self._scratch
            and not optimizer.param_dict
        )

    def _begin_states(self) -> None:
        """Let copies of the weight begin, in the first update after they were made."""
        for name in self._copies:
            for slot in self.slots:
                state = self.states[name][slot.start : slot.stop]
                if np.isnan(state[:1]).all():
                    np.copyto(state, self.weight[slot.start : slot.stop])

    # -- all parameters together -------------------------------------------------------------

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
            lr, wd = rate * lr_mult, decay * wd_mult
            values = {"lr": lr, "wd": wd} | optimizer.scalars(lr, wd, t)
            segment.run(row_of(optimizer, names, values))

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

    def _runs(self, rows: Sequence[Any]) -> list[tuple[Any, int, int]]:
        """Join neighbours with equal rows: (row, start, stop) of each run."""
        runs: list[tuple[Any, int, int]] = []
        for slot, row in zip(self.slots, rows, strict=True):
            if runs and runs[-1][0] == row:
                runs[-1] = (row, runs[-1][1], slot.stop)
            else:
                runs.append((row, slot.start, slot.stop))
        return runs

    def _segment(self, start: int, stop: int, decays: bool) -> Bound:
        key = (start, stop, structure_of(self.optimizer, decays))
        if key not in self._segments:
            rule = rule_of(self.optimizer, decays)
            require_states(self.optimizer, rule.states, list(self.states))
            named = {"weight": self.weight, "grad": self.grad, **self.states, **self._scratch}
            parts = [named[name][start:stop] for name in rule.arrays]
            segment = self._backend.segment(rule.program, parts, rule.targets)
            self._segments[key] = (segment, rule.program.scalars)
        return self._segments[key]

    # -- one parameter after the other -------------------------------------------------------

    def _step_one_by_one(self) -> None:
        optimizer = self.optimizer
        size = max(aggregation_size(optimizer), 1) if optimizer.counts_together else 1
        for start in range(0, len(self._by_index), size):
            piece = self._by_index[start : start + size]
            indices = [slot.index for slot in piece]
            rates, decays = look_up(optimizer, indices, together=size > 1)
            for slot, lr, wd in zip(piece, rates, decays, strict=True):
                self._update(slot, lr, wd)

    def _update(self, slot: Slot, lr: float, wd: float) -> None:
        optimizer = self.optimizer
        part = slice(slot.start, slot.stop)
        t = optimizer._index_update_count[slot.index]
        states = {name: state[part] for name, state in self.states.items()}
        layer = Layer(slot.index, lr, wd, t, self.weight[part], self.grad[part], states)
        segment, names = self._segment(slot.start, slot.stop, wd != 0)
        if NOISE in self._scratch:
            optimizer.draw_noise(slot.index, t, self._scratch[NOISE][part])
        segment.run(layer_row(optimizer, names, layer))
        if STEP in self._scratch:
            step = self._scratch[STEP][part]
            if slot not in self._appliers:
                self._appliers[slot] = self._backend.segment(APPLY_STEP, [layer.weight, step], [0])
            ratio = optimizer.trust_ratio(norm(layer.weight), norm(step))
            self._appliers[slot].run((lr * ratio,))


def look_up(
    optimizer: Optimizer, indices: Sequence[Any], together: bool
) -> tuple[list[float], list[float]]:
    """Count a piece of parameters and return their rates and decays, in the optimizer's order."""
    if together:
        optimizer._update_count(indices)
        optimizer.begin_piece()
        return optimizer._get_lrs(indices), optimizer._get_wds(indices)
    (index,) = indices
    if optimizer.looks_up_before_counting:
        rate, decay = optimizer._get_lr(index), optimizer._get_wd(index)
        optimizer._update_count(index)
    else:
        optimizer._update_count(index)
        rate = optimizer._get_lr(index) if optimizer.uses_rate else 0.0
        decay = optimizer._get_wd(index)
    optimizer.begin_piece()
    return [rate], [decay]
