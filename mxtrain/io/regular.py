"""Data are read from regular files alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mxtrain.io.errors import DataError

__all__ = ["require_regular"]


def require_regular(path: str | os.PathLike[str]) -> None:
    """Refuse a pipe or a device (DataError): its bytes come once, data are read more than once.

    Where nothing lies, or a folder, whoever reads it says so.
    """
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            path,
            "is a pipe or a device, which can be read only once",
            advice="write the rows to a regular file and name that",
        )
