"""What the outputs of a network say about a row: classes with probabilities, or values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.trainer.classes import class_names, known_classes

if TYPE_CHECKING:
    from mxtrain.symbol.node import Entry
    from mxtrain.trainer.saved import SavedModel

Array = np.ndarray[Any, Any]

_PROBABILITIES = ("SoftmaxOutput", "softmax", "SoftmaxActivation")
# Longer numbers, and those with zeros in front, stay the text they are.
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
# What passes its input on as it is.
_SAME = ("BlockGrad", "identity", "MakeLoss")


@dataclass(frozen=True)
class Answer:
    """One output, and how it is read.

    Attributes
    ----------
    output : its name.
    prefix : put before the names of its columns where the network has several outputs.
    kind : ``class``: scores of classes along an axis; ``binary``: the probability of the second
        of two classes; ``value``: numbers.
    classes : names of the classes, as far as they are known; empty where they are numbered.
    score : what the scores are called, ``probability`` or ``score``.
    axis : that of the classes; None where all numbers of a row are scores.
    values : names of the values; empty where they are numbered.
    """

    output: str
    prefix: str
    kind: str
    classes: tuple[str, ...] = ()
    score: str = "probability"
    axis: int | None = None
    values: tuple[str, ...] = ()

    def arrays(self, raw: Array, scores: bool = False) -> dict[str, Array]:
        """Return what the output says, by name, the first axis being that of the rows.

        ``prediction`` and ``probability`` (or ``score``), with `scores` also ``probabilities`` of
        all classes along the last axis. Axes of length 1 behind the first are left out.
        """
        if self.kind == "value":
            return {f"{self.prefix}prediction": _squeezed(raw)}
        table = self._scores(raw)
        best = table.argmax(axis=-1)
        found = {
            f"{self.prefix}prediction": _squeezed(self._names(table.shape[-1])[best]),
            f"{self.prefix}{self.score}": _squeezed(
                np.take_along_axis(table, best[..., None], axis=-1)[..., 0]
            ),
        }
        if scores:
            plural = "probabilities" if self.score == "probability" else "scores"
            found[f"{self.prefix}{plural}"] = table[:, 0] if table.shape[1] == 1 else table
        return found

    def columns(self, raw: Array, scores: bool = False) -> dict[str, Array]:
        """Return the same as columns of one value a row; several positions are numbered from 1."""
        if self.kind == "value":
            flat = raw.reshape(len(raw), -1)
            return _columns(f"{self.prefix}prediction", flat, self.values)
        table = self._scores(raw)
        names = self._names(table.shape[-1])
        best = table.argmax(axis=-1)
        top = np.take_along_axis(table, best[..., None], axis=-1)[..., 0]
        found = _columns(f"{self.prefix}prediction", names[best])
        found |= _columns(f"{self.prefix}{self.score}", top)
        if scores:
            for number, name in enumerate(names.tolist()):
                found |= _columns(f"{self.prefix}{self.score}_{name}", table[..., number])
        return found

    def class_names(self, shape: Sequence[int]) -> tuple[str, ...]:
        """Return the names of all classes of an output of this shape, whatever its batch.

        None for values, and where no class has a name.
        """
        if not self.classes:
            return ()
        if self.kind == "binary":
            return self.classes
        if self.axis is None or len(shape) < 3:
            return class_names(self.classes, prod(shape[1:]))
        return class_names(self.classes, shape[self.axis])

    def _scores(self, raw: Array) -> Array:
        """Return scores of shape (rows, positions, classes)."""
        if self.kind == "binary":
            second = raw.reshape(len(raw), -1)
            return np.stack([1 - second, second], axis=-1)
        if self.axis is None or raw.ndim < 3:
            return raw.reshape(len(raw), 1, -1)
        last = np.moveaxis(raw, self.axis, -1)
        return last.reshape(len(raw), -1, last.shape[-1])

    def _names(self, count: int) -> Array:
        """Return the classes as text, or as numbers where all of them are whole numbers."""
        names = class_names(self.classes, count)
        if all(map(_WHOLE.fullmatch, names)):
            return np.array([int(name) for name in names])
        return np.array(names)


def _squeezed(array: Array) -> Array:
    """Leave out the axes of length 1 behind the first."""
    return array.reshape(len(array), *(n for n in array.shape[1:] if n != 1))


def _columns(name: str, table: Array, names: Sequence[str] = ()) -> dict[str, Array]:
    """Return the columns of a table (rows, k): `name` alone, or `name` with each one's own."""
    if table.shape[1] == 1:
        return {name: table[:, 0]}
    own = names if len(names) == table.shape[1] else [str(n + 1) for n in range(table.shape[1])]
    return {f"{name}_{each}": table[:, number] for number, each in enumerate(own)}


def answers_of(model: SavedModel) -> list[Answer]:
    """Return the outputs that tell something without labels, in order."""
    entries = [
        (entry, name)
        for entry, name in zip(model.symbol.entries, model.symbol.list_outputs(), strict=True)
        if not needs_label(entry, model.label_names)
    ]
    found = []
    for entry, name in entries:
        prefix = f"{entry.node.name}_" if len(entries) > 1 else ""
        found.append(_answer(model, _source(entry), name, prefix))
    return found


def needs_label(entry: Entry, labels: Sequence[str]) -> bool:
    """Whether an output's values depend on a label; those of a loss layer's own label do not."""
    waiting, seen = [entry.node], {id(entry.node)}
    while waiting:
        node = waiting.pop()
        if node.is_variable:
            if node.name in labels:
                return True
            continue
        names = node.operator.inputs()
        for name, source in zip(names, node.inputs, strict=False):
            is_own = node.operator.is_loss and name == "label"
            if not is_own and id(source.node) not in seen:
                seen.add(id(source.node))
                waiting.append(source.node)
    return False


def _source(entry: Entry) -> Entry:
    """Return where an output comes from, behind operators that pass it on as it is."""
    while not entry.node.is_variable and entry.node.operator.op_name in _SAME:
        entry = entry.node.inputs[0]
    return entry


def _answer(model: SavedModel, entry: Entry, output: str, prefix: str) -> Answer:
    if entry.node.is_variable:
        return Answer(output, prefix, "value")
    operator = entry.node.operator
    own = None
    if "label" in operator.arguments():
        own = entry.node.inputs[operator.arguments().index("label")].node.name
    names = known_classes(model, own)
    if operator.op_name == "LogisticRegressionOutput" and len(names) == 2:
        return Answer(output, prefix, "binary", names)
    if operator.op_name in _PROBABILITIES:
        return Answer(output, prefix, "class", names, axis=_class_axis(operator))
    if operator.op_name == "SVMOutput":
        return Answer(output, prefix, "class", names, score="score")
    values = () if model.spec is None else model.spec.data.train.label_names
    return Answer(output, prefix, "value", values=values)


def _class_axis(operator: Any) -> int | None:
    if operator.op_name == "softmax":
        return int(operator.axis)
    if operator.op_name == "SoftmaxActivation":
        return 1 if operator.mode == "channel" else None
    if operator.multi_output:
        return 1
    return -1 if operator.preserve_shape else None
