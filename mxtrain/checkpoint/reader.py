"""`Reader`: takes pieces of a binary file, each checked against the length of the file."""

from __future__ import annotations

import math
import os
import struct
from io import BufferedReader, BytesIO
from mmap import ACCESS_COPY, mmap
from typing import Any

import numpy as np

from mxtrain.errors import FileFormatError

__all__ = ["BFLOAT16", "Reader", "mapping"]

Array = np.ndarray[Any, Any]

# NumPy has no such type. Each of its values is the upper half of a float32.
BFLOAT16 = "bfloat16"
_STORED_AS = {BFLOAT16: "uint16", "bool": "uint8"}


def mapping(file: BufferedReader) -> mmap | None:
    """Map an open file into memory; changes stay there. None for a file without bytes."""
    size = os.fstat(file.fileno()).st_size
    return mmap(file.fileno(), size, access=ACCESS_COPY) if size else None


def _widened(halves: Array) -> Array:
    """Return the float32 values whose upper halves are given."""
    bits = halves.astype(np.uint32)
    bits <<= 16
    return bits.view(np.float32)


class Reader:
    """A binary file read from front to back. Every failure names the file and the position.

    Parameters
    ----------
    file : open for reading in binary mode, at its beginning.
    name : of the file, for messages.
    size : of the file, in bytes.
    mapped : the same file mapped into memory; arrays are then views of it instead of copies.
    """

    def __init__(
        self,
        file: BufferedReader | BytesIO,
        name: str | os.PathLike[str],
        size: int,
        mapped: mmap | None = None,
    ) -> None:
        self.name = os.fspath(name)
        self.position = 0
        self.size = size
        self._file = file
        self._mapped = mapped

    @property
    def left(self) -> int:
        """The number of bytes not yet taken."""
        return self.size - self.position

    def error(self, problem: str, position: int | None = None) -> FileFormatError:
        """Make the error for something wrong at `position` (default: here)."""
        place = self.position if position is None else position
        return FileFormatError(f"{self.name}: byte {place}: {problem}")

    def need(self, count: int, what: str) -> None:
        """Raise FileFormatError unless `count` more bytes are there for `what`."""
        if count > self.left:
            raise self.error(
                f"{what} takes {count} bytes but only {self.left} are left; "
                "the file is truncated or damaged"
            )

    def skip(self, count: int, what: str) -> None:
        """Pass over `count` bytes."""
        self.need(count, what)
        self._advance(count)

    def _advance(self, count: int) -> None:
        self.position += count
        self._file.seek(self.position)

    def bytes(self, count: int, what: str) -> bytes:
        """Take `count` bytes."""
        self.need(count, what)
        data = self._file.read(count)
        if len(data) < count:
            raise self._shorter(what)
        self.position += count
        return data

    def integer(self, code: str, what: str) -> int:
        """Take one little-endian integer; `code` is its letter in `struct`."""
        data = self.bytes(struct.calcsize("<" + code), what)
        return int(struct.unpack("<" + code, data)[0])

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> Array:
        """Take an array in C order; its size must have been checked with `need`."""
        if self._mapped is not None:
            return self._view(self._mapped, shape, dtype)
        array = np.empty(shape, dtype)
        if self._file.readinto(array.reshape(-1).view(np.uint8).data) < array.nbytes:
            raise self._shorter(what)
        self.position += array.nbytes
        return array

    def values(self, shape: tuple[int, ...], dtype: str, what: str) -> Array:
        """Take the values of an array of a NumPy type, or of `BFLOAT16`, which become float32.

        Raises FileFormatError when the file is too short for them.
        """
        stored = np.dtype(_STORED_AS.get(dtype, dtype))
        self.need(math.prod(shape) * stored.itemsize, f"{what}, {dtype} of shape {shape},")
        array = self.array(shape, stored.newbyteorder("<"), what)
        if dtype == BFLOAT16:
            return _widened(array)
        # A byte that is neither 0 nor 1 would not be a valid NumPy truth value.
        return np.asarray(array != 0) if dtype == "bool" else array.astype(stored, copy=False)

    def _view(self, mapped: mmap, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        count = math.prod(shape)
        array = np.frombuffer(mapped, dtype, count, self.position).reshape(shape)
        self._advance(array.nbytes)
        return array

    def _shorter(self, what: str) -> FileFormatError:
        return self.error(f"{what} ends early: the file became shorter while it was read")
