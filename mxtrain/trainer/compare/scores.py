"""Keeps what the trials of a comparison have told so far."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from mxtrain.trainer.compare.report import (
    Ending,
    Event,
    Goal,
    Moved,
    Point,
    Started,
    Trial,
    TrialRow,
    ranked,
)


class Scores:
    """The state of every trial, told by events.

    Parameters
    ----------
    trials : what is tried; a trial is known by its place here.
    goal : what is compared.
    epochs : epochs that a whole trial has.
    weights : parameters of the network, to which states are related.

    Attributes
    ----------
    points : the finished epochs of each trial.
    """

    def __init__(self, trials: Sequence[Trial], goal: Goal, epochs: int, weights: int) -> None:
        self.trials, self.goal = list(trials), goal
        self._epochs, self._weights = epochs, weights
        self.points: list[list[Point]] = [[] for _ in trials]
        self._endings: list[Ending | None] = [None for _ in trials]
        self._within: list[float | None] = [None for _ in trials]

    def receive(self, number: int, event: Event) -> None:
        """Take in what happened in the trial `number`."""
        if isinstance(event, Started):
            self._within[number] = 0.0
        elif isinstance(event, Moved):
            self._within[number] = event.done
        elif isinstance(event, Point):
            self._within[number] = 0.0
            self.points[number].append(event)
        else:
            self._endings[number] = event

    def unfinished(self) -> list[int]:
        """Return the trials that have not ended."""
        return [number for number, ending in enumerate(self._endings) if ending is None]

    def row(self, number: int) -> TrialRow:
        """Return how a trial stands."""
        trial, points, ending = self.trials[number], self.points[number], self._endings[number]
        within = self._within[number]
        best = self._best(points)
        last = points[-1].values(self.goal.side) if points else {}
        status = "waiting" if within is None else "running"
        return TrialRow(
            number=number,
            label=trial.label,
            rate=trial.rate,
            status=status if ending is None else ending.status,
            epochs=len(points),
            done=min((len(points) + (within or 0.0)) / self._epochs, 1.0),
            final=last.get(self.goal.name),
            best=None if best is None else self._value(best),
            best_epoch=None if best is None else best.epoch,
            loss=last.get("loss"),
            target_epoch=next(
                (p.epoch for p in points if self.goal.is_reached(self._value(p))), None
            ),
            seconds_per_epoch=median(p.seconds for p in points) if points else None,
            state_bytes_per_weight=points[-1].state_bytes / self._weights if points else None,
            reason="" if ending is None else ending.reason,
            warnings=() if ending is None else ending.warnings,
        )

    def ranked(self) -> list[TrialRow]:
        """Return how every trial stands, the best first."""
        return ranked([self.row(number) for number in range(len(self.trials))], self.goal)

    def _best(self, points: Sequence[Point]) -> Point | None:
        best: Point | None = None
        for point in points:
            before = None if best is None else self._value(best)
            if self.goal.is_better(self._value(point), before):
                best = point
        return best

    def _value(self, point: Point) -> float:
        return point.values(self.goal.side)[self.goal.name]
