"""The state of a run: everything but its weights, in one file that can tell whether it is whole.

The file is in the safetensors format. Its metadata begin with two digests (SHA-256): ``sha256``
covers all bytes up to the tensors, its own place taken as zeros, and ``data_sha256``, which stands
there as well, covers the bytes of the tensors. So the metadata of a large file can be read and
checked without its tensors. The third entry, ``mxtrain``, is JSON with the metadata and the nesting
of the values. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mxtrain.checkpoint.atomic import replacing
from mxtrain.checkpoint.opening import open_regular
from mxtrain.checkpoint.packing import Array, pack, unpack
from mxtrain.checkpoint.tensors import DTYPES, read_safetensors
from mxtrain.errors import FileFormatError

if TYPE_CHECKING:
    from io import BufferedReader

__all__ = ["RunState", "load", "load_metadata", "save"]

PathLike = str | os.PathLike[str]

_FORMAT = 1
_BEGIN = b'{"__metadata__":{"sha256":"'
_BETWEEN = b'","data_sha256":"'
_DIGEST = slice(len(_BEGIN), len(_BEGIN) + 64)
_DATA_DIGEST = slice(_DIGEST.stop + len(_BETWEEN), _DIGEST.stop + len(_BETWEEN) + 64)
_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
_LARGEST_HEADER = 100_000_000


class RunState(NamedTuple):
    """What a file holds: `metadata` as JSON has them, and nested `values` with arrays."""

    metadata: dict[str, Any]
    values: dict[Any, Any]


def save(path: PathLike, metadata: Mapping[str, Any], values: Mapping[Any, Any]) -> None:
    """Write a state, atomically; the same contents give the same bytes.

    Raises TypeError for values or metadata that cannot be stored (`packing.py`), OSError for a
    file that cannot be written; then an old file of that name is still there.
    """
    arrays: dict[str, Array] = {}
    packed = pack(dict(values), "", arrays)
    content = {"format": _FORMAT, "metadata": dict(metadata), "values": packed}
    ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    header = _header(json.dumps(content, allow_nan=False), ordered)
    with replacing(path) as file:
        file.write(header)
        for array in ordered.values():
            file.write(_bytes(array))


def load(path: PathLike) -> RunState:
    """Read a state; its arrays can be written to.

    Raises FileFormatError for a file that is not one of `save`, whole and unchanged; MXNetError
    where it cannot be read.
    """
    with open_regular(path) as file:
        header = _read_header(file, path)
        if hashlib.file_digest(file, "sha256").hexdigest().encode() != header[_DATA_DIGEST]:
            raise _damaged(path, "its tensors are not those that were written (SHA-256)")
        file.seek(0)
        arrays = read_safetensors(file, os.fspath(path)).arrays
    try:
        content = _content(header)
        metadata, values = content["metadata"], unpack(content["values"], arrays)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(metadata, dict) or not isinstance(values, dict):
        raise _damaged(path, "metadata and values are mappings")
    return RunState(metadata, values)


def load_metadata(path: PathLike) -> dict[str, Any]:
    """Read the metadata of a state alone; they are checked, the tensors are not looked at.

    Raises as `load` does.
    """
    with open_regular(path) as file:
        header = _read_header(file, path)
    try:
        metadata = _content(header)["metadata"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(metadata, dict):
        raise _damaged(path, "metadata are a mapping")
    return metadata


def _header(content: str, arrays: Mapping[str, Array]) -> bytes:
    """Return everything up to the tensors: the length, digests, content and table."""
    table, end, data = {}, 0, hashlib.sha256()
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype]
        table[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [begin, end]}
        data.update(_bytes(array))
    entries = "".join(f",{json.dumps(name)}:{json.dumps(entry)}" for name, entry in table.items())
    text = b'%b%b%b%b","mxtrain":%b}%b}' % (
        _BEGIN,
        b"0" * 64,
        _BETWEEN,
        data.hexdigest().encode(),
        json.dumps(content).encode(),
        entries.encode(),
    )
    text += b" " * (-len(text) % 8)  # tensors then begin at a multiple of 8, as readers like it
    return _length(text) + text[: _DIGEST.start] + _digest(text) + text[_DIGEST.stop :]


def _length(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little")


def _digest(text: bytes) -> bytes:
    """Return the digest of a header, whatever stands in its place."""
    whole = hashlib.sha256(_length(text) + text[: _DIGEST.start] + b"0" * 64)
    whole.update(text[_DIGEST.stop :])
    return whole.hexdigest().encode()


def _bytes(array: Array) -> Any:
    return array.reshape(-1).view(np.uint8).data


def _read_header(file: BufferedReader, path: PathLike) -> bytes:
    """Return the checked header, without its length; the file is then at the tensors."""
    left = os.fstat(file.fileno()).st_size - 8
    size = int.from_bytes(file.read(8), "little")
    if not _DATA_DIGEST.stop <= size <= min(left, _LARGEST_HEADER):
        raise _damaged(path, f"a header of {size} bytes in a file of {left + 8}")
    text = file.read(size)
    if len(text) != size:
        raise _damaged(path, "it ends early")
    if text[: _DIGEST.start] != _BEGIN or text[_DIGEST.stop : _DATA_DIGEST.start] != _BETWEEN:
        raise FileFormatError(
            f"{os.fspath(path)} is no state of a run: it does not begin as mxtrain writes them"
        )
    if _digest(text) != text[_DIGEST]:
        raise _damaged(path, "its header is not the one that was written (SHA-256)")
    return text


def _content(header: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.loads(header)["__metadata__"]["mxtrain"])
    if content["format"] != _FORMAT:
        raise ValueError(f"format {content['format']!r:.40} is unknown, expected {_FORMAT}")
    return content


def _damaged(path: PathLike, problem: str) -> FileFormatError:
    return FileFormatError(f"{os.fspath(path)} is damaged: {problem}")
