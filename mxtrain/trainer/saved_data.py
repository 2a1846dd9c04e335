"""Rows for a saved model: read by the names and with the preprocessing of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.io.dataset import Dataset, kind_of, load_dataset
from mxtrain.io.errors import DataError
from mxtrain.io.features import Features
from mxtrain.io.labels import Labels
from mxtrain.io.regular import require_regular
from mxtrain.trainer import data as run_data
from mxtrain.trainer.data import Rows, shown_path

if TYPE_CHECKING:
    from mxtrain.trainer.saved import SavedModel

Array = np.ndarray[Any, Any]


def read_data(
    model: SavedModel,
    path: str | Path,
    ignore: Sequence[str] = (),
    label: Sequence[str] = (),
) -> Dataset:
    """Read the rows of a file that a model is to see, of the shape it takes.

    Parameters
    ----------
    model : a run's finds its columns by their names, whatever others there are. A model of no run
        takes all columns, in the order of the file.
    path : a table, an NPZ or an IDX file.
    ignore : columns of a table to leave out.
    label : label columns of a table, the label array of an NPZ, or the IDX file of labels; they
        are no features.

    Raises DataError for data that cannot be used, MXNetError for rows that do not fit the network.
    """
    kind = _kind(model, path)
    columns = list(model.features.columns) if model.features is not None else []
    one = label[0] if len(label) == 1 else (list(label) or None)
    if kind == "table":
        chosen = columns or None
        found = load_dataset(path, label=one, columns=chosen, ignore=ignore, kind=kind)
    else:
        key = None if model.spec is None else model.spec.data.train.data
        found = load_dataset(path, label=one, ignore=ignore, kind=kind, data_key=key)
    if model.features is None:
        found = _fitted(model, found)
        advice = "leave columns out with --ignore" if kind == "table" else ""
        model.check_rows(found.data.shape[1:], shown_path(path), advice)
    return found


def _kind(model: SavedModel, path: str | Path) -> str:
    """Return the kind of a file; where its name tells none, it is as the run's training data."""
    require_regular(path)  # a pipe has no ending, which is not what is wrong with it
    try:
        return kind_of(path)
    except DataError:
        if model.spec is None or model.spec.data.train.kind is None:
            raise
        return model.spec.data.train.kind


def _fitted(model: SavedModel, dataset: Dataset) -> Dataset:
    """Give rows the shape that the network takes, where theirs has as many numbers."""
    shape, wanted = dataset.data.shape[1:], model.row_shape
    if wanted is None or wanted == shape or prod(wanted) != prod(shape) or dataset.names:
        return dataset
    return replace(dataset, data=dataset.data.reshape(dataset.n, *wanted))


def features_of(model: SavedModel, dataset: Dataset) -> Features:
    """Return the preprocessing of the model's run, or none at all for the dataset's columns."""
    return Features.fit(dataset) if model.features is None else model.features


def labelled_rows(
    model: SavedModel,
    path: str | Path | None,
    label: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Rows:
    """Return rows with their labels, prepared as a network reads them.

    Parameters
    ----------
    model : as opened.
    path : the file; None for the eval data of the model's run.
    label : as for `read_data`; without it, the label of the run.
    ignore : columns to leave out.

    Raises DataError for data that cannot be used, or none, and as `read_data` does.
    """
    if path is None:
        return _eval_rows(model)
    if not label and model.spec is not None:
        label = _run_labels(model, path)
    dataset = read_data(model, path, ignore, label)
    if dataset.label is None and model.label_names:
        raise DataError(path, "has no labels", advice=_label_advice(model, path))
    kinds = model.labels or {name: Labels("value") for name in model.label_names}
    return run_data.prepared(dataset, features_of(model, dataset), kinds, shown_path(path))


def _run_labels(model: SavedModel, path: str | Path) -> tuple[str, ...]:
    """Return what the labels are called in the run, as far as that goes for this file."""
    train = None if model.spec is None else model.spec.data.train
    is_idx = train is None or _kind(model, path) == "idx"
    return () if train is None or is_idx else train.label_names


def _label_advice(model: SavedModel, path: str | Path) -> str:
    what = {"table": "its column", "idx": "the file of labels"}.get(_kind(model, path), "the array")
    return f"name {what} with --label"


def _eval_rows(model: SavedModel) -> Rows:
    """Return the eval rows of the model's run as `fit` saw them."""
    dataset, source = eval_dataset(model)
    return run_data.prepared(dataset, features_of(model, dataset), model.labels or {}, source)


def eval_dataset(model: SavedModel) -> tuple[Dataset, str]:
    """Return the eval data of the model's run as they stand in their file, and what they are.

    Raises DataError for data that cannot be used, or none.
    """
    spec = model.spec
    if spec is None or spec.data.eval is None or model.labels is None:
        which = "is of no run" if spec is None else "is of a run without eval data"
        raise DataError(model.files.weights, which, advice="name a file of rows with labels")
    if hasattr(spec.data.eval, "fraction"):
        train = run_data.read_source(spec.data.train, spec.data)
        _, found = run_data.split(train, model.labels, spec.data.eval.fraction, spec.seed)
        return found, f"{spec.data.eval.fraction:.4g} of {train.path}"
    found = run_data.read_source(spec.data.eval, spec.data)
    return found, str(found.path)
