"""One process at a time trains in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mxtrain.trainer.errors import SetupError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder within the ``with`` block; SetupError where another process does.

    The lock is the kernel's, on the folder itself: it leaves no file, and ends with the process
    however that ends. Where there are no such locks (Windows, some network file systems) nothing
    is locked.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SetupError(
                    f"{folder} is in use: another process trains in it; wait until it has ended, "
                    "or stop it"
                ) from None
        yield
    finally:
        os.close(handle)
