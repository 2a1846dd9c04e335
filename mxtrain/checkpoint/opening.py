"""Opening files whose names come from users."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader

from mxtrain.errors import MXNetError

__all__ = ["open_regular", "unreadable"]

PathLike = str | os.PathLike[str]


def open_regular(path: PathLike) -> BufferedReader:
    """Open a file for reading in binary mode; anything but a regular file is refused.

    Raises MXNetError saying why it cannot be read: there is none, a folder, a pipe, a device.
    """
    try:
        file = open(path, "rb", opener=_opener)  # noqa: SIM115  (the caller closes it)
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise unreadable(path, OSError(errno.EINVAL, "it is a pipe or a device, not a file"))
    return file


def _opener(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a named pipe waits until somebody writes into it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def unreadable(path: PathLike, error: OSError) -> MXNetError:
    """Make the error for a file that could not be read."""
    return MXNetError(f"cannot read {os.fspath(path)}: {error.strerror or error}")
