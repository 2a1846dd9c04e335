"""`Labels`: what a network is to predict, classes or values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mxtrain.errors import FileFormatError, closest
from mxtrain.io.dataset import Dataset
from mxtrain.io.errors import DataError

__all__ = ["Labels"]

Array = np.ndarray[Any, Any]

# From here on float64 has not every whole number.
_WHOLE_UP_TO = 2**53


@dataclass(frozen=True)
class Labels:
    """The labels of a network, learned on training data and applied to any.

    Attributes
    ----------
    kind : ``"class"``: numbers from 0 to K-1 stand for the classes; ``"value"``: the numbers
        themselves, for a regression.
    names : the classes in the order of their numbers: text sorted, whole numbers by size.
    """

    kind: str
    names: tuple[str, ...] = ()

    @classmethod
    def fit(cls, train: Dataset, kind: str = "auto") -> Self:
        """Learn from training data.

        Parameters
        ----------
        train : the training data.
        kind : ``"class"``, ``"value"``, or ``"auto"``: classes if the labels are text or whole
            numbers.

        Raises DataError without labels, and for labels that cannot be of that kind.
        """
        label = _required(train)
        if kind == "auto":
            kind = "class" if label.ndim == 1 and label.dtype.kind in "Uiub" else "value"
        if kind == "value":
            _values(train)
            return cls("value")
        if kind != "class":
            raise ValueError(f"kind of labels is auto, class or value, got {kind!r}")
        # Asked for the values alone, np.unique imports numpy.ma, which a start can do without.
        classes, _ = np.unique(_classes(train), return_inverse=True)
        return cls("class", tuple(str(name) for name in classes.tolist()))

    @property
    def num_classes(self) -> int:
        """The number of classes; 0 for values."""
        return len(self.names)

    def apply(self, dataset: Dataset) -> Array:
        """Return the labels as float32: (n,) class numbers, or values of shape (n,) or (n, k).

        Raises DataError for a label that is not among the classes, or not a number.
        """
        if self.kind == "value":
            return _values(dataset)
        found, position = np.unique(_classes(dataset), return_inverse=True)
        numbers = {name: i for i, name in enumerate(self.names)}
        known = np.array([numbers.get(str(name), -1) for name in found.tolist()])
        wrong = np.flatnonzero(known[position] < 0)
        if wrong.size:
            raise self._outside(dataset, int(wrong[0]), found[position[wrong[0]]])
        return known[position].astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold."""
        return {"kind": self.kind, "names": list(self.names)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Rebuild from `to_json`; FileFormatError if something is missing or does not fit."""
        kind, names = stored.get("kind"), stored.get("names")
        if kind in ("class", "value") and isinstance(names, list):
            return cls(kind, tuple(str(name) for name in names))
        raise FileFormatError(f"stored labels are damaged: kind {kind!r}, names {names!r}")

    def _outside(self, dataset: Dataset, sample: int, value: Any) -> DataError:
        near = closest(str(value), self.names)
        shown = ", ".join(self.names[:20]) + (", ..." if len(self.names) > 20 else "")
        return dataset.error(
            f"is not among the {len(self.names)} classes of the training data ({shown})",
            sample,
            column=_column(dataset),
            value=value.item(),
            advice=f"did you mean '{near}'?" if near else "correct the label or remove the row",
        )


def _required(dataset: Dataset) -> Array:
    if dataset.label is None:
        raise DataError(dataset.path, "has no labels", advice="name the label in the data section")
    return dataset.label


def _column(dataset: Dataset) -> str | None:
    return dataset.label_names[0] if len(dataset.label_names) == 1 else None


def _classes(dataset: Dataset) -> Array:
    """Return labels that name classes, as whole numbers or text."""
    label = _required(dataset)
    if label.ndim == 2 and label.shape[1] == 1:
        label = label[:, 0]
    if label.ndim != 1:
        raise DataError(
            dataset.path,
            f"classes need one label per sample, got labels of shape {label.shape}",
        )
    if label.dtype.kind == "f":
        _refuse(
            dataset,
            label != np.trunc(label),
            "is not a class: classes are text or whole numbers",
            "a network with a regression output learns values",
        )
        _refuse(
            dataset,
            np.abs(label) >= _WHOLE_UP_TO,
            "is too large for a class: such numbers are rounded, and classes would be merged",
            "write classes as text, such as 'c1'",
        )
        label = label.astype(np.int64)
    elif label.dtype.kind == "b":
        label = label.astype(np.int64)
    if label.dtype.kind not in "iuU":
        raise DataError(dataset.path, f"labels are text or numbers, got type {label.dtype}")
    return label


def _values(dataset: Dataset) -> Array:
    """Return labels that are numbers, as float32."""
    label = _required(dataset)
    if label.dtype.kind == "U":
        texts = label.reshape(-1).tolist()
        _refuse(
            dataset,
            np.array([not _is_number(text) for text in texts]),
            "is not a number",
            "a regression learns numbers; classes need a SoftmaxOutput",
        )
        label = np.array([float(text) for text in texts]).reshape(label.shape)
    if label.dtype.kind not in "fiub":
        raise DataError(dataset.path, f"labels are text or numbers, got type {label.dtype}")
    return label.astype(np.float32)


def _refuse(dataset: Dataset, wrong: Array, problem: str, advice: str) -> None:
    """Raise DataError for the first label that `wrong` marks, row by row; none is fine."""
    places = np.flatnonzero(wrong)
    if not places.size:
        return
    label, first = _required(dataset), int(places[0])
    raise dataset.error(
        problem,
        first // (label.size // len(label)),
        column=_column(dataset),
        value=label.reshape(-1)[first].item(),
        advice=advice,
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False
