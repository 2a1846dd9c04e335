"""What row-sparse arrays and CSR matrices have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from mxtrain.context import Context, cpu
from mxtrain.errors import MXNetError
from mxtrain.nd import NDArray

Array = np.ndarray[Any, Any]


class BaseSparseNDArray(ABC):
    """An array of which only a part is stored; the rest is zero.

    Attributes
    ----------
    stype : the storage type, ``row_sparse`` or ``csr``.
    data : the stored values.
    shape : of the whole array.
    """

    stype: ClassVar[str]
    data: NDArray
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
        dtype: np.dtype[Any] = self.data.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def context(self) -> Context:
        """The device the array lives on."""
        return cpu()

    @abstractmethod
    def todense(self) -> NDArray:
        """Return an ordinary array, zero where nothing is stored."""

    @abstractmethod
    def astype(self, dtype: Any) -> Self:
        """Return the array with another element type."""

    @abstractmethod
    def copy(self) -> Self:
        """Return a copy."""

    def asnumpy(self) -> Array:
        """Return a dense NumPy array."""
        return np.asarray(self.todense())

    # Without it NumPy would wrap the object itself, as an array of no axes.
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError(f"a dense array of a {self.stype} one is always a copy")
        return np.asarray(self.todense(), dtype)

    def tostype(self, stype: str) -> Any:
        """Return the array in another storage type, ``default`` or the one it has."""
        if stype == "default":
            return self.todense()
        if stype == self.stype:
            return self
        raise MXNetError(
            f"storage type is default or {self.stype}, got '{stype}'; "
            "between sparse types go by way of tostype('default')"
        )


def typed(source: Any, dtype: Any) -> Array:
    """Return `source` as a new array: float32 unless `dtype` or an `NDArray` says otherwise."""
    if dtype is None:
        dtype = source.dtype if isinstance(source, NDArray) else np.float32
    return np.array(source, dtype, subok=False)


def ascending(numbers: Array, below: int) -> bool:
    """Whether whole numbers are strictly ascending and within 0 and ``below - 1``."""
    # Compared, not subtracted: the difference of two int64 may wrap around.
    return not len(numbers) or bool(
        numbers[0] >= 0 and numbers[-1] < below and np.all(numbers[1:] > numbers[:-1])
    )
