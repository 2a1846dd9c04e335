"""The folder of a comparison: settings, table, epochs, curves."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.checkpoint.atomic import atomic_write
from mxtrain.config import to_yaml
from mxtrain.config.spec import CompareSpec
from mxtrain.trainer.compare.curves import panels_of
from mxtrain.trainer.compare.scores import Scores
from mxtrain.trainer.compare.svg import draw
from mxtrain.trainer.folder import (
    CONFIG,
    CURVES_PNG,
    CURVES_SVG,
    EPOCHS_CSV,
    RESULTS_CSV,
    RESULTS_JSON,
    make_folder,
    remove_comparison,
)

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec

PARENT = "compare"


class CompareFolder:
    """Writes what a comparison leaves; each file is replaced as a whole.

    Without `output` the folder is a new numbered one under ``compare/``. Every method raises
    OSError where the disk does not take it.
    """

    def __init__(self, output: Path | None, overwrite: bool, png: bool) -> None:
        self.path = make_folder(output, overwrite, PARENT)
        self._png = png
        remove_comparison(self.path)

    def write_config(self, spec: RunSpec, scores: Scores) -> None:
        """Write the config with every trial spelled out: comparing it repeats the comparison."""
        trials = tuple(
            trial.optimizer
            if trial.rate is None
            else replace(
                trial.optimizer,
                settings={**trial.optimizer.settings, "learning_rate": trial.rate},
            )
            for trial in scores.trials
        )
        compare = CompareSpec(optimizers=trials, target=scores.goal.target)
        self._write(CONFIG, to_yaml(replace(spec, compare=compare), self.path))

    def write_results(self, scores: Scores) -> None:
        """Write the table and the epochs so far."""
        rows = scores.ranked()
        found = {
            "goal": asdict(scores.goal),
            "rows": [
                {
                    **asdict(row),
                    "optimizer": asdict(scores.trials[row.number].optimizer),
                    "points": [asdict(point) for point in scores.points[row.number]],
                }
                for row in rows
            ],
        }
        self._write(RESULTS_JSON, json.dumps(_finite(found), indent=1, default=str) + "\n")
        table = [asdict(row) for row in rows]
        for place in table:
            place["warnings"] = "; ".join(place["warnings"])
        self._write(RESULTS_CSV, _csv(table))
        self._write(EPOCHS_CSV, _csv(_epochs(scores)))

    def write_curves(self, scores: Scores) -> None:
        """Draw the epochs of every trial."""
        panels = panels_of(scores)
        if not panels:
            return
        self._write(CURVES_SVG, draw(panels))
        if self._png:
            from mxtrain.trainer.compare.png import draw_png

            atomic_write(self.path / CURVES_PNG, draw_png(panels))

    def files(self) -> tuple[str, ...]:
        """Return the names of everything in the folder, but for hidden files."""
        return tuple(sorted(p.name for p in self.path.iterdir() if not p.name.startswith(".")))

    def _write(self, name: str, text: str) -> None:
        atomic_write(self.path / name, text.encode())


def _epochs(scores: Scores) -> list[dict[str, Any]]:
    """Return a row per trial and epoch, in the order they were tried."""
    return [
        {
            "number": number,
            "label": trial.label,
            "rate": trial.rate,
            "epoch": point.epoch,
            **{f"train_{name}": value for name, value in point.train.items()},
            **{f"eval_{name}": value for name, value in point.eval.items()},
            "seconds": point.seconds,
        }
        for number, trial in enumerate(scores.trials)
        for point in scores.points[number]
    ]


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _finite(value: Any) -> Any:
    """Return `value` with null for numbers that JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
