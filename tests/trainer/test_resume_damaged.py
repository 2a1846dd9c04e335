"""Damaged files that a run can do without: what is lost is said, and --force goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from resume_runs import NETWORK, compare, no_disk, resume
from trainer_runs import Notes, write_config, write_table

from mxtrain.checkpoint import run_state
from mxtrain.config import load
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.resume import states_in
from mxtrain.trainer.run import fit

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]

SYMBOL, PREPROCESSING = "model-symbol.json", "preprocessing.json"
MORE = "fit.num_epoch=3"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two epochs, with checkpoints within them."""
    config = write_config(tmp_path, NETWORK)
    fit(load(config, ["fit.num_epoch=2"]), Notes(), output=tmp_path / "run")
    return tmp_path / "run"


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "short":
        path.write_bytes(path.read_bytes()[:-9])
    else:
        path.write_bytes(path.read_bytes() + b" ")


def said(notes: Notes) -> str:
    assert notes.info is not None
    return "\n".join(notes.info.notes)


@pytest.mark.parametrize("how", ["missing", "short", "longer"])
@pytest.mark.parametrize("name", [SYMBOL, PREPROCESSING])
def test_what_can_be_written_anew_is(run: Path, name: str, how: str) -> None:
    whole = run.parent / "whole"
    shutil.copytree(run, whole)
    wanted = (run / name).read_bytes()
    damage(run / name, how)
    with pytest.raises(SetupError, match=rf"{name} is .*; --force goes on and writes it anew"):
        resume(run, MORE)
    notes = Notes()
    result = resume(run, MORE, notes=notes, force=True)
    assert f"{name} is" in said(notes) and "written anew" in said(notes)
    assert (run / name).read_bytes() == wanted
    compare(whole, resume(whole, MORE), run, result)
    for position in states_in(run)[:-1]:  # those of before are whole again, too
        assert resume(run / position.state, MORE).status == "done"


def test_a_run_that_had_ended_is_put_right(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for name in (SYMBOL, PREPROCESSING):
        damage(run / name, "short")
    notes = Notes()
    result = resume(run, "optimizer.learning_rate=0.5", notes=notes, force=True)
    assert "all 2 epochs" in result.reason
    assert said(notes).count("written anew") == 2
    for name in (SYMBOL, PREPROCESSING, "config.yaml", "metrics.csv", "model-0002.params"):
        assert (run / name).read_bytes() == before[name], name
    assert resume(run).status == "done"


def test_another_network_is_not_written_for_a_damaged_one(run: Path) -> None:
    damage(run / SYMBOL, "missing")
    with pytest.raises(SetupError, match=r"the network is not that of .* put it back"):
        resume(run, "symbol[2].act_type=relu", MORE, force=True)
    assert not (run / SYMBOL).exists()


def test_the_weights_and_the_state_have_to_be_whole(run: Path) -> None:
    damage(run / PREPROCESSING, "longer")
    damage(run / "model-0002.params", "longer")
    for force in (False, True):
        with pytest.raises(SetupError, match=r"model-0002.params is damaged") as refused:
            resume(run, MORE, force=force)
        assert "--force" not in str(refused.value)


@pytest.fixture
def past_best(tmp_path: Path) -> Path:
    """A run of three epochs that was best after the first one, and waits for a better one."""
    config = write_config(tmp_path, NETWORK)
    stopping = "fit.early_stopping={metric: loss, patience: 4}"
    grow = "optimizer={name: sgd, learning_rate: 0.1, wd: 0.0}"
    changes = [stopping, grow, "fit.checkpoint={keep: 1}"]
    run = tmp_path / "run"
    fit(load(config, changes), Notes(), output=run)
    position = states_in(run)[-1]
    metadata, values = run_state.load(run / position.state)
    values["best"] |= {"epoch": 1, "value": 1e-9, "reference": -1e-9, "waited": 2}
    shutil.copy(run / "model-0003.params", run / "model-0001.params")
    metadata["best_weights"] = "model-0001.params"
    metadata["files"]["model-0001.params"] = metadata["files"]["model-0003.params"]
    run_state.save(run / position.state, metadata, values)
    return run


@pytest.mark.parametrize("how", ["missing", "short"])
def test_lost_best_weights_let_the_best_epoch_begin_anew(past_best: Path, how: str) -> None:
    run, more = past_best, "fit.num_epoch=4"
    damage(run / "model-0001.params", how)
    text = r"model-0001.params is .*; --force goes on without it: the best weights so far are lost"
    with pytest.raises(SetupError, match=text):
        resume(run, more)
    notes = Notes()
    result = resume(run, more, notes=notes, force=True)
    assert "the weights of the best epoch so far (1, eval_loss 1e-09) are lost" in said(notes)
    assert (result.best_epoch, result.weights, result.restored) == (4, "model-0004.params", True)
    assert not (run / "model-0001.params").exists()
    assert run_state.load(run / "model-0004.safetensors").metadata["best_weights"] == (
        "model-0004.params"
    )
    # what early stopping has counted stays: two epochs before, one since, one more here
    ended = resume(run, "fit.num_epoch=9")
    assert (ended.status, ended.epochs) == ("stopped early", 5)
    assert "has not improved for 4 epochs" in ended.reason


def test_lost_best_weights_of_a_run_that_had_ended(past_best: Path) -> None:
    damage(past_best / "model-0001.params", "missing")
    stopped = "fit.early_stopping={metric: loss, patience: 2}"
    result = resume(past_best, stopped, force=True)
    assert result.status == "stopped early"
    assert (result.weights, result.restored) == ("model-0003.params", False)
    assert "has not improved for 2 epochs; the run had ended before" in result.reason
    assert resume(past_best).status == "done"  # the settings are those of before


def test_other_rows_and_a_damaged_preprocessing(run: Path) -> None:
    damage(run / PREPROCESSING, "missing")
    write_table(run.parent / "train.csv", 44, 9)
    with pytest.raises(SetupError, match="--force"):
        resume(run, MORE)
    assert resume(run, MORE, force=True).status == "done"
    assert resume(run, "fit.num_epoch=4").status == "done"
