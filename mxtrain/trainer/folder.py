"""The folder of a run: where it is made, what it is made of, and how it is removed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mxtrain.checkpoint.atomic import leftovers
from mxtrain.trainer.lock import locked
from mxtrain.trainer.position import PREFIX as PREFIX
from mxtrain.trainer.position import Position

CONFIG, METRICS_JSONL, METRICS_CSV, LOG = "config.yaml", "metrics.jsonl", "metrics.csv", "log.txt"
PREPROCESSING = "preprocessing.json"
SYMBOL = f"{PREFIX}-symbol.json"
RUNS = "runs"

METRICS = (METRICS_JSONL, METRICS_CSV)
EDITED = ".edited"
"""What the name of metrics goes on with that somebody edited, beside those in their place."""

_SINGLE = (CONFIG, *METRICS, LOG, PREPROCESSING, SYMBOL)

RESULTS_JSON, RESULTS_CSV, EPOCHS_CSV = "results.json", "results.csv", "epochs.csv"
CURVES_SVG, CURVES_PNG = "curves.svg", "curves.png"
COMPARISON = (RESULTS_JSON, RESULTS_CSV, EPOCHS_CSV, CURVES_SVG, CURVES_PNG)
"""What `mxtrain compare` leaves in its folder, beside its config."""


def check_output(output: Path | None, overwrite: bool) -> None:
    """Refuse (FileExistsError) an `output` that is a file, or holds results unless `overwrite`."""
    if output is None:
        return
    if output.exists() and not output.is_dir():
        raise FileExistsError(f"--output {output} is a file, not a folder")
    if is_config_alone(output):
        raise FileExistsError(
            f"--output {output} has a {CONFIG} of its own, which a run would replace; choose "
            "another folder"
        )
    if holds_comparison(output) and not overwrite:
        raise FileExistsError(
            f"--output {output} holds a comparison already; choose another folder, or replace it "
            "with --overwrite"
        )
    if holds_run(output) and not overwrite:
        raise FileExistsError(
            f"--output {output} holds a run already; choose another folder, replace the run with "
            f"--overwrite, or continue it: mxtrain fit --resume {output}"
        )


def make_folder(output: Path | None, overwrite: bool, parent: str = RUNS) -> Path:
    """Make the folder of a run and return it.

    Without `output` it is a new numbered one under `parent` in the current folder. One that holds
    a run or a comparison is refused unless `overwrite`, which removes its files and nothing else.
    """
    if output is None:
        return _numbered(Path(parent))
    check_output(output, overwrite)
    if holds_comparison(output):
        remove_comparison(output)
    if holds_run(output):
        remove_run(output)
    output.mkdir(parents=True, exist_ok=True)
    return output


@contextmanager
def claimed(output: Path | None, overwrite: bool) -> Iterator[Path]:
    """Make the folder of a run as `make_folder` does, and lock it within the ``with`` block.

    Raises SetupError where another process trains in it; nothing is removed then.
    """
    if output is None:
        output = _numbered(Path(RUNS))
    output.mkdir(parents=True, exist_ok=True)
    with locked(output):
        remove_leftovers(output)
        yield make_folder(output, overwrite)


def holds_run(folder: Path) -> bool:
    """Whether there is a run in the folder."""
    return (folder / CONFIG).exists() or (folder / METRICS_JSONL).exists()


def holds_comparison(folder: Path) -> bool:
    """Whether a folder holds results of `mxtrain compare`, and no run beside them."""
    return (folder / RESULTS_JSON).exists() and _is_bare(folder)


def _is_bare(folder: Path) -> bool:
    """Whether there is a config, and of what else a run writes nothing."""
    others = (name for name in _SINGLE if name != CONFIG)
    return (folder / CONFIG).is_file() and not any((folder / name).exists() for name in others)


def is_config_alone(folder: Path) -> bool:
    """Whether there is a config that somebody wrote, and nothing of a run or a comparison.

    A run that was killed when it began leaves its config alone too, but in the form it writes.
    """
    config = folder / CONFIG
    if not _is_bare(folder) or holds_comparison(folder):
        return False
    from mxtrain.config import ConfigErrors, load, to_yaml

    try:
        return to_yaml(load(config, files=False), folder) != config.read_text(encoding="utf-8")
    except (ConfigErrors, ValueError):
        return True


def _numbered(runs: Path) -> Path:
    runs.mkdir(parents=True, exist_ok=True)
    number = max(numbers(runs), default=0) + 1
    while True:
        folder = runs / f"{number:04d}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1  # another run was started at the same moment
        else:
            return folder


def numbers(runs: Path) -> list[int]:
    """Return the numbers of the runs in a folder."""
    return [int(p.name) for p in runs.iterdir() if re.fullmatch("[0-9]+", p.name)]


def remove_run(folder: Path, keep: tuple[str, ...] = ()) -> None:
    """Remove the files of a run, but for those to `keep` and what is not a run's."""
    positions = positions_in(folder)
    checkpoints = [name for p in positions for name in (p.state, p.weights)]
    aside = [path.name for name in METRICS for path in folder.glob(f"{name}{EDITED}*")]
    for name in (*checkpoints, *_SINGLE, *aside):
        if name not in keep:
            (folder / name).unlink(missing_ok=True)
    remove_leftovers(folder)


def remove_comparison(folder: Path) -> None:
    """Remove the results of a comparison."""
    for name in COMPARISON:
        (folder / name).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the parts of files that a killed process was writing."""
    for names in (*_SINGLE, f"{PREFIX}-*"):
        for path in leftovers(folder, names):
            path.unlink(missing_ok=True)


def positions_in(folder: Path) -> list[Position]:
    """Return the positions that files of a folder are named after, the newest last."""
    found = {Position.of(path.name) for path in folder.glob(f"{PREFIX}-*")}
    return sorted(position for position in found if position is not None)
