"""NumPy's ``.npz`` files: a zip archive with one ``.npy`` member per array.

Every size a member claims is checked against the bytes there are before memory is taken for it,
and Python objects are refused: nothing is unpickled.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import IO, Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from mxtrain.errors import FileFormatError

__all__ = ["check", "read_npz", "write_npz"]

Array = np.ndarray[Any, Any]

MOST_INFLATED = 2**30
"""Bytes that the arrays of any file may take; those of a larger one, `MOST_RATIO` times it."""
MOST_RATIO = 100

_DEFLATE_RATIO = 1032  # no deflated data becomes longer by more
_LONGEST_HEADER = 10_000
_BLOCK = 2**20
_MAGIC = b"\x93NUMPY"
_DTYPE = re.compile(
    r"[<>|=]?(b1|\?|[iu][1248]|f(2|4|8|12|16)|c(8|16|24|32)|S[1-9]\d{0,6}|U[1-9]\d{0,6})"
)
_PAIR = re.compile(
    r"""\s*(['"])(?P<key>\w+)\1\s*:\s*"""
    r"""(?:(?P<text>'[^']*'|"[^"]*")|(?P<word>True|False)|\((?P<axes>[\d\sL,]*)\)"""
    r"""|(?P<fields>\[.*\]))\s*(?:,\s*|$)""",
    re.DOTALL | re.ASCII,
)
_DAMAGE = (
    BadZipFile,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class _Header:
    dtype: np.dtype[Any]
    fortran_order: bool
    shape: tuple[int, ...]
    nbytes: int


def read_npz(file: BufferedReader, name: str) -> dict[str, Array]:
    """Read the arrays of an open file called `name`, in the order of the archive.

    Raises FileFormatError where the file is damaged, claims more than its bytes can hold, or holds
    something else than arrays of numbers and text.
    """
    try:
        with ZipFile(file) as archive:
            members = archive.infolist()
            _check_sizes(members, os.fstat(file.fileno()).st_size)
            arrays: dict[str, Array] = {}
            for member in members:
                array_name = _name_of(member)
                if array_name in arrays:
                    raise ValueError(f"the name '{array_name}' occurs twice")
                arrays[array_name] = _read_member(archive, member, array_name)
            return arrays
    except FileFormatError as error:
        raise FileFormatError(f"{name}: {error}") from error
    except MemoryError as error:
        raise FileFormatError(f"{name} claims arrays larger than the memory there is") from error
    except _DAMAGE as error:
        raise FileFormatError(f"{name} is no .npz file of plain arrays: {error}") from error


def _check_sizes(members: list[ZipInfo], size: int) -> None:
    packed = sum(member.compress_size for member in members)
    if packed > size:
        raise ValueError(f"its members take {packed} bytes, the file has {size}; it is damaged")
    unpacked = sum(member.file_size for member in members)
    limit = max(MOST_INFLATED, MOST_RATIO * size)
    if unpacked > limit:
        raise ValueError(
            f"a file of {size} bytes claims arrays of {unpacked} bytes, more than {limit}; if they "
            "are really so empty, save them uncompressed with np.savez"
        )
    for member in members:
        if not 0 <= member.header_offset < size:
            raise ValueError(f"member '{member.filename}' lies outside of the file")
        if member.file_size > _DEFLATE_RATIO * member.compress_size:
            raise ValueError(
                f"member '{member.filename}' cannot become {member.file_size} bytes from "
                f"{member.compress_size}"
            )


def _name_of(member: ZipInfo) -> str:
    if not member.filename.endswith(".npy"):
        raise ValueError(f"member '{member.filename}' is no .npy array")
    if member.flag_bits & 0x1:
        raise ValueError(f"member '{member.filename}' is encrypted")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"member '{member.filename}' is packed in a way NumPy does not use")
    return member.filename.removesuffix(".npy")


def _read_member(archive: ZipFile, member: ZipInfo, name: str) -> Array:
    try:
        with archive.open(member) as stream:
            header = _read_header(stream, member.file_size)
            shape = header.shape[::-1] if header.fortran_order else header.shape
            array = np.empty(shape, header.dtype)
            _fill(array, stream)
            if stream.read(1):
                raise ValueError("bytes follow the values")
    except _DAMAGE as error:
        raise FileFormatError(f"array '{name}': {error}") from error
    if header.fortran_order:
        array = np.array(array.T, order="C")
    return np.asarray(array, dtype=header.dtype.newbyteorder("="))


def _fill(array: Array, stream: IO[bytes]) -> None:
    if not array.size:
        return
    target = array.reshape(-1).view(np.uint8)
    position = 0
    while position < target.size:
        block = stream.read(min(_BLOCK, target.size - position))
        if not block:
            raise EOFError(f"ends after {position} of {target.size} bytes of values")
        target[position : position + len(block)] = np.frombuffer(block, np.uint8)
        position += len(block)


def _read_header(stream: IO[bytes], size: int) -> _Header:
    start = stream.read(8)
    if start[:6] != _MAGIC or len(start) < 8:
        raise ValueError("does not begin as an .npy array does")
    version = start[6]
    if version not in (1, 2, 3):
        raise ValueError(f"has version {version} of the .npy format, known are 1 to 3")
    code = "<H" if version == 1 else "<I"
    width = struct.calcsize(code)
    (length,) = struct.unpack(code, stream.read(width))
    if length > _LONGEST_HEADER:
        raise ValueError(f"its header of {length} bytes is longer than {_LONGEST_HEADER}")
    text = stream.read(length).decode("utf-8" if version == 3 else "latin1")
    header = _parse_header(text)
    if 8 + width + length + header.nbytes != size:
        raise ValueError(
            f"{header.dtype} of shape {header.shape} takes {header.nbytes} bytes, "
            f"{size - 8 - width - length} are stored"
        )
    return header


def _parse_header(text: str) -> _Header:
    found = dict(_pairs(text))
    if found.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("its header should have descr, fortran_order and shape")
    descr, fortran_order, shape = found["descr"], found["fortran_order"], found["shape"]
    if isinstance(descr, str) and descr.lstrip("<>|=") == "O":
        raise ValueError("holds Python objects, which are never unpickled; save plain arrays")
    if not isinstance(descr, str) or not _DTYPE.fullmatch(descr):
        raise ValueError(f"has element type {descr!r:.60}, only numbers and text are read")
    if not isinstance(fortran_order, bool) or not _is_shape(shape):
        raise ValueError(f"has the impossible shape {shape!r:.60}")
    try:
        dtype = np.dtype(descr)
    except TypeError:
        raise ValueError(f"has element type {descr!r}, which this machine lacks") from None
    return _Header(dtype, fortran_order, shape, math.prod(shape) * dtype.itemsize)


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    """Take the Python dict of a header apart, without Python."""
    inside = re.fullmatch(r"\s*\{(.*)\}\s*", text, re.DOTALL)
    position, end = inside.span(1) if inside else (0, 1)
    while position < end:
        pair = _PAIR.match(text, position, end)
        if pair is None:
            raise ValueError("its header is not that of an .npy array")
        position = pair.end()
        if pair["text"]:
            yield pair["key"], pair["text"][1:-1]
        elif pair["word"]:
            yield pair["key"], pair["word"] == "True"
        elif pair["fields"]:
            yield pair["key"], [pair["fields"]]
        else:
            # Python 2 wrote the lengths of axes as 3L.
            axes = (axis.strip().removesuffix("L") for axis in pair["axes"].split(","))
            yield pair["key"], tuple(int(axis) for axis in axes if axis)


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= 64
        and math.prod(axis for axis in shape if axis) < 2**50
    )


def check(arrays: Mapping[str, Any]) -> None:
    """Refuse arrays (TypeError) and names (ValueError) that the format cannot hold."""
    for name, array in arrays.items():
        if not isinstance(name, str):
            raise TypeError(f"names of arrays are text, got {name!r}")
        if "\0" in name or len(name.encode(errors="replace")) > 60_000 or not _is_text(name):
            raise ValueError(f"the name {name[:60]!r} cannot be that of a member of an .npz file")
        if not isinstance(array, np.ndarray):
            raise TypeError(f"array '{name}' is a {type(array).__name__}, which .npz files lack")
        if not _DTYPE.fullmatch(array.dtype.str):
            raise TypeError(f"array '{name}' has type {array.dtype}, which is not written to .npz")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_npz(file: BinaryIO, arrays: Mapping[str, Any]) -> None:
    """Write arrays that `check` lets pass; the same ones always give the same bytes."""
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, array in arrays.items():
            # The time of writing, which np.savez puts here, would change the bytes.
            member = ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            plain = np.asarray(array, order="C").view(np.ndarray)
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, plain, allow_pickle=False)
