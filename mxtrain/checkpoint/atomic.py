"""Writing a file so that a reader, or a crash, finds the old one or the new one, never a part.

The bytes go to a temporary file in the same folder, which is flushed to the disk and then renamed
over the target. Several files that belong together are renamed in the order they were written,
once all of them are on the disk (`together`): whoever finds the last finds the others.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "Together",
    "atomic_write",
    "leftovers",
    "naming",
    "replacing",
    "sync_folder",
    "together",
]

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
    what it points to is replaced. Within `together` the file waits for the others. An OSError of
    the block that names no file, such as that of a full disk, names `path`.
    """
    group = _group.get()
    target = Path(os.path.realpath(path))
    file, temporary = _open_beside(target, path)
    try:
        with naming(path), file:
            yield file
            file.flush()
            if group is not None:
                group.wait_with(file, temporary, target)
                return
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


@contextmanager
def naming(name: PathLike) -> Iterator[None]:
    """Let an OSError of the ``with`` block that names no file name this one.

    The system tells why it could not write to an open file, but not to which.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(name)
        raise


def leftovers(folder: Path, names: str) -> list[Path]:
    """Return temporary files that a killed process left, for targets of the pattern `names`."""
    return sorted(folder.glob(f".{names}.*.tmp"))


class Together:
    """Files that are written but have not taken their places yet."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Path]] = []
        self._handles: list[int] = []

    def wait_with(self, file: BinaryIO, temporary: Path, target: Path) -> None:
        """Let a finished file wait; what is still to be flushed stays open."""
        self._handles.append(os.dup(file.fileno()))
        self._waiting.append((temporary, target))

    def flush_also(self, path: PathLike) -> None:
        """Flush a file that is in its place already to the disk before any file is renamed."""
        self._handles.append(os.open(path, os.O_RDWR))

    def content_of(self, path: PathLike) -> Path:
        """Return where the bytes of `path` lie now: a waiting file's, or its own."""
        target = Path(os.path.realpath(path))
        places = [temporary for temporary, waiting in self._waiting if waiting == target]
        return places[-1] if places else target

    def take_places(self) -> None:
        """Flush everything, rename every file in order, and flush the folders."""
        for handle in self._handles:
            os.fsync(handle)
        folders = dict.fromkeys(target.parent for _, target in self._waiting)
        while self._waiting:
            temporary, target = self._waiting[0]
            temporary.replace(target)
            del self._waiting[0]
        for folder in folders:
            sync_folder(folder)

    def close(self) -> None:
        """Close what is open and remove the files that have not taken their places."""
        for handle in self._handles:
            os.close(handle)
        for temporary, _ in self._waiting:
            with suppress(FileNotFoundError):
                temporary.unlink()


_group: ContextVar[Together | None] = ContextVar("group", default=None)


@contextmanager
def together() -> Iterator[Together]:
    """Let all files that are replaced within the ``with`` block wait for its end.

    After an error none of them takes its place; where the renaming itself fails, those before it
    have.
    """
    group = Together()
    token = _group.set(group)
    try:
        try:
            yield group
        finally:
            _group.reset(token)
        group.take_places()
    finally:
        group.close()


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


def sync_folder(folder: Path) -> None:
    """Make names that came or went last; Windows has no such call."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
