"""Files of named arrays: MXNet's ``.params``, ``.safetensors`` and NumPy's ``.npz``.

A file is known by its first bytes, whatever it is called; its ending counts only where they say
nothing. A file is written as its ending says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mxtrain.checkpoint import npz, params, tensors
from mxtrain.checkpoint.atomic import replacing
from mxtrain.checkpoint.naming import FORMATS, mxnet_names, names_metadata, plain_names
from mxtrain.checkpoint.opening import open_regular, unreadable
from mxtrain.errors import FileFormatError

__all__ = [
    "FORMATS",
    "ArrayFile",
    "open_arrays",
    "read_arrays",
    "recognised",
    "write_arrays",
    "write_parameters",
]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class ArrayFile:
    """What a file of arrays holds.

    Attributes
    ----------
    format : ``.params``, ``.safetensors`` or ``.npz``, whatever the file is called.
    arrays : in file order. Those of a list, which have no names, are called ``0``, ``1``, ...
        NumPy arrays, or row-sparse and CSR arrays (`mxtrain.sparse`) of a ``.params`` file.
    named : whether the arrays have names.
    mxnet_names : the names that arrays have, or had before they were converted, in ``.params``
        (``arg:fc_weight``), by their names here and in the order they had there; None where
        nothing is known.
    stored_types : element types of the file that NumPy lacks, by name. Such arrays (``bfloat16``)
        are read as float32, which has all of their values.
    metadata : the free texts of a ``.safetensors`` file.
    """

    format: str
    arrays: dict[str, Any]
    named: bool = True
    mxnet_names: dict[str, str] | None = None
    stored_types: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def read_arrays(path: PathLike) -> dict[str, Any]:
    """Read the arrays of a file by name (a list's are called ``0``, ``1``, ...).

    Raises as `open_arrays` does.
    """
    return open_arrays(path).arrays


def open_arrays(path: PathLike, mmap: bool = False) -> ArrayFile:
    """Read a file of arrays, and what else it says about them.

    Parameters
    ----------
    path : the file.
    mmap : let the arrays of ``.params`` and ``.safetensors`` be the file mapped into memory
        instead of copies, with the risk that `params.load_params` tells of.

    Raises MXNetError for a file that cannot be opened, FileFormatError for one that is damaged,
    something else, or holds what NumPy cannot represent. Nothing is ever unpickled.
    """
    form = format_of(path)
    if form == ".params":
        return _from_params(params.load_params(path, mmap))
    with open_regular(path) as file:
        try:
            if form == ".npz":
                return ArrayFile(form, npz.read_npz(file, os.fspath(path)))
            found = tensors.read_safetensors(file, os.fspath(path), mmap)
        except OSError as error:
            raise unreadable(path, error) from error
    names, named = mxnet_names(list(found.arrays), found.metadata)
    if not named:
        numbered = {str(i): found.arrays[str(i)] for i in range(len(found.arrays))}
        return ArrayFile(form, numbered, False, None, found.stored_types, found.metadata)
    return ArrayFile(form, found.arrays, True, names, found.stored_types, found.metadata)


def _from_params(found: list[Any] | dict[str, Any]) -> ArrayFile:
    if isinstance(found, dict):
        return ArrayFile(".params", found, mxnet_names={name: name for name in found})
    return ArrayFile(".params", {str(i): array for i, array in enumerate(found)}, named=False)


def format_of(path: PathLike) -> str:
    """Return the format of a file, judged by its first bytes and then by its ending.

    Raises as `recognised` does, and FileFormatError where neither tells.
    """
    found = recognised(path) or _by_ending(path)
    if found is None:
        raise FileFormatError(f"{os.fspath(path)} is no file of arrays ({', '.join(FORMATS)})")
    return found


def recognised(path: PathLike) -> str | None:
    """Return the format that the first bytes of a file tell, None where they tell none.

    Raises MXNetError when it cannot be read, FileFormatError for the files of one array (``.npy``).
    """
    with open_regular(path) as file:
        try:
            return _by_content(file, path)
        except OSError as error:
            raise unreadable(path, error) from error


def _by_content(file: BinaryIO, path: PathLike) -> str | None:
    size = os.fstat(file.fileno()).st_size
    start = file.read(9)
    if start.startswith(b"\x93NUMPY"):
        raise FileFormatError(
            f"{os.fspath(path)} is an .npy file; save arrays by name with np.savez"
        )
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ".npz"
    number = int.from_bytes(start[:8], "little")
    if number == params.LIST_MAGIC and start[8:] != b"{":
        return ".params"
    return ".safetensors" if start[8:] == b"{" and number + 8 <= size else None


def _by_ending(path: PathLike) -> str | None:
    ending = Path(path).suffix.lower()
    return ending if ending in FORMATS else None


def write_arrays(
    path: PathLike,
    arrays: Mapping[str, Any] | list[Any],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays under their names, atomically, in the format that the ending of `path` says.

    Parameters
    ----------
    path : ends in one of `FORMATS`.
    arrays : by name; ``.params`` may also have a list.
    metadata : texts for a ``.safetensors`` file; the other formats have no room for any.

    The same arrays always give the same bytes. Raises ValueError for another ending and for a
    name, TypeError for an array or an element type, that the format cannot hold; OSError when the
    file cannot be written. An old file of that name is then still there.
    """
    ending = _by_ending(path)
    if ending is None:
        raise ValueError(f"'{os.fspath(path)}' should end in one of {', '.join(FORMATS)}")
    if ending == ".params":
        params.save_params(path, arrays)
        return
    if not isinstance(arrays, Mapping):
        raise TypeError(f"{ending} files hold arrays by name, got {type(arrays).__name__}")
    if ending == ".npz":
        npz.check(arrays)
        with replacing(path) as file:
            npz.write_npz(file, arrays)
        return
    content = tensors.safetensors_bytes(arrays, metadata)
    with replacing(path) as file:
        file.write(content)


def write_parameters(path: PathLike, arrays: Mapping[str, Any]) -> None:
    """Write arrays under MXNet's names (``arg:fc_weight``), as `write_arrays` does.

    ``.params`` keeps the names; in the other formats they lose their prefixes, except where two
    arrays would then have one name. A ``.safetensors`` file remembers them.
    """
    if _by_ending(path) == ".params":
        write_arrays(path, arrays)
        return
    plain = plain_names(arrays)
    metadata = names_metadata(list(arrays))
    write_arrays(path, {plain[name]: array for name, array in arrays.items()}, metadata)
