"""Descriptions of a module's inputs: as given to `bind`, and of batches of other sizes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mxtrain.errors import CallError, unknown_name
from mxtrain.io import DataDesc
from mxtrain.module.roles import Roles
from mxtrain.symbol import Symbol

Descriptions = list[DataDesc]


def described(shapes: Any) -> Descriptions:
    """Return (name, shape) pairs, or None, as a list of `DataDesc`."""
    return [desc if isinstance(desc, DataDesc) else DataDesc(*desc) for desc in shapes or []]


def check(roles: Roles, data: Descriptions, labels: Descriptions) -> None:
    """Refuse inputs that are not the module's or disagree on the batch size.

    ValueError for data names other than the module's, KeyError for a label that is no argument,
    CallError for batch sizes. Labels other than the module's are a UserWarning.
    """
    names = [desc.name for desc in data]
    if sorted(names) != sorted(roles.data):
        raise ValueError(f"data_shapes names {names}, but the module's data_names are {roles.data}")
    label_names = [desc.name for desc in labels]
    if sorted(label_names) != sorted(roles.labels):
        warnings.warn(
            f"label_shapes names {label_names}, but the module's label_names are {roles.labels}",
            UserWarning,
            stacklevel=3,
        )
    for name in label_names:
        if name not in roles.arguments:
            raise KeyError(unknown_name("argument", name, roles.arguments))
    sizes = {
        desc.name: desc.shape[DataDesc.get_batch_axis(desc.layout)]
        for desc in [*data, *labels]
        if DataDesc.get_batch_axis(desc.layout) >= 0
    }
    if len(set(sizes.values())) > 1:
        raise CallError(f"inputs disagree on the batch size: {sizes}")


def batch_size(data: Descriptions) -> int:
    """Return the rows of a batch (1 for a graph without data)."""
    return int(data[0].shape[_batch_axis(data[0])]) if data else 1


def with_rows(descriptions: Descriptions, rows: int) -> Descriptions:
    """Return the same inputs for a batch of `rows` rows."""
    return [
        _reshaped(d, (*d.shape[: _batch_axis(d)], rows, *d.shape[_batch_axis(d) + 1 :]))
        for d in descriptions
    ]


def of_batch(
    symbol: Symbol, batch: Any, data: Descriptions, labels: Descriptions
) -> tuple[Descriptions, Descriptions]:
    """Describe the inputs of a batch, given those bound now.

    Names come from the batch's `provide_data` and `provide_label` where it has them, shapes from
    its arrays. Labels of a batch that brings none get the shapes the data implies.
    """
    names = described(getattr(batch, "provide_data", None)) or data
    new_data = [_reshaped(d, np.shape(a)) for d, a in zip(names, batch.data, strict=True)]
    names = described(getattr(batch, "provide_label", None)) or labels
    if given := labels_of(batch):
        arrays = zip(names, given, strict=False)
        return new_data, [_reshaped(desc, np.shape(array)) for desc, array in arrays]
    shapes, _, _ = symbol.infer_shape_partial(**{desc.name: desc.shape for desc in new_data})
    implied = dict(zip(symbol.list_arguments(), shapes, strict=True))
    return new_data, [_reshaped(desc, implied[desc.name]) for desc in names if implied[desc.name]]


def labels_of(batch: Any) -> Any:
    """Return the labels of a batch, none where it has no such attribute: inference needs none."""
    return getattr(batch, "label", None) or ()


def describes(data: Descriptions, batch: Any) -> bool:
    """Whether the arrays of a batch are the inputs `data`, by name and shape."""
    names = getattr(batch, "provide_data", None) or data
    return len(batch.data) == len(data) == len(names) and all(
        np.shape(array) == desc[1] and desc[0] == other[0]
        for array, desc, other in zip(batch.data, data, names, strict=True)
    )


def _batch_axis(desc: DataDesc) -> int:
    return max(DataDesc.get_batch_axis(desc.layout), 0)


def _reshaped(desc: DataDesc, shape: Sequence[int]) -> DataDesc:
    return DataDesc(desc.name, shape, desc.dtype, desc.layout)
