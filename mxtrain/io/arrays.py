"""Arrays in files: NPZ, and pairs of IDX files."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain.errors import FileFormatError, unknown_name
from mxtrain.io.errors import DataError
from mxtrain.io.idx import read_idx
from mxtrain.io.regular import require_regular
from mxtrain.io.usual_names import USUAL_NAMES

__all__ = ["read_idx_pair", "read_npz"]

Array = np.ndarray[Any, Any]
PathLike = str | os.PathLike[str]

_ZIP_MAGIC = b"PK"
# What zipfile and NumPy raise when what they read makes no sense.
_DAMAGED = (EOFError, ValueError, NotImplementedError, RuntimeError, MemoryError)


def read_npz(
    path: PathLike, data_key: str | None = None, label_key: str | None = None
) -> tuple[Array, Array | None]:
    """Read two arrays of an NPZ file; the label is None when it is not asked for and not there.

    Without names the arrays are ``data`` and ``label``, or else ``X`` (or ``x``) and ``y``.
    Nothing is unpickled.

    Raises DataError for a pipe or a device, names that are not there, arrays of different length
    and values that are not finite; FileFormatError for a damaged file.
    """
    require_regular(path)
    try:
        with Path(path).open("rb") as file:
            if file.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:
                raise FileFormatError(f"{path}: not an NPZ file, which is a ZIP archive of arrays")
            file.seek(0)
            data, label = _pick(np.load(file, allow_pickle=False), path, data_key, label_key)
    except (DataError, FileFormatError):
        raise
    except (zipfile.BadZipFile, zlib.error, *_DAMAGED) as error:
        raise FileFormatError(f"{path}: the NPZ file is damaged: {error}") from error
    except OSError as error:
        raise DataError(path, f"cannot be read: {error.strerror or error}") from error
    return _checked(path, data, label)


def read_idx_pair(path: PathLike, label_path: PathLike | None) -> tuple[Array, Array | None]:
    """Read samples, and their labels from a second file if given, in IDX format.

    Raises DataError for pipes, devices and files of different length, FileFormatError for damaged
    ones.
    """
    require_regular(path)
    if label_path is not None:
        require_regular(label_path)
    label = None if label_path is None else read_idx(label_path)
    return _checked(path, read_idx(path), label)


def _pick(
    archive: Any, path: PathLike, data_key: str | None, label_key: str | None
) -> tuple[Array, Array | None]:
    usual = next((pair for pair in USUAL_NAMES if pair[0] in archive), USUAL_NAMES[0])
    if label_key is None and usual[1] in archive:
        label_key = usual[1]
    names = [name for name in (data_key or usual[0], label_key) if name is not None]
    for name in names:
        if name not in archive:
            raise DataError(path, unknown_name("array", name, archive.files), column=name)
    arrays = [archive[name] for name in names]
    return arrays[0], arrays[1] if len(arrays) > 1 else None


def _checked(path: PathLike, data: Array, label: Array | None) -> tuple[Array, Array | None]:
    if data.ndim == 0 or len(data) == 0:
        raise DataError(path, f"holds no samples, the data has shape {data.shape}")
    if data.dtype.kind not in "fiub":
        raise DataError(path, f"the data must be numbers, got type {data.dtype}")
    if label is not None and (label.ndim == 0 or len(label) != len(data)):
        raise DataError(path, f"{len(data)} samples but labels of shape {label.shape}")
    for what, array in (("data", data), ("label", label)):
        if array is not None and array.dtype.kind == "f":
            _check_finite(path, what, array)
    return data, label


def _check_finite(path: PathLike, what: str, array: Array) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(axis[0]) for axis in np.nonzero(~finite))
        raise DataError(
            path,
            "is not a finite number",
            column=what,
            row=first[0] + 1,
            value=float(array[first]),
            advice="replace the value or remove the sample",
            in_lines=False,
        )
