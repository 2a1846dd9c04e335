"""Which classes a network takes for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mxtrain.trainer.bound import BoundBatch

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ClassRow:
    """One class: how many rows have it, and how it was recognized (NaN for 0 of 0).

    `precision` is the share of the rows taken for the class that have it, `recall` the share of
    the rows of the class that were taken for it.
    """

    name: str
    count: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Confusion:
    """How often each class was taken for each.

    Attributes
    ----------
    node : the output's.
    classes : names in the order of their numbers.
    counts : a row for each true class, a column for each predicted one.
    """

    node: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    def rows(self) -> tuple[ClassRow, ...]:
        """Return how each class was recognized."""
        table = np.array(self.counts)
        right, true, told = table.diagonal(), table.sum(axis=1), table.sum(axis=0)
        return tuple(
            ClassRow(name, int(true[i]), _share(right[i], told[i]), _share(right[i], true[i]))
            for i, name in enumerate(self.classes)
        )


def _share(part: Any, whole: Any) -> float:
    return float(part) / float(whole) if whole else float("nan")


class ConfusionCount:
    """Counts predicted against true classes, batch by batch.

    Parameters
    ----------
    node : the output's.
    classes : their names, one for each score of the output.
    head, label : which output, and which label input, of a batch it is about.
    """

    def __init__(self, node: str, classes: tuple[str, ...], head: int, label: int) -> None:
        self.node, self.classes = node, classes
        self._head, self._label = head, label
        self._counts = np.zeros((len(classes), len(classes)), np.int64)

    def add(self, batch: BoundBatch) -> None:
        """Take the outputs and labels of a batch; labels that are no class are passed over."""
        true = batch.labels[self._label].astype(np.int64)
        told = batch.outputs[self._head].argmax(axis=1)
        known = (true >= 0) & (true < len(self.classes))
        np.add.at(self._counts, (true[known], told[known]), 1)

    def result(self) -> Confusion:
        """Return the counts so far."""
        counts = tuple(tuple(row) for row in self._counts.tolist())
        return Confusion(self.node, self.classes, counts)
