"""What a path leads to: a file of arrays, a graph, or the folder of a run."""

from __future__ import annotations

from pathlib import Path

from mxtrain.checkpoint.arrays import FORMATS, recognised
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.trainer.folder import CONFIG, METRICS_JSONL

__all__ = ["ARRAYS", "GRAPH", "RUN", "kind_of"]

ARRAYS, GRAPH, RUN = "arrays", "graph", "run"


def kind_of(path: Path) -> str:
    """Return `ARRAYS`, `GRAPH` or `RUN`, judged by contents and then by the ending.

    Raises MXNetError for what is not there or cannot be read, FileFormatError for anything else.
    """
    if path.is_dir():
        if (path / CONFIG).exists() or (path / METRICS_JSONL).exists():
            return RUN
        raise MXNetError(f"{path} is a folder without {CONFIG}: not that of a run")
    if not path.exists():
        raise MXNetError(f"there is no file or folder '{path}'{_near(path)}")
    if recognised(path) is not None:
        return ARRAYS
    with path.open("rb") as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        return GRAPH
    if path.suffix.lower() in FORMATS:
        return ARRAYS  # its reader says what is wrong with it
    if path.suffix.lower() == ".json":
        return GRAPH
    raise FileFormatError(
        f"{path} is no file of arrays ({', '.join(FORMATS)}), no -symbol.json and no run"
    )


def _near(path: Path) -> str:
    from mxtrain.errors import closest

    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = closest(path.name, names)
    return f"; did you mean '{path.parent / near}'?" if near else ""
