"""The folder of a run: where it is made, and what is written into it."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.checkpoint.atomic import atomic_write

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.report import EpochRow

CONFIG, METRICS_JSONL, METRICS_CSV, LOG = "config.yaml", "metrics.jsonl", "metrics.csv", "log.txt"
PREPROCESSING = "preprocessing.json"
PREFIX = "model"


def make_folder(output: Path | None, overwrite: bool, base: Path | None = None) -> Path:
    """Make the folder of a run and return it.

    Without `output` it is a new numbered one under ``runs/`` in the current folder. One that holds
    a run is refused unless `overwrite`, which removes that run's files and nothing else.
    """
    if output is None:
        return _numbered((base or Path.cwd()) / "runs")
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"--output {output} is a file, not a folder")
    if (output / CONFIG).exists() or (output / METRICS_JSONL).exists():
        if not overwrite:
            raise FileExistsError(
                f"--output {output} holds a run already; choose another folder, or replace the "
                "run with --overwrite"
            )
        _remove_run(output)
    output.mkdir(parents=True, exist_ok=True)
    return output


def _numbered(runs: Path) -> Path:
    runs.mkdir(parents=True, exist_ok=True)
    taken = [int(p.name) for p in runs.iterdir() if p.name.isdigit()]
    number = max(taken, default=0) + 1
    while True:
        folder = runs / f"{number:04d}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1  # another run was started at the same moment
        else:
            return folder


def _remove_run(folder: Path) -> None:
    names = [CONFIG, METRICS_JSONL, METRICS_CSV, LOG, PREPROCESSING, f"{PREFIX}-symbol.json"]
    for path in [*(folder / name for name in names), *folder.glob(f"{PREFIX}-*.params")]:
        path.unlink(missing_ok=True)


class RunFolder:
    """Writes a run's files: settings and weights atomically, metrics and log line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._checkpoints: list[int] = []

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file."""
        atomic_write(self.path / name, text.encode())

    def write_preprocessing(self, features: Any, labels: Any) -> None:
        """Write what was learned from the training rows: scaling and class names."""
        stored = {
            "features": features.to_json(),
            "labels": None if labels is None else labels.to_json(),
        }
        self.write_text(PREPROCESSING, json.dumps(stored, indent=2) + "\n")

    def add_metrics(self, row: EpochRow) -> None:
        """Append an epoch to ``metrics.jsonl`` and ``metrics.csv``."""
        record: dict[str, Any] = {"epoch": row.epoch, "lr": row.lr}
        record |= {f"train_{name}": value for name, value in row.train.items()}
        record |= {f"eval_{name}": value for name, value in row.eval.items()}
        record |= {"samples_per_second": row.samples_per_second, "seconds": row.seconds}
        finite = {k: v if _is_finite(v) else None for k, v in record.items()}
        self._append(METRICS_JSONL, json.dumps(finite) + "\n")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._columns:
            self._columns = list(record)
            writer.writerow(self._columns)
        writer.writerow([record[name] for name in self._columns])
        self._append(METRICS_CSV, text.getvalue())

    def log(self, text: str) -> None:
        """Append a line to ``log.txt``."""
        self._append(LOG, text + "\n")

    def _append(self, name: str, text: str) -> None:
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def save_weights(self, module: Module, epoch: int) -> None:
        """Write ``model-NNNN.params`` and, with the first one, ``model-symbol.json``."""
        symbol = self.path / f"{PREFIX}-symbol.json"
        if not symbol.exists():
            module.symbol.save(str(symbol))
        module.save_params(str(self.weights(epoch)))
        if epoch not in self._checkpoints:
            self._checkpoints.append(epoch)

    def weights(self, epoch: int) -> Path:
        """Return the name of the weights after `epoch` epochs."""
        return self.path / f"{PREFIX}-{epoch:04d}.params"

    def prune(self, keep: int | None, best: int | None) -> None:
        """Delete all but the newest `keep` weights; those of the best epoch stay."""
        if keep is None:
            return
        for epoch in self._checkpoints[:-keep]:
            if epoch != best:
                self.weights(epoch).unlink(missing_ok=True)
                self._checkpoints.remove(epoch)

    def has_weights(self, epoch: int) -> bool:
        """Whether the weights after `epoch` are there."""
        return epoch in self._checkpoints

    def files(self) -> tuple[str, ...]:
        """Return the names of everything in the folder."""
        return tuple(sorted(path.name for path in self.path.iterdir()))


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
