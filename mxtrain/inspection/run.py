"""What lies in the folder of a run: what ran, how far it came, and what is left of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mxtrain.config.document import read
from mxtrain.config.problem import Problems
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.inspection.state import StateReport, state_report
from mxtrain.trainer.folder import CONFIG, LOG, METRICS_JSONL, PREFIX
from mxtrain.trainer.position import Position

__all__ = ["CheckpointReport", "RunReport", "config_of", "metrics_of", "run_report"]

UNFINISHED = "unfinished"
"""The status of a run whose log does not say how it ended: it runs, or was killed."""

_CHECKPOINT = re.compile(rf"{PREFIX}-(\d{{4,}})(?:-batch-(\d{{4,}}))?\.(params|safetensors)")
_ENDED = re.compile(r"(done|stopped early|interrupted|failed) after \d+ epochs?, ")
_BEST = re.compile(r"epoch (\d+)/.*; best so far$")
_GOES_ON = re.compile(r"(epoch \d+/|config |resum)")


@dataclass(frozen=True)
class CheckpointReport:
    """Weights on the disk, and the state that belongs to them.

    Attributes
    ----------
    epoch, batch : as in the file's name: after that epoch, or after so many batches of it (0 at
        its end).
    weights : the file, empty where there is a state alone.
    nbytes : the size of all its files.
    state : the file from which the run can go on, empty where there is none.
    problem : what is wrong with it, empty where nothing is.
    best : whether these are the weights of the best epoch.
    """

    epoch: int
    batch: int
    weights: str
    nbytes: int
    state: str = ""
    problem: str = ""
    best: bool = False


@dataclass(frozen=True)
class RunReport:
    """A run.

    Attributes
    ----------
    file : its folder.
    config : what ran, as a config says it; empty where there is none that can be read.
    status : ``done``, ``stopped early``, ``interrupted``, ``failed``, or `UNFINISHED`.
    epochs, num_epoch : epochs done, and epochs wanted (None where the config does not tell).
    best_epoch : the best one so far, None where nothing was measured.
    metrics : of every epoch, as in ``metrics.jsonl``.
    checkpoints : the oldest first.
    files : names and sizes of everything in the folder, hidden files apart.
    notes : what could not be read.
    """

    file: str
    config: dict[str, Any]
    status: str
    epochs: int
    num_epoch: int | None
    best_epoch: int | None
    metrics: tuple[dict[str, Any], ...]
    checkpoints: tuple[CheckpointReport, ...]
    files: tuple[tuple[str, int], ...]
    notes: tuple[str, ...] = ()


def run_report(folder: Path) -> RunReport:
    """Read what a run left in its folder; what cannot be read becomes a note."""
    notes: list[str] = []
    config: dict[str, Any] = {}
    metrics: list[dict[str, Any]] = []
    try:
        config = config_of(folder)
    except MXNetError as error:
        notes.append(str(error))
    try:
        metrics = metrics_of(folder)
    except MXNetError as error:
        notes.append(str(error))
    status, best = _told_by_log(folder, len(metrics))
    fit = config.get("fit")
    num_epoch = fit.get("num_epoch") if isinstance(fit, dict) else None
    return RunReport(
        file=str(folder),
        config=config,
        status=status,
        epochs=int(metrics[-1]["epoch"]) if metrics else 0,
        num_epoch=num_epoch if isinstance(num_epoch, int) else None,
        best_epoch=best,
        metrics=tuple(metrics),
        checkpoints=_checkpoints(folder, best),
        files=tuple(_files(folder)),
        notes=tuple(notes),
    )


def config_of(folder: Path) -> dict[str, Any]:
    """Return the config of a run as it is written, unchecked: its data may have moved.

    Raises MXNetError where it cannot be read.
    """
    problems = Problems()
    node = read(folder / CONFIG, str(folder / CONFIG), problems)
    if node is None or not node.is_mapping:
        reasons = "; ".join(str(problem) for problem in problems.in_order())
        raise MXNetError(reasons or f"{folder / CONFIG} does not map settings to values")
    plain: dict[str, Any] = node.plain()
    return plain


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``metrics.jsonl``; none where there is no such file yet.

    Raises FileFormatError for a line that is not of its kind.
    """
    path = folder / METRICS_JSONL
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or type(row.get("epoch")) is not int:
            raise FileFormatError(f"{path}:{number}: not the metrics of an epoch")
        rows.append(row)
    return rows


def _told_by_log(folder: Path, epochs: int) -> tuple[str, int | None]:
    """Return how the run ended, and its best epoch."""
    path = folder / LOG
    lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
    status, best = UNFINISHED, None
    for line in lines:
        ended, improved = _ENDED.match(line), _BEST.match(line)
        if ended:
            status = ended[1]
        elif _GOES_ON.match(line):
            status = UNFINISHED  # it was taken up again
        if improved and int(improved[1]) <= epochs:
            best = int(improved[1])
    return status, best


def _checkpoints(folder: Path, best: int | None) -> tuple[CheckpointReport, ...]:
    found: dict[tuple[int, int], dict[str, Path]] = {}
    for path in folder.iterdir():
        match = _CHECKPOINT.fullmatch(path.name)
        if match:
            epoch, batch, ending = match.groups(default="0")
            found.setdefault((int(epoch), int(batch)), {})[ending] = path
    in_order = sorted(found, key=lambda place: (place[0], place[1] or math.inf))
    return tuple(_checkpoint(*place, found[place], best) for place in in_order)


def _checkpoint(
    epoch: int, batch: int, files: dict[str, Path], best: int | None
) -> CheckpointReport:
    weights, state = files.get("params"), files.get("safetensors")
    problem = ""
    if state is not None:
        try:
            problem = _problem(state_report(state), state.name)
        except (MXNetError, OSError) as error:
            problem = str(error)
    return CheckpointReport(
        epoch=epoch,
        batch=batch,
        weights=weights.name if weights else "",
        nbytes=sum(path.stat().st_size for path in files.values()),
        state=state.name if state else "",
        problem=problem,
        best=batch == 0 and epoch == best,
    )


def _problem(state: StateReport, name: str) -> str:
    own = Position(state.epoch, state.batch).state
    if name != own:
        return f"it has been renamed from {own}"
    broken = [f"{file.name} is {file.found}" for file in state.files if file.found != "whole"]
    return ", ".join(broken)


def _files(folder: Path) -> Sequence[tuple[str, int]]:
    shown = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted((path.name, path.stat().st_size) for path in shown)
