"""Runs that are stopped and go on, and what has to be the same as if they had not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import Notes, recorded, write_config

from mxtrain.checkpoint import run_state
from mxtrain.config import load
from mxtrain.trainer.attributes import same
from mxtrain.trainer.report import RunResult
from mxtrain.trainer.resume import find, states_in
from mxtrain.trainer.run import fit, fit_on

NETWORK = """\
seed: 3
data:
  train: {path: train.csv, label: kind}
  eval: {path: test.csv}
  batch_size: 8
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: BatchNorm, name: bn1, fix_gamma: false}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: Dropout, name: drop1, p: 0.2}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}
fit:
  num_epoch: 3
  metrics: [accuracy, ce]
  checkpoint: {keep: null, every_batches: 5}
"""
"""50 rows in batches of 8 are 7 batches an epoch: checkpoints within epochs and at their ends."""


def resume(run: Path | str, *changes: str, notes: Any = None, **options: Any) -> RunResult:
    """Go on with a run, or one of its checkpoints, and its own config."""
    found = find(str(run))
    return fit_on(found, load(found.config, changes), notes or Notes(), **options)


@pytest.fixture
def no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: many small runs would do little else."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def compare_all(
    folder: Path,
    *changes: str,
    text: str = NETWORK,
    stems: tuple[str, ...] | None = None,
    **rows: int,
) -> int:
    """Train once, then go on from every checkpoint, or from some; return how many there were."""
    config = write_config(folder, text, **rows)
    whole = folder / "whole"
    result = fit(load(config, changes), Notes(), output=whole)
    assert result.status in ("done", "stopped early"), result.reason
    positions = [one for one in states_in(whole)[:-1] if stems is None or one.stem in stems]
    for position in positions:
        again = folder / position.stem
        shutil.copytree(whole, again)
        compare(whole, result, again, resume(again / position.state))
    return len(positions)


def compare(whole: Path, result: RunResult, again: Path, resumed: RunResult) -> None:
    """Check that two runs ended alike: weights and states to the last bit, all metrics."""
    for name in ("status", "epochs", "best_epoch", "best_value", "weights", "restored", "files"):
        ours, theirs = getattr(resumed, name), getattr(result, name)
        assert same(ours, theirs), f"{name}: {ours} != {theirs}"
    assert recorded(again) == recorded(whole)
    assert table(again) == table(whole)
    for path in sorted(whole.glob("model-*.params")):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    for path in sorted(whole.glob("model-*.safetensors")):
        compare_states(path, again / path.name)


def compare_states(path: Path, other: Path) -> None:
    """Check that two states hold the same, but for times."""
    ours, theirs = run_state.load(path), run_state.load(other)
    for state in (ours, theirs):
        del state.values["seconds"]
        del state.values["generators"]["numpy"], state.values["generators"]["python"]
        del state.metadata["metrics"], state.metadata["config"]
    assert ours.metadata == theirs.metadata
    assert same(ours.values, theirs.values), (
        f"{path.name}: {difference(ours.values, theirs.values)}"
    )


def difference(a: Any, b: Any, place: str = "") -> str:
    """Return the first place where two nested values differ."""
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        return next((d for k in a if (d := difference(a[k], b[k], f"{place}.{k}"))), "")
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return next((d for k, (x, y) in pairs if (d := difference(x, y, f"{place}.{k}"))), "")
    return "" if same(a, b) else f"{place}: {a!r:.100} != {b!r:.100}"


def table(folder: Path) -> list[list[str]]:
    """Return the cells of ``metrics.csv`` without the two columns of the clock."""
    return [line.split(",")[:-2] for line in (folder / "metrics.csv").read_text().splitlines()]


def last_weights(folder: Path) -> bytes:
    """Return the bytes of the newest weights."""
    return max(folder.glob("model-*.params")).read_bytes()


def states(folder: Path, name: str) -> dict[int, Any]:
    """Return the optimizer's states in a checkpoint."""
    values = run_state.load(folder / f"{name}.safetensors").values
    return dict(values["optimizer"]["states"])


def arrays(state: Any) -> list[np.ndarray[Any, Any]]:
    """Return the arrays of a nested state."""
    if isinstance(state, list | tuple):
        return [array for member in state for array in arrays(member)]
    return [] if state is None else [state]
