"""Loss and metrics of a saved model, every row counted once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mxtrain.errors import MXNetError
from mxtrain.io.errors import DataError
from mxtrain.trainer.batches import Batches, Loader
from mxtrain.trainer.bound import BoundBatch
from mxtrain.trainer.build import Network
from mxtrain.trainer.classes import class_names, known_classes
from mxtrain.trainer.confusion import Confusion, ConfusionCount
from mxtrain.trainer.measure import Measure
from mxtrain.trainer.metrics import make_metrics
from mxtrain.trainer.predict import batch_size_of, bind
from mxtrain.trainer.threads import suitable_threads

if TYPE_CHECKING:
    from mxtrain.config.spec import Component
    from mxtrain.trainer.data import Rows
    from mxtrain.trainer.saved import SavedModel


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on some rows.

    Attributes
    ----------
    weights, epoch : the weights' file, and after how many epochs they were saved, where known.
    data, rows : which rows, and how many.
    values : loss and metrics by the names they are shown under, ``loss`` first.
    confusion : of the outputs with one class per row, where asked for.
    """

    weights: str
    epoch: int | None
    data: str
    rows: int
    values: dict[str, float]
    confusion: tuple[Confusion, ...] = ()


def evaluate(
    model: SavedModel,
    rows: Rows,
    metrics: Sequence[Component],
    batch_size: int | None = None,
    confusion: bool = False,
) -> Evaluation:
    """Measure a model on rows with labels.

    Parameters
    ----------
    model : as opened.
    rows : prepared; a label for each label input of the network, in order.
    metrics : what is measured beside the loss.
    batch_size : rows that are computed together; with that of the run, the default, the numbers
        are those that ``fit`` has shown for the same epoch and rows.
    confusion : count which classes are taken for which.

    Raises MXNetError for a network without a loss, DataError for labels it cannot have, SetupError
    for a metric that cannot measure it.
    """
    size = batch_size or batch_size_of(model)
    labels = dict(zip(model.label_names, (a.shape[1:] for a in rows.labels), strict=True))
    network = bind(model, model.symbol, size, rows.data.shape[1:], labels)
    if not network.heads:
        raise MXNetError(
            f"{model.files.symbol} ends in no loss, so there is nothing to measure; its outputs "
            "are shown by: mxtrain predict"
        )
    _check_labels(network, rows)
    full = BoundBatch(network, size, {})
    measure = Measure(network.heads, make_metrics(metrics, network.heads), network.labels, full)
    counts = _counts(model, network, rows) if confusion else []
    given = None if model.spec is None else model.spec.threads
    with suitable_threads(given, full):
        for batch in _batches(network, rows, full):
            measure.add(batch)
            for count in counts:
                count.add(batch)
    with np.errstate(all="ignore"):
        measure.flush()
    return Evaluation(
        weights=str(model.files.weights),
        epoch=model.files.epoch,
        data=rows.source,
        rows=len(rows),
        values=measure.values(),
        confusion=tuple(count.result() for count in counts),
    )


def _batches(network: Network, rows: Rows, full: BoundBatch) -> Iterator[BoundBatch]:
    """Run one batch after the other, in the order of the rows; a short last one has its plan."""
    loader = Loader(rows)
    for batch in Batches(len(rows), full.rows).epoch(0):
        count = len(batch.rows)
        bound = full if count == full.rows else BoundBatch(network, count, {})
        loader.fill(batch.rows, bound.data, bound.labels)
        with np.errstate(all="ignore"):
            bound.predict()
        yield bound


def _check_labels(network: Network, rows: Rows) -> None:
    """Refuse class numbers that an output does not have (DataError)."""
    shapes = dict(network.module.output_shapes)
    for head in network.heads:
        if not head.classifies or head.label is None:
            continue
        label = rows.labels[network.labels.index(head.label)]
        shape = shapes[head.output]
        if (len(label), *shape[1:]) == label.shape:
            continue  # probabilities of the classes
        axis = 1 if getattr(head.operator, "multi_output", False) else -1
        wrong = (label < 0) | (label >= shape[axis]) | (label != np.trunc(label))
        if getattr(head.operator, "use_ignore", False):
            wrong &= label != getattr(head.operator, "ignore_label", None)
        if wrong.any():
            place = np.argwhere(wrong)[0]
            raise DataError(
                rows.source,
                f"is no class number: '{head.node}' tells {shape[axis]} classes apart, "
                f"numbered from 0 to {shape[axis] - 1}",
                row=int(place[0]) + 1,
                value=float(label[tuple(place)]),
                in_lines=False,
            )


def _counts(model: SavedModel, network: Network, rows: Rows) -> list[ConfusionCount]:
    """Return what counts the classes of each output that gives every row one."""
    shapes = dict(network.module.output_shapes)
    found = []
    for number, head in enumerate(network.heads):
        if not head.classifies or head.label is None or len(shapes[head.output]) != 2:
            continue
        label = network.labels.index(head.label)
        if rows.labels[label].ndim == 1:
            classes = class_names(known_classes(model, head.label), shapes[head.output][1])
            found.append(ConfusionCount(head.node, classes, number, label))
    return found
