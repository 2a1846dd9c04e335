"""What a run writes into its folder."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.atomic import Together, atomic_write, sync_folder, together
from mxtrain.checkpoint.digest import sha256_of
from mxtrain.trainer import folder
from mxtrain.trainer.errors import UnwritableError
from mxtrain.trainer.folder import (
    CONFIG,
    LOG,
    METRICS,
    METRICS_CSV,
    METRICS_JSONL,
    PREPROCESSING,
    SYMBOL,
)
from mxtrain.trainer.metric_lines import csv_line, json_line

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.kept_metrics import KeptMetrics
    from mxtrain.trainer.report import EpochRow


class RunFolder:
    """Writes a run's files: settings and checkpoints atomically, metrics and log line by line.

    Every method raises UnwritableError, naming the file, where the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []
        self._lengths = dict.fromkeys(METRICS, 0)
        self._sums = {name: hashlib.sha256() for name in METRICS}
        self._digests: dict[str, str] = {}
        self._group: Together | None = None

    def write_text(self, name: str, text: str) -> None:
        """Write a whole file."""
        with self._replacing(name) as path:
            atomic_write(path, text.encode())

    def write_preprocessing(self, features: Any, labels: Mapping[str, Any]) -> None:
        """Write what was learned from the training rows: scaling, and classes by label input."""
        stored = {
            "features": features.to_json(),
            "labels": {name: kind.to_json() for name, kind in labels.items()},
        }
        self.write_text(PREPROCESSING, json.dumps(stored, indent=2) + "\n")

    def save_weights(self, module: Module, name: str) -> None:
        """Write a file of weights and, with the first one, ``model-symbol.json``."""
        if not (self.path / SYMBOL).exists():
            self.write_symbol(module)
        with self._replacing(name) as path:
            module.save_params(str(path))

    def write_symbol(self, module: Module) -> None:
        """Write the graph, ``model-symbol.json``."""
        with self._replacing(SYMBOL) as path:
            module.symbol.save(str(path))

    def save_state(self, name: str, metadata: dict[str, Any], values: dict[str, Any]) -> None:
        """Write the state of a run (TypeError for values that cannot be stored)."""
        with self._replacing(name) as path:
            run_state.save(path, metadata, values)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all files replaced within the ``with`` block appear at its end, in order.

        Metrics written before reach the disk before them.
        """
        with _writing(self.path), together() as self._group:
            try:
                yield
                for name in METRICS:
                    if self._lengths[name]:
                        self._group.flush_also(self.path / name)
            finally:
                self._group = None

    @contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        self._digests.pop(name, None)
        with _writing(self.path / name) as path:
            yield path

    def digest(self, name: str) -> str:
        """Return the SHA-256 of a file, as it is or is about to be."""
        if name not in self._digests:
            path = self.path / name
            self._digests[name] = sha256_of(self._group.content_of(path) if self._group else path)
        return self._digests[name]

    def remove(self, *names: str) -> None:
        """Delete files, one after the other, where they are there."""
        for name in names:
            with self._replacing(name) as path:
                path.unlink(missing_ok=True)

    def remove_for_good(self, *names: str) -> None:
        """Delete files, on the disk as well, before anything else happens."""
        self.remove(*names)
        if names:
            with _writing(self.path):
                sync_folder(self.path)

    def clear(self) -> None:
        """Remove everything of the run but its config and log."""
        with _writing(self.path):
            folder.remove_run(self.path, keep=(CONFIG, LOG))

    def clean(self) -> None:
        """Remove the parts of files that a killed process was writing."""
        with _writing(self.path):
            folder.remove_leftovers(self.path)

    def files(self) -> tuple[str, ...]:
        """Return the names of everything in the folder, but for hidden files."""
        return tuple(sorted(p.name for p in self.path.iterdir() if not p.name.startswith(".")))

    # -- line by line ------------------------------------------------------------------------

    def add_metrics(self, row: EpochRow) -> None:
        """Append an epoch to ``metrics.jsonl`` and ``metrics.csv``.

        A value that is not finite is null in the one and nan or inf in the other.
        """
        record: dict[str, Any] = {"epoch": row.epoch, "lr": row.lr}
        record |= {f"train_{name}": value for name, value in row.train.items()}
        record |= {f"eval_{name}": value for name, value in row.eval.items()}
        record |= row.extra
        record |= {"samples_per_second": row.samples_per_second, "seconds": row.seconds}
        self._append(METRICS_JSONL, json_line(record))
        heading = ""
        if not self._columns:
            self._columns = list(record)
            heading = csv_line(self._columns)
        self._append(METRICS_CSV, heading + csv_line([record.get(name) for name in self._columns]))

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Return length and SHA-256 of the metrics written so far, by file."""
        return {
            name: {"bytes": self._lengths[name], "sha256": self._sums[name].hexdigest()}
            for name in METRICS
        }

    def cut_back(self, kept: KeptMetrics) -> None:
        """Let the metrics be what `read_metrics` returned, on the disk as well."""
        for name, content in kept.contents.items():
            with _writing(self.path / name) as path:
                found = path.read_bytes() if path.exists() else b""
                if found[: len(content)] != content:
                    if name in kept.aside and path.exists():
                        atomic_write(path.with_name(kept.aside[name]), found)
                    atomic_write(path, content)
                elif len(found) > len(content):
                    with path.open("rb+", buffering=0) as file:
                        file.truncate(len(content))
            self._lengths[name] = len(content)
            self._sums[name] = hashlib.sha256(content)
        header = kept.contents[METRICS_CSV].decode().partition("\n")[0]
        self._columns = next(csv.reader([header])) if header else []

    @property
    def columns(self) -> list[str]:
        """The columns of ``metrics.csv``, none before its first row."""
        return list(self._columns)

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
        if name in self._lengths:
            self._lengths[name] += len(content)
            self._sums[name].update(content)


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    try:
        yield path
    except OSError as error:
        raise UnwritableError(path, error) from error
