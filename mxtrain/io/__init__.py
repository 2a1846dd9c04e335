"""Feeding a network: MXNet's data iterators, and readers for tables and arrays in files.

Names are imported when first used, so that reading a CSV's header (`mxtrain.io.table.header`)
costs neither NumPy nor polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.io.arrays import read_npz as read_npz
    from mxtrain.io.base import DataBatch as DataBatch
    from mxtrain.io.base import DataDesc as DataDesc
    from mxtrain.io.base import DataIter as DataIter
    from mxtrain.io.csv_iter import CSVIter as CSVIter
    from mxtrain.io.dataset import Dataset as Dataset
    from mxtrain.io.dataset import load_dataset as load_dataset
    from mxtrain.io.errors import DataError as DataError
    from mxtrain.io.features import Features as Features
    from mxtrain.io.idx import read_idx as read_idx
    from mxtrain.io.labels import Labels as Labels
    from mxtrain.io.mnist import MNISTIter as MNISTIter
    from mxtrain.io.ndarray_iter import NDArrayIter as NDArrayIter
    from mxtrain.io.prefetch import PrefetchingIter as PrefetchingIter
    from mxtrain.io.resize import ResizeIter as ResizeIter
    from mxtrain.io.table import header as header
    from mxtrain.io.table import read_table as read_table

_HOMES = {
    "CSVIter": "csv_iter",
    "DataBatch": "base",
    "DataDesc": "base",
    "DataError": "errors",
    "DataIter": "base",
    "Dataset": "dataset",
    "Features": "features",
    "Labels": "labels",
    "MNISTIter": "mnist",
    "NDArrayIter": "ndarray_iter",
    "PrefetchingIter": "prefetch",
    "ResizeIter": "resize",
    "header": "table",
    "load_dataset": "dataset",
    "read_idx": "idx",
    "read_npz": "arrays",
    "read_table": "table",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"mxtrain.io.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mxtrain.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
