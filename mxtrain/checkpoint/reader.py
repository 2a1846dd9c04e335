"""`Reader`: takes pieces of a binary file, each checked against the length of the file."""

from __future__ import annotations

import os
import struct
from io import BufferedReader
from typing import Any

import numpy as np

from mxtrain.errors import FileFormatError

__all__ = ["Reader"]

Array = np.ndarray[Any, Any]


class Reader:
    """A binary file read from front to back. Every failure names the file and the position.

    Parameters
    ----------
    file : open for reading in binary mode, at its beginning.
    name : of the file, for messages.
    """

    def __init__(self, file: BufferedReader, name: str | os.PathLike[str]) -> None:
        self.name = os.fspath(name)
        self.position = 0
        self.size = os.fstat(file.fileno()).st_size
        self._file = file

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
        self.position += count
        self._file.seek(self.position)

    def bytes(self, count: int, what: str) -> bytes:
        """Take `count` bytes."""
        self.need(count, what)
        data = self._file.read(count)
        if len(data) < count:
            raise self.error(f"{what} ends early: the file became shorter while it was read")
        self.position += count
        return data

    def integer(self, code: str, what: str) -> int:
        """Take one little-endian integer; `code` is its letter in `struct`."""
        data = self.bytes(struct.calcsize("<" + code), what)
        return int(struct.unpack("<" + code, data)[0])

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> Array:
        """Take an array in C order; its size must have been checked with `need`."""
        array = np.empty(shape, dtype)
        size = self._file.readinto(array.reshape(-1).view(np.uint8).data)
        if size < array.nbytes:
            raise self.error(f"{what} ends early: the file became shorter while it was read")
        self.position += array.nbytes
        return array
