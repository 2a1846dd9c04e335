"""IDX, the format of the MNIST files: one array of any rank, plain or compressed with gzip.

Four bytes (0, 0, element type, number of axes), the axes as big-endian 32-bit numbers, then the
elements, big-endian (http://yann.lecun.com/exdb/mnist).
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from mxtrain.errors import FileFormatError, MXNetError

__all__ = ["read_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_AXES = 32
# Deflate cannot shrink anything further than this, so a larger promise is a damaged header.
_BEST_GZIP_RATIO = 1100


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read an IDX file, compressed or not, as an array of its own type and shape.

    Sizes are checked against the length of the file before memory is taken. Raises MXNetError
    when the file cannot be opened and FileFormatError when it is damaged or something else.
    """
    try:
        with Path(path).open("rb") as raw:
            limit = os.fstat(raw.fileno()).st_size
            packed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not packed:
                return _read(raw, path, limit)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _read(unpacked, path, limit * _BEST_GZIP_RATIO)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path}: the gzip data is damaged ({error})") from error
    except OSError as error:
        raise MXNetError(f"cannot read {path}: {error.strerror or error}") from error


def _read(
    file: IO[bytes] | gzip.GzipFile, path: str | os.PathLike[str], limit: int
) -> np.ndarray[Any, Any]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise FileFormatError(
            f"{path}: not an IDX file; it should begin with 0, 0, an element type of "
            f"{sorted(_TYPES)} and the number of axes, its first bytes are {list(start)}"
        )
    rank = start[3]
    if not 1 <= rank <= _MOST_AXES:
        raise FileFormatError(f"{path}: {rank} axes, expected 1 to {_MOST_AXES}")
    axes = file.read(4 * rank)
    if len(axes) < 4 * rank:
        raise FileFormatError(
            f"{path}: ends at byte {4 + len(axes)} inside the list of its {rank} axes"
        )
    shape = tuple(int(n) for n in np.frombuffer(axes, ">u4"))
    dtype = np.dtype(_TYPES[start[2]])
    return _elements(file, path, shape, dtype, limit)


def _elements(
    file: IO[bytes] | gzip.GzipFile,
    path: str | os.PathLike[str],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    limit: int,
) -> np.ndarray[Any, Any]:
    size = math.prod(shape) * dtype.itemsize
    promise = f"shape {shape} of {dtype.newbyteorder('=').name} takes {size} bytes"
    if size > limit:
        raise FileFormatError(f"{path}: {promise}, more than the file can hold")
    data = file.read(size)
    if len(data) < size:
        raise FileFormatError(f"{path}: {promise}, only {len(data)} follow; is it truncated?")
    if file.read(1):
        raise FileFormatError(f"{path}: {promise}, but there are more bytes after them")
    values = np.frombuffer(data, dtype).reshape(shape)
    return values.astype(dtype.newbyteorder("="))
