"""MXNet's ``.params`` files: a list of arrays, or of arrays with names.

All numbers are little-endian: the list's magic number, a reserved word, the number of arrays, the
arrays one after the other, the number of names (0, or one per array) and the names. Reading
checks every size against the length of the file before it takes memory. Dense arrays of all four
record versions are read; sparse arrays are refused by name.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mxtrain import nd
from mxtrain.checkpoint.atomic import replacing
from mxtrain.checkpoint.reader import Reader
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.nd import NDArray

__all__ = ["load_params", "save_params"]

PathLike = str | os.PathLike[str]
Array = np.ndarray[Any, Any]

LIST_MAGIC = 0x112
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
RESERVED_DTYPES = {8: "int16", 9: "uint16", 10: "uint32", 11: "uint64"}
CODES = {np.dtype(name): code for code, name in DTYPES.items()}

STORAGE = {1: "row_sparse", 2: "csr"}
_AUXILIARY_ARRAYS = {1: 1, 2: 2}
_MOST_AXES = 64  # of a NumPy array


def save_params(fname: PathLike, data: Any) -> None:
    """Write an array, a list of arrays or a dict of arrays by name, atomically.

    Raises TypeError for anything else, and for element types the format does not have; OSError
    when the file cannot be written, and then an old file of that name is still there.
    """
    names, arrays = _names_and_arrays(data)
    with replacing(fname) as file:
        file.write(struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays)))
        for array in arrays:
            _write_record(file, array)
        file.write(struct.pack("<Q", len(names)))
        for name in names:
            file.write(struct.pack("<Q", len(name)) + name)


def load_params(fname: PathLike) -> list[NDArray] | dict[str, NDArray]:
    """Read a file: a dict in file order if its arrays have names, else a list.

    Raises MXNetError when the file cannot be opened, and FileFormatError when it is damaged, is
    something else or holds sparse or absent arrays.
    """
    try:
        with Path(fname).open("rb") as file:
            return _read_list(Reader(file, fname))
    except OSError as error:
        raise MXNetError(f"cannot read {os.fspath(fname)}: {error.strerror or error}") from error


def _names_and_arrays(data: Any) -> tuple[list[bytes], list[Array]]:
    if isinstance(data, np.ndarray):
        data = [data]
    if isinstance(data, Mapping):
        names, values = [_encoded(name) for name in data], list(data.values())
        what = [f"'{name}'" for name in data]
    elif isinstance(data, Sequence) and not isinstance(data, str | bytes):
        names, values = [], list(data)
        what = [f"number {i}" for i in range(len(values))]
    else:
        raise TypeError(
            f"save takes an array, a list of arrays or a dict of arrays, got {type(data).__name__}"
        )
    return names, [_storable(value, name) for value, name in zip(values, what, strict=True)]


def _encoded(name: Any) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"names of arrays are text, got {name!r}")
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the name {name!r} cannot be written as UTF-8: {error.reason}") from error


def _storable(value: Any, what: str) -> Array:
    """Return `value` as a plain little-endian array in C order."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"array {what} to save is a {type(value).__name__}, not an array")
    if value.dtype.newbyteorder("=") not in CODES:
        raise TypeError(
            f"array {what} has type {value.dtype}, which .params files cannot hold; "
            f"convert it with astype to one of {', '.join(DTYPES.values())}"
        )
    plain = np.asarray(value, dtype=value.dtype.newbyteorder("<"), order="C")
    return plain.view(np.ndarray)


def _write_record(file: BinaryIO, array: Array) -> None:
    """Write version 2, which every MXNet reads, unless only version 3 knows such a shape."""
    version = VERSION_3 if array.size == 0 or array.ndim == 0 else VERSION_2
    code = CODES[array.dtype.newbyteorder("=")]
    file.write(struct.pack("<Iii", version, 0, array.ndim))
    file.write(struct.pack(f"<{array.ndim}q", *array.shape))
    file.write(struct.pack("<iii", *CPU, code))
    file.write(array.reshape(-1).view(np.uint8).data)


def _read_list(reader: Reader) -> list[NDArray] | dict[str, NDArray]:
    magic = reader.integer("Q", "the magic number")
    if magic != LIST_MAGIC:
        raise reader.error(
            f"not a .params file: it begins with {magic:#x}, expected {LIST_MAGIC:#x}", 0
        )
    reader.integer("Q", "the reserved word")
    count = reader.integer("Q", "the number of arrays")
    reader.need(4 * count, f"a list of {count} arrays")
    records = [_read_record(reader, f"array {i} of {count}") for i in range(count)]
    names = _read_names(reader, count)
    if reader.left:
        raise reader.error(f"{reader.left} bytes follow the end of the list")
    for i, record in enumerate(records):
        if isinstance(record, str):
            shown = f"'{names[i]}'" if names else f"number {i}"
            raise FileFormatError(f"{reader.name}: array {shown} {record}")
    arrays = [nd.view(record) for record in records if not isinstance(record, str)]
    return dict(zip(names, arrays, strict=True)) if names else arrays


def _read_names(reader: Reader, arrays: int) -> list[str]:
    start = reader.position
    count = reader.integer("Q", "the number of names")
    if count not in (0, arrays):
        raise reader.error(f"{count} names for {arrays} arrays, expected 0 or {arrays}", start)
    names: dict[str, None] = {}
    for i in range(count):
        size = reader.integer("Q", f"the length of name {i}")
        position = reader.position
        try:
            name = reader.bytes(size, f"name {i}").decode()
        except UnicodeDecodeError as error:
            raise reader.error(f"name {i} is not UTF-8 text", position) from error
        if name in names:
            raise reader.error(f"the name '{name}' occurs twice", position)
        names[name] = None
    return list(names)


def _read_record(reader: Reader, what: str) -> Array | str:
    """Read one array; for a sparse or absent one, say what it is instead."""
    start = reader.position
    version = reader.integer("I", f"the version of {what}")
    storage = 0
    if version in (VERSION_2, VERSION_3):
        storage = reader.integer("i", f"the storage type of {what}")
        if storage not in (0, *STORAGE) or (storage and version == VERSION_3):
            raise reader.error(f"{what} has the unknown storage type {storage}", start + 4)
    elif version != VERSION_1 and version > _MOST_AXES:
        raise reader.error(f"{what} has the unknown version {version:#x}", start)
    stored_shape = _read_shape(reader, what) if storage else None
    if version in (VERSION_1, VERSION_2, VERSION_3):
        shape = _read_shape(reader, what)
    else:
        shape = _read_axes(reader, version, "I", what)
    if not shape and version != VERSION_3:
        return "is absent: the file stores no values for it; remove it and save the file again"
    reader.skip(8, f"the device of {what}")
    dtype = _read_dtype(reader, what)
    if stored_shape is not None:
        return _skip_sparse(reader, storage, stored_shape, dtype, what)
    return _read_values(reader, shape, dtype, what)


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


def _read_dtype(reader: Reader, what: str) -> np.dtype[Any]:
    start = reader.position
    code = reader.integer("i", f"the element type of {what}")
    name = (DTYPES | RESERVED_DTYPES).get(code)
    if name is None:
        raise reader.error(
            f"{what} has element type {code}{' (bfloat16)' if code == 12 else ''}, "
            f"known are 0 to {max(RESERVED_DTYPES)}",
            start,
        )
    return np.dtype(name)


def _read_values(reader: Reader, shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> Array:
    reader.need(math.prod(shape) * dtype.itemsize, f"{what}, {dtype} of shape {shape},")
    if dtype == np.bool_:
        # A byte that is neither 0 nor 1 would not be a valid NumPy truth value.
        return np.asarray(reader.array(shape, np.dtype(np.uint8), what) != 0)
    array = reader.array(shape, dtype.newbyteorder("<"), what)
    return array.astype(dtype, copy=False)


def _skip_sparse(
    reader: Reader, storage: int, shape: tuple[int, ...], dtype: np.dtype[Any], what: str
) -> str:
    """Pass over a sparse array, so that the names can be read and this one be named."""
    sizes = [math.prod(shape) * dtype.itemsize]
    for _ in range(_AUXILIARY_ARRAYS[storage]):
        index_type = _read_dtype(reader, f"an index array of {what}")
        index_shape = _read_shape(reader, f"an index array of {what}")
        sizes.append(math.prod(index_shape) * index_type.itemsize)
    reader.skip(sum(sizes), f"the values of {what}")
    return (
        f"is {STORAGE[storage]}, which is not supported; "
        "convert it with tostype('default') in MXNet and save the file again"
    )
