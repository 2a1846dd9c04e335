"""Safetensors files: a table of tensors as JSON, then their values.

They are read here rather than by the library for what NumPy lacks (``bfloat16``), for the order
of the table, and so that an error names the tensor and its place in the file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any

import numpy as np

from mxtrain.checkpoint.reader import BFLOAT16, Reader, mapping
from mxtrain.errors import FileFormatError

__all__ = ["TensorFile", "read_safetensors", "safetensors_bytes"]

Array = np.ndarray[Any, Any]

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}
_BFLOAT16 = "BF16"
_METADATA = "__metadata__"
_LONGEST_TABLE = 100_000_000  # bytes, the limit of the format


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a file in the order of its table, and its metadata.

    `stored_types` has, by name, the types that NumPy lacks; those tensors are float32 here.
    """

    arrays: dict[str, Array]
    stored_types: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Tensor:
    name: str
    code: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type its bytes are read as: bfloat16 is the upper half of a float32."""
        return np.dtype("uint16" if self.code == _BFLOAT16 else DTYPES[self.code])


def read_safetensors(file: BufferedReader, name: str, mmap: bool = False) -> TensorFile:
    """Read an open file called `name`, or with `mmap` map its values into memory.

    Raises FileFormatError where it is damaged or something else.
    """
    size = os.fstat(file.fileno()).st_size
    reader = Reader(file, name, size, mapping(file) if mmap else None)
    table, metadata = _read_table(reader)
    start = reader.position
    read = {}
    for tensor in sorted(table, key=lambda tensor: (tensor.begin, tensor.end)):
        what = f"tensor '{tensor.name}'"
        if tensor.begin != reader.position - start:
            raise reader.error(
                f"{what} is said to begin at {tensor.begin} of the values, "
                f"the one before ends at {reader.position - start}"
            )
        size = math.prod(tensor.shape) * tensor.dtype.itemsize
        if tensor.end - tensor.begin != size:
            raise reader.error(
                f"{what}, {tensor.code} of shape {tensor.shape}, takes {size} bytes, "
                f"but is given {tensor.end - tensor.begin}"
            )
        reader.need(size, what)
        read[tensor.name] = reader.values(tensor.shape, DTYPES.get(tensor.code, BFLOAT16), what)
    if reader.left:
        raise reader.error(f"{reader.left} bytes follow the last tensor")
    stored = {tensor.name: "bfloat16" for tensor in table if tensor.code == _BFLOAT16}
    return TensorFile({tensor.name: read[tensor.name] for tensor in table}, stored, metadata)


def _read_table(reader: Reader) -> tuple[list[_Tensor], dict[str, str]]:
    size = reader.integer("Q", "the length of the table of tensors")
    if size > _LONGEST_TABLE:
        raise reader.error(f"not a .safetensors file: a table of {size} bytes is too long", 0)
    place = reader.position
    text = reader.bytes(size, "the table of tensors")
    try:
        table = json.loads(text.decode(), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        problem = str(error) or "nested too deeply"
        raise reader.error(f"not a .safetensors file: its table: {problem}", place) from error
    if not isinstance(table, dict):
        raise reader.error("not a .safetensors file: its table is no JSON object", place)
    metadata = table.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise reader.error("the metadata should map texts to texts", place)
    return [_entry(name, entry, reader, place) for name, entry in table.items()], metadata


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name '{twice}' occurs twice")
    return found


def _entry(name: str, entry: Any, reader: Reader, place: int) -> _Tensor:
    def refuse(problem: str) -> FileFormatError:
        return reader.error(f"tensor '{name}' {problem}", place)

    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise refuse("should have dtype, shape and data_offsets")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if code not in (*DTYPES, _BFLOAT16):
        known = ", ".join((*DTYPES, _BFLOAT16))
        raise refuse(f"has element type {code!r}, which is not read; known are {known}")
    if not _are_counts(shape) or len(shape) > 64 or math.prod(n for n in shape if n) >= 2**60:
        raise refuse(f"has the impossible shape {shape!r}")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise refuse(f"has the impossible data_offsets {offsets!r}")
    return _Tensor(name, code, tuple(shape), *offsets)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)


def safetensors_bytes(
    arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return the file of these arrays (TypeError, ValueError for what it cannot hold)."""
    from safetensors.numpy import save

    storable = {name: _storable(name, array) for name, array in arrays.items()}
    content: bytes = save(storable, dict(metadata) if metadata else None)
    return content


def _storable(name: Any, array: Any) -> Array:
    if not isinstance(name, str) or name == _METADATA:
        raise ValueError(f"a tensor in a .safetensors file cannot be called {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the name {name!r} cannot be written as UTF-8: {error.reason}") from error
    if not isinstance(array, np.ndarray):
        raise TypeError(f"array '{name}' is a {type(array).__name__}, which .safetensors lacks")
    plain = array.dtype.newbyteorder("=")
    if plain.name not in DTYPES.values():
        raise TypeError(
            f"array '{name}' has type {array.dtype}, which .safetensors files cannot hold; "
            f"convert it with astype to one of {', '.join(DTYPES.values())}"
        )
    # A copy only where it must be; ascontiguousarray would give a single number an axis.
    return np.asarray(array, dtype=plain, order="C").view(np.ndarray)
