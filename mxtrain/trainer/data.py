"""The rows of a run: read, split, and scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.io.dataset import Dataset, load_dataset
from mxtrain.io.errors import DataError
from mxtrain.io.features import Features
from mxtrain.io.labels import Labels
from mxtrain.io.scaling import Scaler
from mxtrain.random import stream

if TYPE_CHECKING:
    from mxtrain.config.spec import DataSpec, SourceSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rows:
    """Prepared rows: `data` float32 or bytes, and a float32 array for each label input.

    Bytes are scaled by `scaler`, if there is one, when a batch is gathered.
    """

    source: str
    data: Array
    labels: tuple[Array, ...]
    scaler: Scaler | None = None

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class RunData:
    """Everything the loop reads, and what was learned from the training rows.

    `labels` says for each label input of the network what its numbers mean.
    """

    train: Rows
    eval: Rows | None
    features: Features
    labels: dict[str, Labels]

    def classes_of(self, label: str | None) -> tuple[str, ...]:
        """Return the class names behind a label input, none where it has values."""
        return self.labels[label].names if label in self.labels else ()

    def class_weights(self, wanted: Any) -> dict[str, Array]:
        """Return for the label input with classes the factor of each class.

        `wanted` is None (then there are none), factors by class name (1 for a class not named), or
        ``balanced``: ``rows / (classes * rows of the class)``, so that all classes count the same.
        """
        if wanted is None:
            return {}
        inputs = [name for name, labels in self.labels.items() if labels.kind == "class"]
        if len(inputs) != 1:
            found = ", ".join(inputs) or "none"
            raise DataError(
                self.train.source,
                f"data.class_weight needs one label with classes, this network has: {found}",
            )
        names = list(self.labels[inputs[0]].names)
        if wanted == "balanced":
            label = self.train.labels[list(self.labels).index(inputs[0])]
            counts = np.bincount(label.astype(np.int64), minlength=len(names))
            weights = len(self.train) / (len(names) * np.maximum(counts, 1))
            return {inputs[0]: weights.astype(np.float32)}
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise DataError(
                self.train.source,
                f"data.class_weight names '{unknown[0]}', which is no class",
                advice=f"the classes are: {', '.join(names)}",
            )
        return {inputs[0]: np.array([wanted.get(name, 1.0) for name in names], np.float32)}


def load(spec: DataSpec, label_kinds: Mapping[str, str], seed: int) -> RunData:
    """Read, split and scale the data of a spec.

    Parameters
    ----------
    spec : the data section.
    label_kinds : for each label input of the network, in order, what it holds: ``class``,
        ``value`` or ``auto`` (`mxtrain.io.Labels`).
    seed : decides the split where eval rows are a fraction of the training rows.

    Raises DataError, with file, row and column, for rows that cannot be used.
    """
    train = read_source(spec.train, spec)
    _refuse_empty(train)
    labels = _learn_labels(train, label_kinds)
    eval_rows, eval_source = None, ""
    if spec.eval is not None and hasattr(spec.eval, "fraction"):
        eval_source = f"{spec.eval.fraction:.4g} of {train.path}"
        train, eval_rows = split(train, labels, spec.eval.fraction, seed)
    elif spec.eval is not None:
        eval_rows = read_source(spec.eval, spec)
        eval_source = str(eval_rows.path)
        _refuse_empty(eval_rows)
    if spec.batch_size > train.n:
        raise DataError(
            train.path,
            f"data.batch_size {spec.batch_size} is larger than the {train.n} training rows",
            advice="choose a smaller one",
        )
    features = Features.fit(train, spec.features.scale)
    return RunData(
        prepared(train, features, labels, str(train.path)),
        None if eval_rows is None else prepared(eval_rows, features, labels, eval_source),
        features,
        labels,
    )


def read_source(source: SourceSpec, spec: DataSpec) -> Dataset:
    """Read the file of a source; the columns are those that `spec` chooses."""
    if source.kind == "idx" or source.images is not None:
        images, labels = source.images or source.path or "", source.labels
        shown = None if labels is None else shown_path(labels)
        return load_dataset(shown_path(images), label=shown, kind="idx")
    return load_dataset(
        shown_path(source.path or ""),
        label=source.label,
        columns=spec.columns,
        ignore=spec.ignore,
        kind=source.kind,
        data_key=source.data,
    )


def shown_path(path: str | Path) -> str:
    """Return a path as people want to read it: relative where it is in the current folder."""
    full = Path(path)
    here = Path.cwd()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)


def _refuse_empty(dataset: Dataset) -> None:
    if dataset.n == 0:
        raise DataError(dataset.path, "has no rows")


def _learn_labels(train: Dataset, kinds: Mapping[str, str]) -> dict[str, Labels]:
    """Learn from each label column what the numbers of its label input mean."""
    return {
        name: Labels.fit(column, _kind_of(column, kinds[name]))
        for name, column in zip(kinds, _label_columns(train, list(kinds)), strict=True)
    }


def _kind_of(dataset: Dataset, kind: str) -> str:
    # Several columns for one output with classes are the probabilities of each row's classes.
    several = dataset.label is not None and dataset.label[0].size > 1
    return "value" if kind == "class" and several else kind


def _label_columns(dataset: Dataset, names: list[str]) -> list[Dataset]:
    """The dataset for a single label input; for several, the dataset with each label column."""
    if len(names) <= 1:
        return [dataset] * len(names)
    columns = 0 if dataset.label is None else dataset.label[0].size
    if columns != len(names):
        raise DataError(
            dataset.path,
            f"the network has {len(names)} labels ({', '.join(names)}), the data have {columns}",
            advice="name one column for each in data.train.label, in this order",
        )
    label = np.asarray(dataset.label).reshape(dataset.n, columns)
    named = dataset.label_names or ("",) * columns
    return [
        replace(dataset, label=np.ascontiguousarray(label[:, i]), label_names=(named[i],))
        for i in range(columns)
    ]


def prepared(
    dataset: Dataset, features: Features, labels: Mapping[str, Labels], source: str
) -> Rows:
    """Return rows as a `Loader` gives them to a network, and with the numbers of their classes."""
    columns = _label_columns(dataset, list(labels))
    prepared = [kind.apply(c) for kind, c in zip(labels.values(), columns, strict=True)]
    data, scaler = features.prepare(dataset)
    return Rows(source, data, tuple(prepared), scaler)


def split(
    dataset: Dataset, labels: Mapping[str, Labels], fraction: float, seed: int
) -> tuple[Dataset, Dataset]:
    """Return (training, eval) rows: the same share of every class, decided by the seed.

    With several label inputs it is the classes of the first that has any.
    """
    order = stream(seed, "split").permutation(0, dataset.n)
    groups = _groups(dataset, labels)
    order = order[np.argsort(groups[order], kind="stable")]
    # Whole numbers of rows whose running total follows the fraction: every class gets its share
    # to within one row, and so do all together.
    wanted = np.floor(np.arange(dataset.n + 1) * fraction + 0.5)
    chosen = order[np.diff(wanted) > 0]
    is_eval = np.zeros(dataset.n, bool)
    is_eval[chosen] = True
    if not is_eval.any() or is_eval.all():
        raise DataError(
            dataset.path,
            f"data.eval.fraction {fraction:g} of {dataset.n} rows leaves one side empty",
            advice="choose another fraction, or give eval a file of its own",
        )
    rows = np.arange(dataset.n)
    return dataset.take(rows[~is_eval]), dataset.take(rows[is_eval])


def _groups(dataset: Dataset, labels: Mapping[str, Labels]) -> Array:
    for kind, column in zip(labels.values(), _label_columns(dataset, list(labels)), strict=True):
        if kind.kind == "class":
            return kind.apply(column)
    return np.zeros(dataset.n)
