"""Small runs for the tests of this folder: data, configs, and a reporter that remembers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain.config import load
from mxtrain.trainer.report import EpochRow, Progress, RunInfo, RunResult
from mxtrain.trainer.run import fit

CONFIG = """\
seed: 3
data:
  train: {path: train.csv, label: kind}
  eval: {path: test.csv}
  batch_size: 8
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9}
fit:
  num_epoch: 3
  metrics: [accuracy, ce]
"""
KINDS = ("oak", "ash", "elm")


def points(count: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return `count` points of the plane around three centres, and which centre each has."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(count) % 3
    centres = np.array([[0.0, 1.5], [1.5, -1.0], [-1.5, -1.0]])
    return centres[kinds] + rng.normal(0, 0.4, (count, 2)), kinds


def write_table(path: Path, count: int, seed: int) -> None:
    data, kinds = points(count, seed)
    rows = (f"{x:.4f},{y:.4f},{KINDS[k]}" for (x, y), k in zip(data, kinds, strict=True))
    path.write_text("\n".join(["x,y,kind", *rows]) + "\n")


def write_config(folder: Path, text: str = CONFIG, train: int = 50, test: int = 20) -> Path:
    """Write a config and two tables of points beside it; return the config's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "train.csv", train, 1)
    write_table(folder / "test.csv", test, 2)
    path = folder / "config.yaml"
    path.write_text(text)
    return path


class Notes:
    """A reporter that keeps everything it is told."""

    def __init__(self) -> None:
        self.info: RunInfo | None = None
        self.running: list[Progress] = []
        self.rows: list[EpochRow] = []
        self.texts: list[str] = []
        self.result: RunResult | None = None

    def start(self, info: RunInfo) -> None:
        self.info = info

    def progress(self, progress: Progress) -> None:
        self.running.append(progress)

    def epoch(self, row: EpochRow) -> None:
        self.rows.append(row)

    def notice(self, text: str) -> None:
        self.texts.append(text)

    def finish(self, result: RunResult) -> None:
        self.result = result


def train(
    config: Path, *changes: str, output: Path | None = None, notes: Any = None, **options: Any
) -> RunResult:
    """Train a config, changed by ``path=value`` texts, into `output` (beside it by default)."""
    folder = output if output is not None else config.parent / "run"
    return fit(load(config, changes), notes or Notes(), output=folder, **options)


def weights(folder: Path | str, name: str) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a weights file by name, without their prefixes."""
    loaded = nd.load(str(Path(folder) / name))
    assert isinstance(loaded, dict)
    return {key.partition(":")[2]: np.asarray(array) for key, array in loaded.items()}


def recorded(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of ``metrics.jsonl`` without what the clock decides."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "samples_per_second")} for row in rows
    ]
