"""A layer between a run and its folder that fails, or ends the process, at a chosen operation."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KINDS = ("error", "full", "killed")
"""What happens: one operation fails; from then on nothing can be written; the process is gone."""


class KilledError(BaseException):
    """Stands for the end of the process: nothing after it has an effect on the disk."""


class Faults:
    """Counts the operations that change a folder, and spoils the one numbered `at`.

    Parameters
    ----------
    folder : only what happens here counts.
    kind : one of `KINDS`.
    at : the number of the operation, from 1; 0 only counts.

    Attributes
    ----------
    log : the operations, in words.
    """

    def __init__(self, folder: Path, kind: str = "error", at: int = 0) -> None:
        self.folder, self.kind, self.at = str(folder), kind, at
        self.log: list[str] = []

    def happened(self) -> bool:
        """Whether the operation has been reached."""
        return bool(self.at) and len(self.log) >= self.at

    def step(self, what: str, path: Any, partly: Callable[[], Any] = lambda: None) -> None:
        """Count an operation; one that is to fail is done `partly`, as far as a disk would."""
        if not os.fspath(path).startswith(self.folder):
            return
        self.log.append(f"{what} {Path(os.fspath(path)).name}")
        if not self.happened():
            return
        is_first = len(self.log) == self.at
        if self.kind == "killed":
            if is_first:
                partly()
            raise KilledError(self.log[self.at - 1])
        gives_room = what in ("unlink", "truncate")
        if is_first or (self.kind == "full" and not gives_room):
            partly()
            code = errno.EIO if what in ("fsync", "rename", "unlink") else errno.ENOSPC
            raise OSError(code, os.strerror(code), os.fspath(path))


class FaultyFile:
    """An open file whose writes are counted."""

    def __init__(self, file: Any, path: Any, faults: Faults) -> None:
        self._file, self._path, self._faults = file, path, faults

    def write(self, content: Any) -> Any:
        def half() -> None:
            self._file.write(bytes(content)[: len(bytes(content)) // 2])
            self._file.flush()

        self._faults.step("write", self._path, half)
        return self._file.write(content)

    def truncate(self, size: int) -> Any:
        self._faults.step("truncate", self._path)
        return self._file.truncate(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> FaultyFile:
        return self

    def __exit__(self, *details: Any) -> None:
        self._file.close()


@contextmanager
def faulty(faults: Faults) -> Iterator[None]:
    """Let files be opened, written, flushed, renamed, cut and removed under `faults`."""
    before = (io.open, os.fsync, os.replace, os.unlink)
    opened, _, replaced, unlinked = before

    def faulty_open(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if isinstance(path, int) or not set(mode) & set("wax+"):
            return opened(path, mode, *arguments, **options)
        faults.step("open", path)
        return FaultyFile(opened(path, mode, *arguments, **options), path, faults)

    def faulty_fsync(handle: int) -> None:
        faults.step("fsync", Path("/proc/self/fd", str(handle)).readlink())

    def faulty_replace(source: Any, target: Any, **options: Any) -> None:
        faults.step("rename", target)
        replaced(source, target, **options)

    def faulty_unlink(path: Any, **options: Any) -> None:
        if os.path.exists(path):  # noqa: PTH110 - Path would be slower, and is not the point
            faults.step("unlink", path)
        unlinked(path, **options)

    io.open, os.fsync = faulty_open, faulty_fsync  # type: ignore[assignment]  # stand-ins
    os.replace, os.unlink = faulty_replace, faulty_unlink  # type: ignore[assignment]  # likewise
    try:
        yield
    finally:
        io.open, os.fsync, os.replace, os.unlink = before
