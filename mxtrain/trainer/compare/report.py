"""What a comparison reports: trials, how each stands, how the whole ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from mxtrain.config.spec import Component

FAILED = ("diverged", "refused", "failed")
"""Endings of a trial that does not count beside those that learned to the end."""


@dataclass(frozen=True)
class Trial:
    """One optimizer to try.

    `label` has its name and the settings given; `rate` is its learning rate, None where it has
    none of its own.
    """

    label: str
    optimizer: Component
    rate: float | None


@dataclass(frozen=True)
class Goal:
    """What is compared: the metric ``<side>_<name>``, the better direction, the value to reach."""

    side: str
    name: str
    higher: bool
    target: float | None = None

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether `value` beats `than`; NaN never does, and any number beats None."""
        if math.isnan(value):
            return False
        return than is None or (value > than if self.higher else value < than)

    def is_reached(self, value: float) -> bool:
        """Whether `value` is at the target or beyond."""
        if self.target is None:
            return False
        return value >= self.target if self.higher else value <= self.target


@dataclass(frozen=True)
class Started:
    """A trial has begun."""


@dataclass(frozen=True)
class Moved:
    """A trial is in the middle of an epoch; `done` is the share of that epoch."""

    done: float


@dataclass(frozen=True)
class Point:
    """A finished epoch of a trial; `seconds` are those of training, evaluation not counted."""

    epoch: int
    train: dict[str, float]
    eval: dict[str, float]
    seconds: float
    state_bytes: int

    def values(self, side: str) -> dict[str, float]:
        """Return the values of ``train`` or ``eval``."""
        return self.eval if side == "eval" else self.train


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    `status` is ``done``, ``stopped early``, ``diverged`` (a value is not finite), ``refused`` (the
    optimizer does not take this network or these settings), ``failed`` or ``interrupted``.
    `warnings` are what the trial was warned of.
    """

    status: str
    reason: str = ""
    warnings: tuple[str, ...] = ()


Event = Started | Moved | Point | Ending


@dataclass(frozen=True)
class TrialRow:
    """How a trial stands. `status` is ``waiting``, ``running``, or that of its `Ending`.

    `final` and `best` are values of the compared metric, `loss` the latest on the same rows.
    `target_epoch` is the first at the target. `epochs` counts whole epochs, `done` all training as
    a share. What is not known yet is None.
    """

    number: int
    label: str
    rate: float | None
    status: str
    epochs: int
    done: float
    final: float | None
    best: float | None
    best_epoch: int | None
    loss: float | None
    target_epoch: int | None
    seconds_per_epoch: float | None
    state_bytes_per_weight: float | None
    reason: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CompareInfo:
    """What will be compared, known before the first batch."""

    config: str
    output: str
    network: str
    num_parameters: int
    train_data: str
    eval_data: str | None
    train_rows: int
    eval_rows: int
    batch_size: int
    batches_per_epoch: int
    num_epoch: int
    begin_epoch: int
    seed: int
    lr_scheduler: str
    goal: Goal
    jobs: int
    threads: int | None
    rows: tuple[TrialRow, ...]


@dataclass(frozen=True)
class Comparison:
    """How a comparison ended: the rows, the best first, and where everything is.

    `status` is ``done``, ``failed`` (no trial learned to the end) or ``interrupted``, `signal` then
    the one that did it.
    """

    status: str
    rows: tuple[TrialRow, ...]
    goal: Goal
    seconds: float
    output: str
    files: tuple[str, ...]
    signal: int = 0


class CompareReporter(Protocol):
    """Receives what happens in a comparison."""

    def start(self, info: CompareInfo) -> None:
        """Show what will be compared."""

    def update(self, row: TrialRow) -> None:
        """Show how a trial stands now."""

    def finish(self, result: Comparison) -> None:
        """Show the table and where everything was written."""


def ranked(rows: list[TrialRow], goal: Goal) -> list[TrialRow]:
    """Return the rows with the best first: by best value, then by the epoch that reached it.

    Trials that failed come after those that did not, and those without a value last of each.
    """

    def key(row: TrialRow) -> tuple[bool, bool, float, int, int]:
        value = 0.0 if row.best is None else -row.best if goal.higher else row.best
        return (row.status in FAILED, row.best is None, value, row.best_epoch or 0, row.number)

    return sorted(rows, key=key)
