"""The rows of a run: read, split, scaled, and given out in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.io.dataset import Dataset, load_dataset
from mxtrain.io.errors import DataError
from mxtrain.io.features import Features
from mxtrain.io.labels import Labels
from mxtrain.random import stream

if TYPE_CHECKING:
    from mxtrain.config.spec import DataSpec, SourceSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rows:
    """Prepared rows: `data` float32 or bytes, `label` float32 (None without labels)."""

    source: str
    data: Array
    label: Array | None

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class RunData:
    """Everything the loop reads, and what was learned from the training rows."""

    train: Rows
    eval: Rows | None
    features: Features
    labels: Labels | None

    def class_weights(self, wanted: Any) -> Array | None:
        """Return the factor of each class: None, as given by name, or balanced.

        Balanced is ``rows / (classes * rows of the class)``, so that all classes count the same.
        """
        if wanted is None:
            return None
        if self.labels is None or self.labels.kind != "class" or self.train.label is None:
            raise DataError(self.train.source, "class_weight needs class labels")
        names = list(self.labels.names)
        if wanted == "balanced":
            counts = np.bincount(self.train.label.astype(np.int64), minlength=len(names))
            balanced = len(self.train) / (len(names) * np.maximum(counts, 1))
            return balanced.astype(np.float32)
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise DataError(
                self.train.source,
                f"class_weight names '{unknown[0]}', which is no class",
                advice=f"the classes are: {', '.join(names)}",
            )
        return np.array([wanted.get(name, 1.0) for name in names], np.float32)


def load(spec: DataSpec, label_kind: str | None, seed: int) -> RunData:
    """Read, split and scale the data of a spec.

    Parameters
    ----------
    spec : the data section.
    label_kind : ``class``, ``value`` or ``auto``; None for a network without a label.
    seed : decides the split where eval rows are a fraction of the training rows.

    Raises DataError, with file, row and column, for rows that cannot be used.
    """
    train = _read(spec.train, spec)
    _refuse_empty(train)
    labels = None if label_kind is None else Labels.fit(train, label_kind)
    held_out: Dataset | None = None
    if spec.eval is not None and hasattr(spec.eval, "fraction"):
        train, held_out = split(train, labels, spec.eval.fraction, seed)
    elif spec.eval is not None:
        held_out = _read(spec.eval, spec)
        _refuse_empty(held_out)
    if spec.batch_size > train.n:
        raise DataError(
            train.path,
            f"batch_size {spec.batch_size} is larger than the {train.n} training rows",
            advice="choose a smaller data.batch_size",
        )
    features = Features.fit(train, spec.features.scale)
    return RunData(
        _prepared(train, features, labels),
        None if held_out is None else _prepared(held_out, features, labels),
        features,
        labels,
    )


def _read(source: SourceSpec, spec: DataSpec) -> Dataset:
    if source.kind == "idx" or source.images is not None:
        return load_dataset(source.images or source.path or "", label=source.labels, kind="idx")
    return load_dataset(
        source.path or "",
        label=source.label,
        columns=spec.columns,
        ignore=spec.ignore,
        kind=source.kind,
        data_key=source.data,
    )


def _refuse_empty(dataset: Dataset) -> None:
    if dataset.n == 0:
        raise DataError(dataset.path, "has no rows")


def _prepared(dataset: Dataset, features: Features, labels: Labels | None) -> Rows:
    label = None if labels is None else labels.apply(dataset)
    return Rows(str(dataset.path), features.apply(dataset), label)


def split(
    dataset: Dataset, labels: Labels | None, fraction: float, seed: int
) -> tuple[Dataset, Dataset]:
    """Return (training, eval) rows: the same share of every class, decided by the seed."""
    groups = np.zeros(dataset.n)
    if labels is not None and labels.kind == "class":
        groups = labels.apply(dataset)
    order = stream(seed, "split").permutation(0, dataset.n)
    chosen = np.zeros(dataset.n, bool)
    for group in np.unique(groups):
        members = order[groups[order] == group]
        chosen[members[: round(fraction * len(members))]] = True
    if not chosen.any() or chosen.all():
        raise DataError(
            dataset.path,
            f"eval fraction {fraction} of {dataset.n} rows leaves one side empty",
            advice="choose another fraction, or give eval a file of its own",
        )
    rows = np.arange(dataset.n)
    return dataset.take(rows[~chosen]), dataset.take(rows[chosen])


@dataclass(frozen=True)
class Batch:
    """Row numbers of one batch; the last `pad` of them fill it up and are counted elsewhere."""

    rows: Array
    pad: int = 0


class Batches:
    """The batches of each epoch: a pure function of (seed, epoch), except what rolls over.

    Parameters
    ----------
    count : number of rows.
    size : rows per batch.
    last : what happens to a short last batch: ``keep``, ``pad``, ``discard`` or ``roll_over``.
    seed : decides the order; None keeps the rows as they are.
    """

    def __init__(self, count: int, size: int, last: str = "keep", seed: int | None = None) -> None:
        self.count, self.size, self.last = count, size, last
        self._stream = None if seed is None else stream(seed, "shuffle")
        self.carried: Array = np.empty(0, np.int64)

    def per_epoch(self) -> int:
        """Return the number of batches of the coming epoch."""
        rows = self.count + len(self.carried)
        if self.last in ("discard", "roll_over"):
            return rows // self.size
        return -(-rows // self.size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        order = self._order(epoch)
        if self.last == "roll_over":
            order = np.concatenate([self.carried, order])
            whole = len(order) // self.size * self.size
            self.carried, order = order[whole:], order[:whole]
        for start in range(0, len(order), self.size):
            rows = order[start : start + self.size]
            missing = self.size - len(rows)
            if missing and self.last == "discard":
                return
            if missing and self.last == "pad":
                rows = np.concatenate([rows, np.resize(order, missing)])
                yield Batch(rows, missing)
            else:
                yield Batch(rows)

    def _order(self, epoch: int) -> Array:
        if self._stream is None:
            return np.arange(self.count)
        return self._stream.permutation(epoch, self.count)


class Loader:
    """Gathers rows straight into input buffers."""

    def __init__(self, rows: Rows, label_names: Sequence[str]) -> None:
        self._rows = rows
        self._columns = _label_columns(rows, label_names)
        self._bytes: dict[tuple[int, ...], Array] = {}

    def fill(self, numbers: Array, data: Array, labels: Sequence[Array]) -> None:
        """Copy the rows of these numbers into the data buffer and the label buffers."""
        source = self._rows.data
        if source.dtype == data.dtype:
            np.take(source, numbers, 0, data, "clip")
        else:
            # Bytes stay bytes in memory and become floats on their way into the buffer.
            if data.shape not in self._bytes:
                self._bytes[data.shape] = np.empty(data.shape, source.dtype)
            np.take(source, numbers, 0, self._bytes[data.shape], "clip")
            np.copyto(data, self._bytes[data.shape])
        for column, label in zip(self._columns, labels, strict=True):
            np.take(column, numbers, 0, label, "clip")


def _label_columns(rows: Rows, names: Sequence[str]) -> list[Array]:
    """One array per label input: all columns for a single input, one each for several."""
    if not names or rows.label is None:
        return []
    if len(names) == 1:
        return [rows.label]
    if rows.label.ndim != 2 or rows.label.shape[1] != len(names):
        raise DataError(
            rows.source,
            f"the network has {len(names)} labels ({', '.join(names)}), "
            f"the data have {1 if rows.label.ndim == 1 else rows.label.shape[1]}",
            advice="name one column per label in data.train.label, in this order",
        )
    return [np.ascontiguousarray(rows.label[:, i]) for i in range(len(names))]
