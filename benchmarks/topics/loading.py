"""Reading data files until they can be trained on, beside a library alone and the bytes alone."""

from __future__ import annotations

import gzip
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from options import Bench, Table, Topic
from shown import millis, number
from sides.base import Timed
from timing import Contender, Spread, in_turns

CONFIG = """\
seed: 1
data: {train: TRAIN, batch_size: 16}
symbol:
  - {op: FullyConnected, num_hidden: 10}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.1}
fit: {num_epoch: 1}
"""
KINDS = {"softmax_label": "class"}


def _write_csv(path: Path, data: Any, label: Any) -> None:
    header = ",".join([*(f"x{n}" for n in range(data.shape[1])), "label"])
    table = np.column_stack([data, label])
    np.savetxt(path, table, "%.6g", ",", header=header, comments="")


def _write_npz(path: Path, data: Any, label: Any) -> None:
    np.savez(path, data=data, label=label)


def _write_idx(path: Path, data: Any, label: Any) -> None:
    """Write images beside ``labels-`` and the same name; compressed where the name ends in gz."""
    for file, array in ((path, data), (path.with_name(f"labels-{path.name}"), label)):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        content = header + array.astype(np.uint8).tobytes()
        file.write_bytes(gzip.compress(content, 6) if path.suffix == ".gz" else content)


def _images(rows: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(6)
    data = generator.integers(0, 256, (rows, 28, 28), np.uint8)
    data[:, ::2] = 0  # so that there is something to compress
    return data, generator.integers(0, 10, rows)


def _numbers(rows: int, columns: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(7)
    return generator.standard_normal((rows, columns), np.float32), generator.integers(0, 10, rows)


def _polars(path: Path) -> Any:
    import polars

    return polars.read_csv(path).to_numpy()


def _numpy(path: Path) -> Any:
    with np.load(path) as found:
        return [found[name] for name in found.files]


def _unpacked(path: Path) -> Any:
    content = path.read_bytes()
    return np.frombuffer(gzip.decompress(content) if path.suffix == ".gz" else content, np.uint8)


# For each file: rows, columns, how it is written, and a library that reads it.
FILES: dict[str, tuple[int, int, Callable[..., None], Callable[[Path], Any]]] = {
    "narrow.csv": (200_000, 20, _write_csv, _polars),
    "wide.csv": (5_000, 784, _write_csv, _polars),
    "floats.npz": (60_000, 784, _write_npz, _numpy),
    "images.npz": (60_000, 0, _write_npz, _numpy),
    "images.idx": (60_000, 0, _write_idx, _unpacked),
    "images.idx.gz": (60_000, 0, _write_idx, _unpacked),
}


class Load(Timed):
    """Reads a file again and again, from the system's cache.

    Parameters
    ----------
    path : the file. way : ``mxtrain`` (until it can be trained on), ``library`` or ``bytes``.
    """

    def __init__(self, path: Path, way: str) -> None:
        library = FILES[path.name][-1]
        ways = {"library": lambda: library(path), "bytes": path.read_bytes}
        self.load = self._own(path) if way == "mxtrain" else ways[way]

    def _own(self, path: Path) -> Callable[[], Any]:
        from mxtrain.config import load
        from mxtrain.trainer import data

        labels = path.with_name(f"labels-{path.name}")
        train = f"{{path: {path}, label: label}}"
        if labels.exists():
            train = f"{{images: {path}, labels: {labels}}}"
        config = path.with_name(f"{path.name}.yaml")
        config.write_text(CONFIG.replace("TRAIN", train), encoding="utf-8")
        spec = load(config)
        return lambda: data.load(spec.data, KINDS, spec.seed)

    def steps(self, count: int) -> None:
        """Read so many times."""
        for _ in range(count):
            self.load()


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure every file each way, in turns."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (rows, columns, write, _) in FILES.items():
            bench.progress(f"  {name}")
            path = Path(folder, name)
            rows = rows // 20 if bench.options.quick else rows
            write(path, *(_numbers(rows, columns) if columns else _images(rows)))
            contenders = []
            for way in ("mxtrain", "library", "bytes"):
                worker = bench.workers.get("topics.loading:Load", way)
                worker.make(path, way)
                contenders.append(Contender(way, worker))
            in_turns(contenders, bench.options.rounds, bench.options.block)
            seconds = {contender.key: contender.seconds for contender in contenders}
            found.append({"file": name, "bytes": path.stat().st_size, "seconds": seconds})
            path.unlink()
    bench.workers.drop_all()
    return found


def tables(data: list[dict[str, Any]]) -> list[Table]:
    """Return MB/s of each way."""
    rows = []
    for case in data:
        speeds = [
            number(Spread.of(case["bytes"] / value / 1e6 for value in case["seconds"][way]).median)
            for way in ("mxtrain", "library", "bytes")
        ]
        size, took = f"{case['bytes'] / 1e6:.1f}", millis(case["seconds"]["mxtrain"])
        rows.append([case["file"], size, took, *speeds])
    header = ["file", "MB", "mxtrain, ms (quartiles)", "mxtrain, MB/s", "library alone, MB/s",
              "bytes alone, MB/s"]  # fmt: skip
    note = (
        "Until the rows can be trained on: read, checked, converted, classes found. "
        "The library is polars for CSV, NumPy for NPZ, the bytes unpacked for IDX. Files are in "
        "the system's cache."
    )
    return [Table("Loading", header, rows, note)]


TOPIC = Topic("loading", "Loading", measure, tables)
