"""The folder of a run: where it is made, and what is written into it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.checkpoint.atomic import atomic_write
from mxtrain.trainer.errors import UnwritableError

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.report import EpochRow

CONFIG, METRICS_JSONL, METRICS_CSV, LOG = "config.yaml", "metrics.jsonl", "metrics.csv", "log.txt"
PREPROCESSING = "preprocessing.json"
PREFIX = "model"
SYMBOL = f"{PREFIX}-symbol.json"
RUNS = "runs"


def check_output(output: Path | None, overwrite: bool) -> None:
    """Refuse (FileExistsError) an `output` that is a file, or holds a run unless `overwrite`."""
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"--output {output} is a file, not a folder")
    if _holds_run(output) and not overwrite:
        raise FileExistsError(
            f"--output {output} holds a run already; choose another folder, or replace the run "
            "with --overwrite"
        )


def make_folder(output: Path | None, overwrite: bool, parent: str = RUNS) -> Path:
    """Make the folder of a run and return it.

    Without `output` it is a new numbered one under `parent` in the current folder. One that holds
    a run is refused unless `overwrite`, which removes that run's files and nothing else.
    """
    if output is None:
        return _numbered(Path(parent))
    check_output(output, overwrite)
    if _holds_run(output):
        _remove_run(output)
    output.mkdir(parents=True, exist_ok=True)
    return output


def _holds_run(folder: Path) -> bool:
    return (folder / CONFIG).exists() or (folder / METRICS_JSONL).exists()


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
    names = [CONFIG, METRICS_JSONL, METRICS_CSV, LOG, PREPROCESSING, SYMBOL]
    for path in [*(folder / name for name in names), *folder.glob(f"{PREFIX}-*.params")]:
        path.unlink(missing_ok=True)


class RunFolder:
    """Writes a run's files: settings and weights atomically, metrics and log line by line.

    Every method raises UnwritableError, naming the file, where the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file."""
        with _writing(self.path / name) as path:
            atomic_write(path, text.encode())

    def write_preprocessing(self, features: Any, labels: dict[str, Any]) -> None:
        """Write what was learned from the training rows: scaling, and classes by label input."""
        stored = {
            "features": features.to_json(),
            "labels": {name: kind.to_json() for name, kind in labels.items()},
        }
        self.write_text(PREPROCESSING, json.dumps(stored, indent=2) + "\n")

    def add_metrics(self, row: EpochRow) -> None:
        """Append an epoch to ``metrics.jsonl`` and ``metrics.csv``.

        A value that is not finite is null in the one and nan or inf in the other.
        """
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
        """Append lines to ``log.txt``."""
        self._append(LOG, text + "\n")

    def _append(self, name: str, text: str) -> None:
        content = text.encode()
        with _writing(self.path / name) as path, path.open("ab", buffering=0) as file:
            before = file.tell()
            try:
                written = file.write(content)
                if written != len(content):
                    file.write(content[written:])  # says why it was not all of it
            except OSError:
                with suppress(OSError):
                    file.truncate(before)  # half a line is worse than none
                raise

    def save_weights(self, module: Module, name: str) -> None:
        """Write a file of weights and, with the first one, ``model-symbol.json``."""
        with _writing(self.path / SYMBOL) as path:
            if not path.exists():
                module.symbol.save(str(path))
        with _writing(self.path / name) as path:
            module.save_params(str(path))

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        with _writing(self.path / name) as path:
            path.unlink(missing_ok=True)

    def files(self) -> tuple[str, ...]:
        """Return the names of everything in the folder, but for hidden files."""
        return tuple(sorted(p.name for p in self.path.iterdir() if not p.name.startswith(".")))


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        yield path
    except OSError as error:
        raise UnwritableError(path, error) from error


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
