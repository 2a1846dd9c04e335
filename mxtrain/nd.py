"""Arrays under MXNet's names: `array`, `zeros`, `ones`, `full`, `save`, `load`, `load_frombuffer`.

An `NDArray` is a NumPy array that adds only ``asnumpy``, ``asscalar``, ``copyto``, ``context``,
``stype`` and ``tostype``. Everything handed out by the MXNet-shaped API (outputs, parameters,
gradients, batches) is one; everything taken in may be any array. Sparse arrays are in `nd.sparse`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from mxtrain.context import Context, cpu

__all__ = ["NDArray", "array", "full", "load", "load_frombuffer", "ones", "save", "zeros"]


class NDArray(np.ndarray[Any, Any]):
    """A NumPy array with MXNet's accessors."""

    stype = "default"

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """Return a copy as a plain NumPy array."""
        return np.array(self, subok=False)

    def asscalar(self) -> Any:
        """Return the single element as a Python number (ValueError unless there is just one)."""
        if self.size != 1:
            raise ValueError(f"asscalar needs an array of one element, this one is {self.shape}")
        return self.item()

    def copyto(self, other: Any) -> Any:
        """Copy into the array `other`, or make a copy when `other` is a context."""
        if isinstance(other, Context):
            return self.copy()
        if other.shape != self.shape:
            raise ValueError(f"copyto: source is {self.shape}, destination is {other.shape}")
        other[...] = self
        return other

    @property
    def context(self) -> Context:
        """The device the array lives on."""
        return cpu()

    def tostype(self, stype: str) -> Any:
        """Return the array in the storage type ``default``, ``row_sparse`` or ``csr``."""
        from mxtrain.sparse import cast_storage

        return cast_storage(self, stype)


def view(array: np.ndarray[Any, Any]) -> NDArray:
    """Return `array` as an `NDArray` over the same memory."""
    return array.view(NDArray)


def array(source: ArrayLike, ctx: Context | None = None, dtype: DTypeLike | None = None) -> NDArray:
    """Make an array; the type is that of an `NDArray` source, float32 for anything else.

    >>> array([1, 2]).dtype
    dtype('float32')
    """
    if dtype is None:
        dtype = source.dtype if isinstance(source, NDArray) else np.dtype(np.float32)
    return view(np.array(source, dtype=dtype, subok=False))


def zeros(shape: Any, ctx: Context | None = None, dtype: DTypeLike | None = None) -> NDArray:
    """Make an array of zeros (float32 by default)."""
    return view(np.zeros(shape, dtype or np.float32))


def ones(shape: Any, ctx: Context | None = None, dtype: DTypeLike | None = None) -> NDArray:
    """Make an array of ones (float32 by default)."""
    return view(np.ones(shape, dtype or np.float32))


def full(
    shape: Any, val: float, ctx: Context | None = None, dtype: DTypeLike | None = None
) -> NDArray:
    """Make an array filled with `val` (float32 by default)."""
    return view(np.full(shape, val, dtype or np.float32))


def save(fname: str, data: Any) -> None:
    """Write an array, a list of arrays or a dict of arrays as an MXNet ``.params`` file.

    Sparse arrays are stored as such. Raises TypeError or ValueError for what such a file cannot
    hold, OSError when it cannot be written; an old file of that name is then still there.
    """
    from mxtrain.checkpoint.params import save_params

    save_params(fname, data)


def load(fname: str, mmap: bool = False) -> list[Any] | dict[str, Any]:
    """Read an MXNet ``.params`` file: a dict when its arrays have names, else a list.

    The arrays are of type `NDArray`; those stored as sparse are of `nd.sparse`. With `mmap` values
    stay on the disk until they are looked at; see `mxtrain.checkpoint.params.load_params`. Raises
    MXNetError for a file that cannot be opened, FileFormatError for a damaged one.
    """
    from mxtrain.checkpoint.params import load_params

    return load_params(fname, mmap)


def load_frombuffer(buf: Any) -> list[Any] | dict[str, Any]:
    """Read the content of a ``.params`` file from bytes, as `load` reads a file.

    Raises TypeError for what has no bytes, FileFormatError for damaged ones.
    """
    from mxtrain.checkpoint.params import load_frombuffer as read

    return read(buf)


def __getattr__(name: str) -> Any:
    if name == "sparse":
        from mxtrain import sparse

        return sparse
    hint = f"; arrays are NumPy's, take numpy.{name}" if hasattr(np, name) else ""
    raise AttributeError(f"module 'mxtrain.nd' has no attribute '{name}'{hint}")
