"""Writing a file so that a reader, or a crash, finds the old one or the new one, never a part.

The bytes go to a temporary file in the same folder, which is flushed to the disk and then renamed
over the target.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write", "replacing"]

PathLike = str | os.PathLike[str]


def atomic_write(path: PathLike, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Write `content`, bytes or a function that writes to an open file, as the file `path`.

    Raises OSError, naming `path`; then, as after any other failure, the old file is still there.
    """
    with replacing(path) as file:
        if callable(content):
            content(file)
        else:
            file.write(content)


@contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the ``with`` block ends without error.

    An existing file keeps its permissions, a new one gets the usual ones. If `path` is a link,
    what it points to is replaced.
    """
    target = Path(os.path.realpath(path))
    file, temporary = _open_beside(target, path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _open_beside(target: Path, shown: PathLike) -> tuple[BinaryIO, Path]:
    """Create a temporary file beside `target`, with the permissions that the target will have."""
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        # Unlike tempfile, open() leaves the permissions of a new file to the user's umask.
        file = temporary.open("xb")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, os.fspath(shown)) from error
    with suppress(FileNotFoundError):
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    return file, temporary


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself last; Windows has no such call."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
