"""JSON lines: what a run reports, one object per line, for programs.

Every object has an ``event``: ``start``, ``progress``, ``epoch``, ``notice`` or ``finish``. An
epoch has the keys of the run's ``metrics.jsonl``: ``epoch``, ``lr``, ``train_<metric>``,
``eval_<metric>``, ``samples_per_second``, ``seconds`` and, where losses are scaled, ``loss_scale``
and ``skipped_updates``. JSON knows no NaN and no infinity; they are
the strings ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, which ``float()`` in Python and
``Number()`` in JavaScript read back.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, TextIO

from mxtrain.trainer.report import EpochRow, Progress, RunInfo, RunResult


def jsonable(value: Any) -> Any:
    """Return `value` with tuples as lists and numbers that JSON lacks as strings.

    >>> jsonable({"loss": float("nan"), "shape": (2, 3)})
    {'loss': 'NaN', 'shape': [2, 3]}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value


def dumps(value: Any, indent: int | None = None) -> str:
    """Return `value` as valid JSON, whatever numbers it holds."""
    return json.dumps(jsonable(value), indent=indent, ensure_ascii=False, allow_nan=False)


class JsonReporter:
    """Writes a run as JSON lines, each flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def start(self, info: RunInfo) -> None:
        """Write everything known before the first batch."""
        self._write("start", asdict(info))

    def progress(self, progress: Progress) -> None:
        """Write where the running epoch stands."""
        values = asdict(progress)
        self._write("progress", values | _prefixed("train", values.pop("train")))

    def epoch(self, row: EpochRow) -> None:
        """Write a finished epoch."""
        values = asdict(row)
        train, evaluated = values.pop("train"), values.pop("eval")
        values |= values.pop("extra")
        self._write("epoch", values | _prefixed("train", train) | _prefixed("eval", evaluated))

    def notice(self, text: str) -> None:
        """Write `text` under the key ``text``."""
        self._write("notice", {"text": text})

    def finish(self, result: RunResult) -> None:
        """Write how the run ended."""
        self._write("finish", asdict(result))

    def close(self) -> None:
        """Do nothing: every line is out already."""

    def _write(self, event: str, values: dict[str, Any]) -> None:
        line = json.dumps(jsonable({"event": event} | values), allow_nan=False)
        self._stream.write(line + "\n")
        self._stream.flush()


def _prefixed(group: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{group}_{name}": value for name, value in values.items()}
