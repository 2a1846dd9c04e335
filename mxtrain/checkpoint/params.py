"""MXNet's ``.params`` files: a list of arrays, or of arrays with names.

All numbers are little-endian: the list's magic number, a reserved word, the number of arrays, the
arrays one after the other (`mxtrain.checkpoint.records`), the number of names (0, or one per array)
and the names. Reading checks every size against the length of the file before it takes memory.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from mxtrain.checkpoint.atomic import replacing
from mxtrain.checkpoint.opening import open_regular, unreadable
from mxtrain.checkpoint.reader import Reader, mapping
from mxtrain.checkpoint.records import Stored, read_record, storable, write_record
from mxtrain.errors import FileFormatError
from mxtrain.sparse import BaseSparseNDArray

__all__ = ["load_frombuffer", "load_params", "save_params"]

PathLike = str | os.PathLike[str]

LIST_MAGIC = 0x112


def save_params(fname: PathLike, data: Any) -> None:
    """Write an array, a list of arrays or a dict of arrays by name, atomically.

    Arrays are NumPy's or sparse ones. Raises TypeError for anything else, and for element types
    the format does not have; OSError when the file cannot be written, and then an old file of
    that name is still there.
    """
    names, arrays = _names_and_arrays(data)
    with replacing(fname) as file:
        file.write(struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays)))
        for array in arrays:
            write_record(file, array)
        file.write(struct.pack("<Q", len(names)))
        for name in names:
            file.write(struct.pack("<Q", len(name)) + name)


def load_params(fname: PathLike, mmap: bool = False) -> list[Any] | dict[str, Any]:
    """Read a file: a dict in file order if its arrays have names, else a list.

    Parameters
    ----------
    fname : the file.
    mmap : map the file into memory instead of copying its values. They are then read from the disk
        when they are first looked at, and changes to them stay in memory. The file may be replaced
        (as `save_params` does) or removed meanwhile; a program that *shortens* it in place ends
        this process, which is why copying is the default.

    The arrays are of type `NDArray`, or row-sparse or CSR. Raises MXNetError when the file cannot
    be opened, and FileFormatError when it is damaged, is something else or holds absent arrays.
    """
    with open_regular(fname) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            return _read_list(Reader(file, fname, size, mapping(file) if mmap else None))
        except OSError as error:
            raise unreadable(fname, error) from error


def load_frombuffer(buf: Any) -> list[Any] | dict[str, Any]:
    """Read the content of a file from bytes, as `load_params` does.

    Raises TypeError when `buf` has no bytes, and FileFormatError for damaged ones.
    """
    try:
        data = memoryview(buf)
    except TypeError:
        raise TypeError(f"load_frombuffer takes bytes, got {type(buf).__name__}") from None
    return _read_list(Reader(BytesIO(data), "the buffer", data.nbytes))


def _names_and_arrays(data: Any) -> tuple[list[bytes], list[Any]]:
    if isinstance(data, np.ndarray | BaseSparseNDArray):
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
    return names, [storable(value, name) for value, name in zip(values, what, strict=True)]


def _encoded(name: Any) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"names of arrays are text, got {name!r}")
    try:
        return name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the name {name!r} cannot be written as UTF-8: {error.reason}") from error


def _read_list(reader: Reader) -> list[Any] | dict[str, Any]:
    magic = reader.integer("Q", "the magic number")
    if magic != LIST_MAGIC:
        raise reader.error(
            f"not a .params file: it begins with {magic:#x}, expected {LIST_MAGIC:#x}", 0
        )
    reader.integer("Q", "the reserved word")
    count = reader.integer("Q", "the number of arrays")
    reader.need(4 * count, f"a list of {count} arrays")
    records = [read_record(reader, f"array {i} of {count}") for i in range(count)]
    names = _read_names(reader, count)
    if reader.left:
        raise reader.error(f"{reader.left} bytes follow the end of the list")
    arrays = _without_absent(reader, records, names)
    return dict(zip(names, arrays, strict=True)) if names else arrays


def _without_absent(reader: Reader, records: list[Stored | None], names: list[str]) -> list[Stored]:
    arrays = [record for record in records if record is not None]
    if len(arrays) < len(records):
        # `records.index(None)` would compare arrays, element by element.
        absent = [record is None for record in records].index(True)
        shown = f"'{names[absent]}'" if names else f"number {absent}"
        raise FileFormatError(
            f"{reader.name}: array {shown} is absent: the file stores no values for it; "
            "remove it and save the file again"
        )
    return arrays


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
            raise reader.error(f"the name '{name[:100]}' occurs twice", position)
        names[name] = None
    return list(names)
