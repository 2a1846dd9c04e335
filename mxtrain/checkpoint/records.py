"""One array of a ``.params`` file: MXNet's records of versions 0 to 3, dense and sparse.

A record says its version, storage type, shape, device and element type, and then holds the values;
versions 0 and 1 are dense, version 3 knows arrays without axes or elements.
"""

from __future__ import annotations

import math
import struct
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from mxtrain import nd
from mxtrain.checkpoint.reader import BFLOAT16, Reader
from mxtrain.errors import MXNetError
from mxtrain.nd import NDArray
from mxtrain.sparse import BaseSparseNDArray, CSRNDArray, RowSparseNDArray

Array = np.ndarray[Any, Any]
Stored = NDArray | BaseSparseNDArray

VERSION_1, VERSION_2, VERSION_3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
CPU = (1, 0)

DTYPES = {
    0: "float32",
    1: "float64",
    2: "float16",
    3: "uint8",
    4: "int32",
    5: "int8",
    6: "int64",
    7: "bool",
}
# Codes that MXNet reserves: understood when read, never written.
RESERVED_DTYPES = {8: "int16", 9: "uint16", 10: "uint32", 11: "uint64", 12: BFLOAT16}
_NAMES = DTYPES | RESERVED_DTYPES
CODES = {np.dtype(name): code for code, name in DTYPES.items()}
INT64 = "int64"

DENSE, ROW_SPARSE, CSR = 0, 1, 2
# The index arrays of a sparse array, in the order they are stored.
AUXILIARY = {ROW_SPARSE: ("indices",), CSR: ("indptr", "indices")}
_STORAGE = {"row_sparse": ROW_SPARSE, "csr": CSR}
_MOST_AXES = 64  # of a NumPy array


class Header(NamedTuple):
    """What a record says before its values.

    Attributes
    ----------
    storage : `DENSE`, `ROW_SPARSE` or `CSR`.
    stored : the shape of the values stored.
    shape : of the whole array.
    dtype : name of the element type.
    """

    storage: int
    stored: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str


# -- reading -----------------------------------------------------------------------------------


def read_record(reader: Reader, what: str) -> Stored | None:
    """Read one array, or None for an absent one, which has no values.

    ``bfloat16``, which NumPy lacks, is read as float32 of the same values. Raises FileFormatError
    naming the position when the record is damaged: a sparse array's indices are checked as well.
    """
    start = reader.position
    header = _read_header(reader, what)
    if header is None:
        return None
    if header.storage == DENSE:
        return nd.view(reader.values(header.stored, header.dtype, what))
    shapes = [_read_index_header(reader, f"{name} of {what}") for name in AUXILIARY[header.storage]]
    data = reader.values(header.stored, header.dtype, what)
    indices = [
        reader.values(shape, INT64, f"{name} of {what}")
        for shape, name in zip(shapes, AUXILIARY[header.storage], strict=True)
    ]
    try:
        if header.storage == ROW_SPARSE:
            return RowSparseNDArray(data, indices[0], header.shape)
        return CSRNDArray(data, indices[1], indices[0], header.shape)
    except MXNetError as error:
        raise reader.error(f"{what}: {error}", start) from error


def _read_header(reader: Reader, what: str) -> Header | None:
    start = reader.position
    version = reader.integer("I", f"the version of {what}")
    storage = DENSE
    stored: tuple[int, ...] | None = None
    if version in (VERSION_2, VERSION_3):
        storage = reader.integer("i", f"the storage type of {what}")
        if storage not in (DENSE, *AUXILIARY) or (storage != DENSE and version == VERSION_3):
            raise reader.error(f"{what} has the unknown storage type {storage}", start + 4)
        if storage != DENSE:
            stored = _read_shape(reader, f"the values of {what}")
    elif version != VERSION_1 and version > _MOST_AXES:
        raise reader.error(f"{what} has the unknown version {version:#x}", start)
    if version in (VERSION_1, VERSION_2, VERSION_3):
        shape = _read_shape(reader, what)
    else:
        shape = _read_axes(reader, version, "I", what)
    if not shape and version != VERSION_3:
        return None
    reader.skip(8, f"the device of {what}")
    return Header(storage, shape if stored is None else stored, shape, _read_dtype(reader, what))


def _read_shape(reader: Reader, what: str) -> tuple[int, ...]:
    return _read_axes(reader, reader.integer("i", f"the number of axes of {what}"), "q", what)


def _read_axes(reader: Reader, rank: int, code: str, what: str) -> tuple[int, ...]:
    start = reader.position
    if not 0 <= rank <= _MOST_AXES:
        raise reader.error(f"{what} has {rank} axes, expected 0 to {_MOST_AXES}", start)
    data = reader.bytes(rank * struct.calcsize("<" + code), f"the shape of {what}")
    shape = struct.unpack(f"<{rank}{code}", data)
    # NumPy refuses even an empty array if its other axes alone are too many elements.
    if min(shape, default=0) < 0 or math.prod(n for n in shape if n) >= 2**60:
        raise reader.error(f"{what} has the impossible shape {shape}", start)
    return shape


def _read_dtype(reader: Reader, what: str) -> str:
    start = reader.position
    code = reader.integer("i", f"the element type of {what}")
    if code not in _NAMES:
        raise reader.error(f"{what} has element type {code}, known are 0 to {max(_NAMES)}", start)
    return _NAMES[code]


def _read_index_header(reader: Reader, what: str) -> tuple[int, ...]:
    start = reader.position
    dtype = _read_dtype(reader, what)
    if dtype != INT64:
        raise reader.error(f"{what} has element type {dtype}, expected {INT64}", start)
    return _read_shape(reader, what)


# -- writing -----------------------------------------------------------------------------------


def storable(value: Any, what: str) -> Array | BaseSparseNDArray:
    """Return `value` as what `write_record` takes; TypeError when a file cannot hold it."""
    if isinstance(value, BaseSparseNDArray):
        _check_dtype(value.dtype, what)
        return value
    if not isinstance(value, np.ndarray):
        raise TypeError(f"array {what} to save is a {type(value).__name__}, not an array")
    _check_dtype(value.dtype, what)
    return _plain(value)


def _check_dtype(dtype: np.dtype[Any], what: str) -> None:
    if dtype.newbyteorder("=") not in CODES:
        raise TypeError(
            f"array {what} has type {dtype}, which .params files cannot hold; "
            f"convert it with astype to one of {', '.join(DTYPES.values())}"
        )


def _plain(array: Array) -> Array:
    """Return an array in C order with little-endian values."""
    plain = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
    return plain.view(np.ndarray)


def write_record(file: BinaryIO, array: Array | BaseSparseNDArray) -> None:
    """Write version 2, which every MXNet reads, unless only version 3 knows such a shape."""
    if isinstance(array, BaseSparseNDArray):
        _write_sparse(file, array)
        return
    version = VERSION_3 if array.size == 0 or array.ndim == 0 else VERSION_2
    file.write(struct.pack("<Ii", version, DENSE))
    _write_shape(file, array.shape)
    _write_type(file, array.dtype)
    _write_values(file, array)


def _write_sparse(file: BinaryIO, array: BaseSparseNDArray) -> None:
    storage = _STORAGE[array.stype]
    data = _plain(array.data)
    indices = [_plain(getattr(array, name)) for name in AUXILIARY[storage]]
    file.write(struct.pack("<Ii", VERSION_2, storage))
    _write_shape(file, data.shape)
    _write_shape(file, array.shape)
    _write_type(file, data.dtype)
    for part in indices:
        file.write(struct.pack("<i", CODES[np.dtype(INT64)]))
        _write_shape(file, part.shape)
    for part in (data, *indices):
        _write_values(file, part)


def _write_shape(file: BinaryIO, shape: tuple[int, ...]) -> None:
    file.write(struct.pack(f"<i{len(shape)}q", len(shape), *shape))


def _write_type(file: BinaryIO, dtype: np.dtype[Any]) -> None:
    file.write(struct.pack("<iii", *CPU, CODES[dtype.newbyteorder("=")]))


def _write_values(file: BinaryIO, array: Array) -> None:
    file.write(array.reshape(-1).view(np.uint8).data)
