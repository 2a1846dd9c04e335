"""What a comparison tries, measures and leaves behind."""

from __future__ import annotations

import csv
import importlib.util
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from compare_runs import by_label, config, own_config, points, run
from trainer_runs import train

from mxtrain import optimizer as optimizers
from mxtrain.config import Component, load
from mxtrain.trainer.compare import png
from mxtrain.trainer.compare.trials import make_trials, spec_of
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.folder import COMPARISON
from mxtrain.trainer.resume import find

__all__ = ["config", "own_config"]  # fixtures

# -- what is tried ---------------------------------------------------------------------------------

GIVEN = "{optimizers: [adam, {name: sgd, wd: 0.1}, {name: adam, learning_rate: 0.5}]"


@pytest.mark.parametrize(
    ("changes", "options", "wanted"),
    [
        (
            [f"compare={GIVEN}}}"],
            {},
            [("adam", 0.001), ("sgd wd=0.1", 0.01), ("adam", 0.5)],
        ),
        (
            [f"compare={GIVEN}, rates: [1, 2]}}"],
            {},
            [("adam", 1), ("adam", 2), ("sgd wd=0.1", 1), ("sgd wd=0.1", 2), ("adam", 0.5)],
        ),
        (
            [f"compare={GIVEN}, rates: [1, 2]}}"],
            {"rates": [3], "names": ["Adam"]},
            [("adam", 3)],
        ),
        ([], {"names": ["sgd", "ccsgd"]}, [("sgd momentum=0.9", 0.1)]),
        ([], {"names": ["sgd"], "rates": [1, 2]}, [("sgd momentum=0.9", r) for r in (1, 2)]),
        ([], {"names": ["adadelta"], "rates": [1, 2]}, [("adadelta", None)]),
        (
            ["lr_scheduler={name: poly, max_update: 9}"],
            {"names": ["nag"], "rates": [7]},
            [("nag", 7)],
        ),
    ],
    ids=["given", "rates", "asked", "alias", "own-rate", "no-rate", "schedule"],
)
def test_trials(config: Path, changes: list[str], options: Any, wanted: Any) -> None:
    trials = make_trials(load(config, changes), **options)
    assert [(trial.label, trial.rate) for trial in trials] == wanted


def test_all_optimizers_are_tried_by_default(config: Path) -> None:
    trials = make_trials(load(config))
    assert [trial.optimizer.name for trial in trials] == optimizers.registry.names()
    assert Component("sgd", {"learning_rate": 0.1, "momentum": 0.9}) in [
        trial.optimizer for trial in trials
    ]


def test_unknown_optimizer(config: Path) -> None:
    with pytest.raises(SetupError, match="unknown optimizer 'adm'; did you mean 'adam'"):
        make_trials(load(config), ["sgd", "adm"])


def test_the_rate_is_the_base_of_the_schedule(config: Path) -> None:
    spec = load(config, ["lr_scheduler={name: poly, max_update: 9}"])
    for trial, rate in zip(
        make_trials(spec, ["adam", "nag"], [0.5, 0.25]), [0.5, 0.25] * 2, strict=True
    ):
        changed = spec_of(spec, trial)
        assert changed.lr_scheduler is not None
        assert changed.lr_scheduler.settings["base_lr"] == rate
        assert changed.optimizer.settings["learning_rate"] == rate
        assert replace(
            changed, optimizer=spec.optimizer, lr_scheduler=spec.lr_scheduler
        ) == replace(spec, compare=None)


def test_rates_reach_a_schedule_without_the_setting(own_config: Path) -> None:
    result = run(own_config, "lr_scheduler=alone", names=["sgd"], rates=[0.1, 1e-9])
    rows = {row.rate: row for row in result.rows}
    assert rows[0.1].status == rows[1e-9].status == "done"
    learned, idle = rows[0.1].loss, rows[1e-9].loss
    assert learned is not None
    assert idle is not None
    assert learned < 0.8 * idle


# -- the table and the folder ----------------------------------------------------------------------


def test_target_and_measures(config: Path) -> None:
    result = run(config, "compare={target: 0.5}", names=["adam", "sgd", "nag"])
    assert result.goal.target == 0.5
    rows = by_label(result)
    epochs = {key: [p["eval"]["accuracy"] for p in v] for key, v in points(result).items()}
    for row in rows.values():
        values = epochs[f"{row.label} {row.rate}"]
        reached = [number for number, value in enumerate(values, start=1) if value >= 0.5]
        assert row.target_epoch == (reached[0] if reached else None)
        assert row.best == max(values)
        assert row.best_epoch == values.index(max(values)) + 1
        assert row.final == values[-1]
        assert row.seconds_per_epoch is not None
        assert row.seconds_per_epoch > 0
    states = {label: row.state_bytes_per_weight for label, row in rows.items()}
    # each state starts on a 64-byte boundary, and the network is tiny
    assert states["nag"] == 0
    assert states["sgd momentum=0.9"] == pytest.approx(4, rel=0.6)
    assert states["adam"] == 2 * states["sgd momentum=0.9"]
    assert any(row.target_epoch for row in rows.values())


def test_lower_is_better_for_a_loss(config: Path) -> None:
    early = "fit.early_stopping={metric: loss, patience: 9}"
    result = run(config, early, names=["adam", "sgd", "nag"], target=0.9)
    best = [row.best for row in result.rows]
    assert (result.goal.name, result.goal.higher) == ("loss", False)
    assert best == sorted(best)
    for row in result.rows:
        losses = [p["eval"]["loss"] for p in points(result)[f"{row.label} {row.rate}"]]
        reached = [number for number, loss in enumerate(losses, start=1) if loss <= 0.9]
        assert row.target_epoch == (reached[0] if reached else None)


def test_without_eval_rows_the_training_values_count(config: Path) -> None:
    result = run(config, "data.eval=null", names=["sgd"])
    assert (result.goal.side, result.goal.name) == ("train", "accuracy")
    assert result.rows[0].best is not None


def test_early_stopping_stops_a_trial(config: Path) -> None:
    text = "fit.early_stopping={metric: loss, patience: 1, min_delta: 100}"
    (row,) = run(config, text, "fit.num_epoch=9", names=["sgd"]).rows
    assert (row.status, row.epochs) == ("stopped early", 2)
    assert row.reason == "eval loss has not improved by 100 for an epoch"


def test_the_written_config_repeats_the_comparison(config: Path, tmp_path: Path) -> None:
    given = "compare={optimizers: [adam, {name: sgd, momentum: 0.5}, adadelta], rates: [0.1, 0.2]}"
    first = run(config, given, "lr_scheduler={name: poly, max_update: 30}", target=0.5)
    again = run(Path(first.output, "config.yaml"), output=tmp_path / "again")
    assert points(first) == points(again)
    assert len(points(first)) == 5
    assert again.goal == first.goal


def test_files(config: Path) -> None:
    result = run(config, names=["adam", "sgd", "groupadagrad"], rates=[0.01, 0.1])
    folder = Path(result.output)
    assert result.files == (
        "config.yaml",
        "curves.svg",
        "epochs.csv",
        "results.csv",
        "results.json",
    )
    table = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [row["label"] for row in table] == [row.label for row in result.rows]
    assert [float(row["rate"]) for row in table] == [row.rate for row in result.rows]
    epochs = list(csv.DictReader((folder / "epochs.csv").read_text().splitlines()))
    assert len(epochs) == 4 * 3
    assert {row["label"] for row in epochs} == {"adam", "sgd momentum=0.9"}
    picture = ElementTree.parse(folder / "curves.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    titles = [title.text for title in picture.iter(f"{space}title")]
    keys = {f"{name} lr {rate}" for name in ("adam", "sgd momentum=0.9") for rate in (0.01, 0.1)}
    assert set(titles) == keys
    assert len(titles) == 3 * 4  # three panels


def test_folders_are_numbered_and_protected(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    options: Any = {"names": ["sgd"], "watcher": None}
    first, second = (run(config, "fit.num_epoch=1", output=None, **options) for _ in range(2))
    assert (first.output, second.output) == (
        str(Path("compare", "0001")),
        str(Path("compare", "0002")),
    )
    with pytest.raises(FileExistsError, match=r"holds a comparison already.*--overwrite"):
        run(config, output=Path(first.output), **options)
    Path(first.output, "curves.png").write_bytes(b"old")
    Path(first.output, "mine.txt").write_text("kept")
    again = run(config, "fit.num_epoch=1", output=Path(first.output), overwrite=True, **options)
    assert "mine.txt" in again.files
    assert "curves.png" not in again.files


def test_a_run_takes_the_place_of_a_comparison_only_where_it_may(config: Path) -> None:
    folder = Path(run(config, "fit.num_epoch=1", names=["sgd"]).output)
    with pytest.raises(FileExistsError, match="holds a comparison already"):
        train(config, output=folder)
    with pytest.raises(SetupError, match="holds a comparison, which cannot go on"):
        find(str(folder))
    (folder / "mine.txt").write_text("kept")
    train(config, output=folder, overwrite=True)
    assert not any((folder / name).exists() for name in COMPARISON)
    assert (folder / "mine.txt").exists()
    (folder / "results.json").write_text("of the user")  # beside a run it is no comparison's
    train(config, output=folder, overwrite=True)
    assert (folder / "results.json").exists()


def test_png_without_matplotlib_is_refused_before_anything_runs(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(png, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match=r"pip install 'mxtrain\[plot\]'"):
        run(config, names=["sgd"], png=True)
    assert not (config.parent / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs the extra 'plot'")
def test_png(config: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's own
        result = run(config, names=["sgd", "adam"], target=0.9, png=True)
    assert Path(result.output, "curves.png").read_bytes().startswith(b"\x89PNG")
