"""`load_dataset`: any supported file as arrays of samples and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain.io.arrays import read_idx_pair, read_npz
from mxtrain.io.errors import DataError
from mxtrain.io.table import Table, read_table

__all__ = ["Dataset", "kind_of", "load_dataset"]

Array = np.ndarray[Any, Any]
PathLike = str | os.PathLike[str]

KINDS = ("table", "npz", "idx")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples and labels as they stand in a file.

    Attributes
    ----------
    path : the file.
    data : samples of shape (n, ...): float64 (n, columns) from a table; as stored from NPZ and
        IDX, so that images stay bytes.
    label : (n,) or (n, k) numbers, or (n,) text; None without labels.
    names : the columns of a table that make up `data`; empty for other files.
    label_names : the columns of a table that make up `label`.
    rows : the row in the file (from 0) of each sample; None when all rows are there in order.
    table : the table it was read from, if any; knows which line a row is on.
    """

    path: PathLike
    data: Array
    label: Array | None
    names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
    rows: Array | None = None
    table: Table | None = None

    @property
    def n(self) -> int:
        """The number of samples."""
        return len(self.data)

    def take(self, samples: Array) -> Dataset:
        """Return the dataset of the given samples (numbers from 0), in that order."""
        rows = samples if self.rows is None else self.rows[samples]
        label = None if self.label is None else self.label[samples]
        return replace(self, data=self.data[samples], label=label, rows=rows)

    def error(self, problem: str, sample: int, **details: Any) -> DataError:
        """Make the DataError for a sample, which knows the place in the file."""
        row = sample if self.rows is None else int(self.rows[sample])
        in_lines = self.table is not None and self.table.in_lines
        place = row + 1 if self.table is None else self.table.line(row)
        return DataError(self.path, problem, row=place, in_lines=in_lines, **details)


def load_dataset(
    path: PathLike,
    *,
    label: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    kind: str | None = None,
    data_key: str | None = None,
) -> Dataset:
    """Read samples and labels from a file.

    Parameters
    ----------
    path : a table (``.csv``, ``.tsv``, ``.parquet``), an NPZ or an IDX file.
    label : a table's label column, or a list of columns for several numbers per sample; the name
        of an NPZ's label array; the file of labels that belongs to an IDX file.
    columns : a table's feature columns in order; default: all but the label and `ignore`.
    ignore : columns of a table to leave out.
    kind : ``"table"``, ``"npz"`` or ``"idx"``; default: told from the ending of `path`.
    data_key : the name of an NPZ's data array.

    Raises DataError, with the place in the file, for data that cannot be used, and
    FileFormatError for damaged NPZ and IDX files.
    """
    kind = kind_of(path) if kind is None else kind
    if kind == "table":
        labels = (label,) if isinstance(label, str) else tuple(label or ())
        return _from_table(read_table(path), labels, columns, ignore)
    if columns is not None or ignore:
        raise DataError(path, f"is an {kind.upper()} file and has no columns to choose from")
    if label is not None and not isinstance(label, str):
        raise DataError(path, f"an {kind.upper()} file takes one label, got {list(label)}")
    if kind == "npz":
        return Dataset(path, *read_npz(path, data_key, label))
    if kind == "idx":
        return Dataset(path, *read_idx_pair(path, label))
    raise ValueError(f"kind of a dataset is one of {', '.join(KINDS)}, got {kind!r}")


def kind_of(path: PathLike) -> str:
    """Tell the kind of a data file from its name; DataError if the ending is unknown.

    >>> kind_of("train-images-idx3-ubyte.gz"), kind_of("iris.csv")
    ('idx', 'table')
    """
    name = Path(path).name.lower().removesuffix(".gz")
    if name.endswith((".csv", ".tsv", ".parquet")):
        return "table"
    if name.endswith(".npz"):
        return "npz"
    if name.endswith((".idx", "-ubyte")) or "-idx" in name or ".idx" in name:
        return "idx"
    raise DataError(
        path,
        "is of an unknown kind",
        advice="known endings: .csv .tsv .parquet .npz .idx (also .csv.gz, -idx3-ubyte.gz)",
    )


def _from_table(
    table: Table, labels: tuple[str, ...], columns: Sequence[str] | None, ignore: Sequence[str]
) -> Dataset:
    table.require([*labels, *ignore, *(columns or ())])
    left_out = {*labels, *ignore}
    if columns is None:
        columns = [name for name in table.names if name not in left_out]
    elif clash := [name for name in columns if name in left_out]:
        raise DataError(table.path, "is a feature and a label or ignored", column=clash[0])
    if not columns:
        raise DataError(table.path, "no columns are left for the network's input")
    data = np.empty((len(table), len(columns)))
    for i, name in enumerate(columns):
        data[:, i] = table.numbers(name)
    if not labels:
        label = None
    elif len(labels) == 1:
        label = table.labels(labels[0])
    else:
        label = np.stack([table.numbers(name) for name in labels], axis=1)
    return Dataset(table.path, data, label, tuple(columns), labels, table=table)
