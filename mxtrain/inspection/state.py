"""What the state of a run says: how far the run was, and whether the files it needs are whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.digest import sha256_of
from mxtrain.errors import FileFormatError

__all__ = ["NeededFile", "StateReport", "state_report"]

WHOLE, MISSING, CHANGED = "whole", "missing", "changed"
"""What is found of a file: the bytes that were written, nothing, or other bytes."""


@dataclass(frozen=True)
class NeededFile:
    """A file that a checkpoint needs; `found` is `WHOLE`, `MISSING` or `CHANGED`."""

    name: str
    found: str
    sha256: str


@dataclass(frozen=True)
class StateReport:
    """The metadata of a run's state.

    Attributes
    ----------
    epoch, batch : epochs done, and batches done of the next one.
    weights, best_weights : the files of its weights, and of those of the best epoch so far.
    restores_best : whether the run ends with its best weights.
    files : every other file it needs.
    versions, data : the programs it was written with, the data it was trained on.
    """

    epoch: int
    batch: int
    weights: str
    best_weights: str
    restores_best: bool
    files: tuple[NeededFile, ...]
    versions: dict[str, Any]
    data: Any

    @property
    def is_whole(self) -> bool:
        """Whether every file it needs is there, with the bytes that were written."""
        return all(file.found == WHOLE for file in self.files)


def state_report(path: Path) -> StateReport:
    """Read a state as resuming does, and check the files it needs.

    Raises FileFormatError where the state itself is damaged, or is no such file.
    """
    metadata = run_state.load(path).metadata
    try:
        return StateReport(
            epoch=int(metadata["epoch"]),
            batch=int(metadata["batch"]),
            weights=metadata["weights"] or "",
            best_weights=metadata.get("best_weights") or "",
            restores_best=bool(metadata.get("restores_best")),
            files=tuple(_checked(path.parent, *item) for item in metadata["files"].items()),
            versions=dict(metadata.get("versions") or {}),
            data=metadata.get("data"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"{path} is no state of a run of this version: {error!r}") from error


def _checked(folder: Path, name: str, sha256: str) -> NeededFile:
    return NeededFile(name, _found(folder / name, sha256), sha256)


def _found(path: Path, sha256: str) -> str:
    if not path.is_file():
        return MISSING
    return WHOLE if sha256_of(path) == sha256 else CHANGED
