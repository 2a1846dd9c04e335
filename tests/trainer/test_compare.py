"""Comparisons: equal conditions, survival of what fails, several processes, what is left behind."""

from __future__ import annotations

import csv
import importlib.util
import json
import multiprocessing
import os
import signal
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from trainer_runs import CONFIG, Notes, recorded, write_config

from mxtrain import lr_scheduler
from mxtrain import optimizer as optimizers
from mxtrain.config import Component, load
from mxtrain.trainer.compare import one, png, workers
from mxtrain.trainer.compare.compare import compare
from mxtrain.trainer.compare.report import CompareInfo, Comparison, TrialRow
from mxtrain.trainer.compare.trials import make_trials, spec_of
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.run import fit

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")

PLUGIN = """\
import os, warnings
from mxtrain import lr_scheduler, optimizer

@lr_scheduler.register
class Alone:
    def __init__(self):
        self.base_lr = 0.5
    def __call__(self, num_update):
        return self.base_lr

class Base(optimizer.Optimizer):
    def create_state(self, index, weight):
        return None

@optimizer.register()
class Broken(Base):
    def update(self, index, weight, grad, state):
        raise ZeroDivisionError("no such luck")

@optimizer.register()
class Deadly(Base):
    def update(self, index, weight, grad, state):
        os._exit(3)

@optimizer.register()
class Vanishing(Base):
    def update(self, index, weight, grad, state):
        os.kill(os.getpid(), 9)

@optimizer.register()
class Worried(Base):
    def update(self, index, weight, grad, state):
        warnings.warn("this never learns", UserWarning)
"""
OWN = ("broken", "deadly", "vanishing", "worried")


class Watcher(Notes):
    """A reporter that keeps everything it is told about a comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.told: CompareInfo | None = None
        self.seen: list[TrialRow] = []
        self.ended: Comparison | None = None

    def start(self, info: Any) -> None:
        self.told = info

    def update(self, row: TrialRow) -> None:
        self.seen.append(row)

    def finish(self, result: Any) -> None:
        self.ended = result


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, "threads: 1\n" + CONFIG)


@pytest.fixture
def own_config(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "own.py").write_text(PLUGIN)
    yield write_config(tmp_path, "threads: 1\nplugins: [own.py]\n" + CONFIG)
    for name in OWN:
        optimizers.registry._classes.pop(name, None)
    lr_scheduler.registry._classes.pop("alone", None)


def run(config: Path, *changes: str, watcher: Watcher | None = None, **options: Any) -> Comparison:
    """Compare into a folder beside the config."""
    options.setdefault("output", config.parent / "out")
    return compare(load(config, changes), watcher or Watcher(), **options)


def by_label(result: Comparison) -> dict[str, TrialRow]:
    return {row.label: row for row in result.rows}


def points(result: Comparison) -> dict[str, Any]:
    """The epochs of each trial from the results, without what the clock decides."""
    rows = json.loads(Path(result.output, "results.json").read_text())["rows"]
    timeless = {
        f"{row['label']} {row['rate']}": [
            {k: v for k, v in point.items() if k != "seconds"} for point in row["points"]
        ]
        for row in rows
    }
    assert any(timeless.values())
    return timeless


# -- equal conditions ------------------------------------------------------------------------------


def test_trials_start_from_the_same_weights_and_see_the_same_batches(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bytes] = []
    batches: list[list[list[int]]] = []
    add, train = one.add_optimizer, Loop.train_batch

    def add_optimizer(built: Any) -> None:
        add(built)
        starts.append(b"".join(np.asarray(a).tobytes() for a in built.module.parameter_arrays()))
        batches.append([])

    def train_batch(self: Loop, batch: Any) -> None:
        batches[-1].append(list(batch.rows))
        train(self, batch)

    monkeypatch.setattr(one, "add_optimizer", add_optimizer)
    monkeypatch.setattr(Loop, "train_batch", train_batch)
    run(config, names=["sgd", "adam", "sgld", "muon"])
    assert len(starts) == 4
    assert len(set(starts)) == 1
    assert len(batches[0]) == 3 * 7
    assert batches[0][:7] != batches[0][7:14]
    assert all(seen == batches[0] for seen in batches)


def test_a_trial_is_what_fit_does(config: Path, tmp_path: Path) -> None:
    result = run(config, names=["adam", "sgd"])
    fit(load(config), Notes(), output=tmp_path / "fit")
    label = "sgd momentum=0.9 0.1"
    found = [
        {f"train_{k}": v for k, v in point["train"].items()}
        | {f"eval_{k}": v for k, v in point["eval"].items()}
        for point in points(result)[label]
    ]
    wanted = [
        {k: v for k, v in row.items() if k.startswith(("train_", "eval_"))}
        for row in recorded(tmp_path / "fit")
    ]
    assert found == wanted


def test_processes_compute_the_same(config: Path, tmp_path: Path) -> None:
    names = ["sgd", "adam", "groupadagrad"]
    alone = run(config, names=names, output=tmp_path / "alone")
    watcher = Watcher()
    together = run(config, names=names, jobs=2, output=tmp_path / "both", watcher=watcher)
    assert points(alone) == points(together)
    assert [(r.label, r.status, r.reason) for r in alone.rows] == [
        (r.label, r.status, r.reason) for r in together.rows
    ]
    assert watcher.told is not None
    assert (watcher.told.jobs, watcher.told.threads) == (2, 1)
    assert not multiprocessing.active_children()


# -- what fails ------------------------------------------------------------------------------------


def test_a_trial_that_fails_ends_alone(own_config: Path) -> None:
    text = "compare.optimizers=[{name: sgd, learning_rate: 1e30}, groupadagrad, broken, adam]"
    rows = by_label(run(own_config, text, "symbol.act1.act_type=relu"))
    assert rows["adam"].status == "done"
    assert rows["adam"].epochs == 3
    assert rows["sgd"].status == "diverged"
    assert "first tensor that is not finite" in rows["sgd"].reason
    assert rows["groupadagrad"].status == "refused"
    assert "updates matrices; parameter 'fc1_bias' has shape (8,)" in rows["groupadagrad"].reason
    assert rows["broken"].status == "failed"
    assert rows["broken"].reason == "ZeroDivisionError: no such luck"
    assert next(iter(rows)) == "adam"


def test_a_loss_that_is_not_finite_after_the_last_batch_is_a_divergence(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loop, "evaluate", lambda self: {"loss": float("nan"), "accuracy": 0.1})
    (row,) = run(config, "fit.metrics=[accuracy]", names=["adam"]).rows
    assert (row.status, row.reason) == ("diverged", "the eval loss is nan after epoch 1")


def test_nothing_learned_is_a_failure(config: Path) -> None:
    watcher = Watcher()
    result = run(config, names=["groupadagrad"], watcher=watcher)
    assert result.status == "failed"
    assert watcher.ended == result
    assert not Path(result.output, "curves.svg").exists()


@posix
def test_a_process_that_dies_takes_only_its_trial_with_it(own_config: Path) -> None:
    result = run(own_config, names=["deadly", "vanishing", "adam"], jobs=2)
    rows = by_label(result)
    assert rows["deadly"].reason == "its process ended with exit code 3"
    assert "ended by SIGKILL" in rows["vanishing"].reason
    assert (rows["adam"].status, rows["adam"].epochs) == ("done", 3)
    assert not multiprocessing.active_children()


def test_warnings_stand_in_the_row(own_config: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (row,) = run(own_config, names=["worried"]).rows
    assert (row.status, row.warnings) == ("done", ("this never learns",))


def test_what_no_optimizer_could_train_is_said_once(config: Path) -> None:
    with pytest.raises(SetupError, match="cannot measure"):
        run(config, "fit.metrics=[{name: top_k_accuracy, top_k: 9}]", "fit.metrics=[pearsonr]")
    assert not (config.parent / "out").exists()


# -- stops -----------------------------------------------------------------------------------------


class Stopper(Watcher):
    def update(self, row: TrialRow) -> None:
        super().update(row)
        if row.epochs == 2 and row.status == "running" and row.number == 1:
            os.kill(os.getpid(), signal.SIGINT)


@posix
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_the_table_so_far(config: Path, jobs: int) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = run(
        config, "fit.num_epoch=300", names=["sgd", "adam", "nag"], jobs=jobs, watcher=Stopper()
    )
    assert (result.status, result.signal) == ("interrupted", signal.SIGINT)
    rows = {row.number: row for row in result.rows}
    assert rows[1].status == "interrupted"
    assert rows[1].epochs == 2
    assert (rows[2].status, rows[2].epochs) == ("interrupted", 0)
    assert len(points(result)["adam 0.001"]) == 2
    assert Path(result.output, "curves.svg").exists()
    assert signal.getsignal(signal.SIGINT) is before
    assert not multiprocessing.active_children()


def test_an_error_ends_the_processes(config: Path) -> None:
    class Full(Watcher):
        def update(self, row: TrialRow) -> None:
            if row.epochs:
                raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(config, "fit.num_epoch=300", names=["sgd", "adam"], jobs=2, watcher=Full())
    assert not multiprocessing.active_children()


def test_threads_are_shared_out(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 8)
    spec = load(config)
    free = replace(spec, threads=None)
    assert [workers.threads_for(free, jobs) for jobs in (1, 3, 8, 20)] == [None, 2, 1, 1]
    assert workers.threads_for(spec, 4) == 1
    assert workers.threads_for(replace(spec, threads=2), 4) == 2


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
    assert row.reason == "eval_loss has not improved since epoch 2"


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
    with pytest.raises(FileExistsError, match="--overwrite"):
        run(config, output=Path(first.output), **options)
    Path(first.output, "curves.png").write_bytes(b"old")
    Path(first.output, "mine.txt").write_text("kept")
    again = run(config, "fit.num_epoch=1", output=Path(first.output), overwrite=True, **options)
    assert "mine.txt" in again.files
    assert "curves.png" not in again.files


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
