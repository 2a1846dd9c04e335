"""`Features`: which columns a network reads and how they are scaled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from mxtrain.errors import FileFormatError
from mxtrain.io.dataset import Dataset
from mxtrain.io.errors import DataError
from mxtrain.io.scaling import Scaler

__all__ = ["SCALES", "Features"]

Array = np.ndarray[Any, Any]

SCALES = ("none", "standard", "minmax")
_BLOCK_ELEMENTS = 1 << 18


@dataclass(frozen=True)
class Features:
    """The input of a network, learned on training data and applied to any.

    Attributes
    ----------
    columns : names of the feature columns in order; empty for data that has none.
    scale : ``"standard"`` (mean 0, standard deviation 1), ``"minmax"`` (0 to 1) or ``"none"``.
    shape : of one sample.
    offset, factor : for each number of a sample; it becomes ``(x - offset) * factor``. Empty
        without scaling. A number that never changes in training has factor 0 and so stays 0.
    """

    columns: tuple[str, ...]
    scale: str
    shape: tuple[int, ...]
    offset: tuple[float, ...] = ()
    factor: tuple[float, ...] = ()

    @classmethod
    def fit(cls, train: Dataset, scale: str = "none") -> Self:
        """Learn from training data; ValueError for an unknown `scale`."""
        if scale not in SCALES:
            raise ValueError(f"scale is one of {', '.join(SCALES)}, got {scale!r}")
        shape = train.data.shape[1:]
        if scale == "none":
            return cls(train.names, scale, shape)
        offset, spread = _standard(train) if scale == "standard" else _minmax(train)
        # A spread so small that its inverse overflows is none.
        varies = spread >= np.finfo(np.float64).tiny
        factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
        return cls(train.names, scale, shape, tuple(offset.tolist()), tuple(factor.tolist()))

    def apply(self, dataset: Dataset) -> Array:
        """Return the samples, scaled, as float32; bytes that are not scaled stay bytes.

        Columns are found by name, in any order. Raises DataError if they are not the columns of
        the training data, if samples have another shape, or if a number is too large.
        """
        data, scaler = self.prepare(dataset)
        if scaler is None:
            return data
        out = np.empty(data.shape, np.float32)
        scaler.apply(data, out)
        return out

    def prepare(self, dataset: Dataset) -> tuple[Array, Scaler | None]:
        """Return the samples as they are to be kept in memory, and how each is to be scaled yet.

        Bytes stay bytes, a quarter of what they would be as floats; anything else is scaled. The
        errors are those of `apply`.
        """
        data, scaler = self.in_order(dataset), self._scaler()
        if scaler is None and data.dtype in (np.uint8, np.float32):
            return data, None
        scaler = scaler or Scaler(np.zeros(self.shape), np.ones(self.shape))
        if data.dtype == np.uint8 and scaler.takes_bytes():
            return data, scaler
        out = np.empty(data.shape, np.float32)
        scaler.apply(data, out)
        if not np.isfinite(out).all():
            raise self._too_large(dataset, out)
        return out, None

    def _scaler(self) -> Scaler | None:
        if not self.factor:
            return None
        offset, factor = np.array(self.offset), np.array(self.factor)
        return Scaler(offset.reshape(self.shape), factor.reshape(self.shape))

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values that JSON can hold exactly."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Rebuild from `to_json`; FileFormatError if something is missing or does not fit."""
        try:
            found = cls(
                columns=tuple(str(name) for name in stored["columns"]),
                scale=str(stored["scale"]),
                shape=tuple(int(n) for n in stored["shape"]),
                offset=tuple(float(x) for x in stored["offset"]),
                factor=tuple(float(x) for x in stored["factor"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"stored features are damaged: {error!r}") from error
        size = 0 if found.scale == "none" else int(np.prod(found.shape))
        if found.scale not in SCALES or not len(found.offset) == len(found.factor) == size:
            raise FileFormatError(
                f"stored features are damaged: scale {found.scale!r} of samples of shape "
                f"{found.shape} with {len(found.offset)} offsets and {len(found.factor)} factors"
            )
        return found

    def in_order(self, dataset: Dataset) -> Array:
        """Return the data, not scaled, with the columns in the order of training.

        Raises DataError if columns or shape are not those of the training data.
        """
        missing = [name for name in self.columns if name not in dataset.names]
        extra = [name for name in dataset.names if name not in self.columns]
        if missing or extra:
            parts = [
                f"{what}: {', '.join(names)}"
                for what, names in (("missing", missing), ("unexpected", extra))
                if names
            ]
            raise DataError(
                dataset.path,
                f"the columns are not those of the training data ({'; '.join(parts)})",
                advice="leave columns out with ignore, or name them alike in both files",
            )
        if dataset.data.shape[1:] != self.shape:
            raise DataError(
                dataset.path,
                f"samples have shape {dataset.data.shape[1:]}, in training it was {self.shape}",
            )
        if dataset.names == self.columns:
            return dataset.data
        return dataset.data[:, [dataset.names.index(name) for name in self.columns]]

    def _too_large(self, dataset: Dataset, out: Array) -> DataError:
        sample, *rest = (int(axis[0]) for axis in np.nonzero(~np.isfinite(out)))
        column = self.columns[rest[0]] if self.columns else None
        return dataset.error(
            "a number is too large for float32",
            sample,
            column=column,
            advice="remove the sample or express the number in a larger unit",
        )


def _blocks(data: Array) -> Iterator[slice]:
    """Cut the samples into pieces whose float64 copy stays small."""
    step = max(1, _BLOCK_ELEMENTS * len(data) // max(data.size, 1))
    for start in range(0, len(data), step):
        yield slice(start, start + step)


def _standard(train: Dataset) -> tuple[Array, Array]:
    low, spread = _minmax(train)
    total = np.zeros(train.data.shape[1:])
    for rows in _blocks(train.data):
        total += train.data[rows].astype(np.float64).sum(axis=0)
    mean = total / train.n
    squares = np.zeros_like(mean)
    for rows in _blocks(train.data):
        squares += np.square(train.data[rows].astype(np.float64) - mean).sum(axis=0)
    # A constant has exactly no spread, but its rounded mean would give it a tiny deviation.
    constant = spread == 0
    offset = np.where(constant, low, mean.ravel())
    return offset, np.where(constant, 0.0, np.sqrt(squares.ravel() / train.n))


def _minmax(train: Dataset) -> tuple[Array, Array]:
    low = train.data.min(axis=0).astype(np.float64)
    return low.ravel(), (train.data.max(axis=0).astype(np.float64) - low).ravel()
