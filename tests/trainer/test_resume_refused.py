"""When a run does not go on: changed settings, changed data, damaged files, a folder in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from resume_runs import NETWORK, compare, no_disk, resume
from trainer_runs import Notes, recorded, write_config, write_table

from mxtrain.checkpoint import run_state
from mxtrain.config import load
from mxtrain.trainer.changes import changes
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.lock import locked
from mxtrain.trainer.resume import Found, find, states_in
from mxtrain.trainer.run import fit, fit_on

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of two epochs with checkpoints after batches 5 and 10, and after each epoch."""
    config = write_config(tmp_path, NETWORK)
    fit(load(config, ["fit.num_epoch=2"]), Notes(), output=tmp_path / "run")
    return tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(run: Path, *arguments: str, match: str, **options: bool) -> None:
    """Check that going on is refused, and that nothing in the folder is touched."""
    folder = run if run.is_dir() else run.parent
    before = contents(folder)
    with pytest.raises(SetupError, match=match):
        resume(run, *arguments, **options)
    assert contents(folder) == before


MORE = "fit.num_epoch=3"


def test_a_run_that_another_process_went_on_with(run: Path) -> None:
    """What it has added since the run was found is not removed."""
    found = find(str(run))
    assert resume(run, MORE).status == "done"
    before = contents(run)
    with pytest.raises(SetupError, match="has just been changed by another process"):
        fit_on(found, load(run / "config.yaml", [MORE]), Notes())
    assert contents(run) == before


def test_a_run_without_a_checkpoint_reads_its_config_as_utf_8(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in run.glob("model-0*"):
        path.unlink()
    read = Path.read_text

    def as_elsewhere(path: Path, encoding: str | None = None, **options: object) -> str:
        return read(path, encoding or "ascii")

    text = (run / "config.yaml").read_text(encoding="utf-8")
    (run / "config.yaml").write_text(text + "# größe\n", encoding="utf-8")
    monkeypatch.setattr(Path, "read_text", as_elsewhere)
    assert resume(run, MORE, force=True).status == "done"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("optimizer.learning_rate=0.2", "optimizer.learning_rate: 0.1 -> 0.2"),
        ("optimizer.wd=0.1", "optimizer.wd: nothing -> 0.1"),
        ("seed=4", "seed: 3 -> 4"),
        ("threads=1", "threads: nothing -> 1"),
        ("data.shuffle=false", "data.shuffle: true -> false"),
        ("data.features.scale=standard", "data.features.scale: none -> standard"),
        ("lr_scheduler={name: factor, step: 3}", "lr_scheduler.name: nothing -> factor"),
        ("fit.clip_global_norm=1.0", "fit.clip_global_norm: nothing -> 1.0"),
    ],
)
def test_settings_that_may_alter_the_weights(run: Path, change: str, named: str) -> None:
    refused(run, change, match=named)


@pytest.mark.parametrize(
    "change",
    [
        "fit.checkpoint={every: 3, keep: 1}",
        "fit.checkpoint.every_minutes=5",
        "compare={optimizers: [adam], rates: [0.1]}",
    ],
)
def test_harmless_changes_are_taken_and_named(run: Path, change: str) -> None:
    notes = Notes()
    assert resume(run, MORE, change, notes=notes).status == "done"
    assert notes.info is not None
    assert "changed fit.num_epoch: 2 -> 3" in notes.info.notes
    assert any(change.partition("=")[0] in note for note in notes.info.notes)
    assert load(run / "config.yaml").fit.num_epoch == 3


def test_the_weights_a_run_began_with_may_have_gone(run: Path) -> None:
    tuned = run.parent / "tuned"
    config = run.parent / "config.yaml"
    weights = f"weights.file={run / 'model-0002.params'}"
    fit(load(config, [weights, "fit.num_epoch=1"]), Notes(), output=tuned)
    shutil.copytree(tuned, run.parent / "again")
    whole = resume(tuned, "fit.num_epoch=2")
    shutil.rmtree(run)
    result = resume(run.parent / "again", "fit.num_epoch=2", "weights=null")
    compare(tuned, whole, run.parent / "again", result)


def test_force_takes_a_new_rate(run: Path) -> None:
    notes = Notes()
    change = "optimizer.learning_rate=0.01"
    result = resume(run, change, MORE, notes=notes, force=True)
    assert (result.status, [row.lr for row in notes.rows]) == ("done", [0.01])
    assert [row["lr"] for row in recorded(run)] == [0.1, 0.1, 0.01]
    # the folder agrees with itself: from its checkpoints one can go on without force
    assert resume(run).status == "done"
    assert resume(run / "model-0002.safetensors").status == "done"


def test_what_a_scheduler_was_given_is_not_undone_by_the_state(run: Path) -> None:
    schedule = "lr_scheduler={name: factor, step: 2, factor: 0.5}"
    resume(run, schedule, MORE, force=True)
    notes = Notes()
    again = schedule.replace("0.5", "0.9")
    resume(run, again, "fit.num_epoch=4", notes=notes, force=True)
    assert notes.rows[-1].lr == pytest.approx(0.1 * 0.9**13)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("symbol[3].p=0.5", "the network is not that of .* --weights"),
        ("optimizer=adam", "cannot change within a run: .*sgd -> adam; .* CONFIG --weights"),
        ("optimizer.momentum=0", "do not fit: shapes"),
        ("fit.metrics=[ce]", "metrics cannot change within a run: .*metrics.csv has the columns"),
        ("data.eval=null", "metrics cannot change within a run"),
    ],
)
def test_what_not_even_force_can_do(run: Path, change: str, match: str) -> None:
    refused(run, change, MORE, match=match, force=True)
    if "momentum" not in change:  # said at once, not after --force
        refused(run, change, MORE, match=match)


@pytest.mark.parametrize("change", ["data.batch_size=10", "seed=4", "data.last_batch=pad"])
def test_within_an_epoch_its_batches_cannot_change(run: Path, change: str) -> None:
    within = run / "model-0002-batch-0003.safetensors"
    match = r"within an epoch that is not possible; .* --resume \S*model-0002.safetensors"
    refused(within, change, match=match, force=True)
    assert resume(run / "model-0001.safetensors", change, MORE, force=True).status == "done"


def test_changed_rows(run: Path) -> None:
    write_table(run.parent / "train.csv", 44, 9)
    refused(run, MORE, match=r"the train rows are not .* \(50 rows -> 44 rows\); --force")
    within = run / "model-0002-batch-0003.safetensors"
    refused(within, match="within an epoch that is not possible", force=True)
    notes = Notes()
    assert resume(run, MORE, notes=notes, force=True).status == "done"
    assert notes.info is not None
    assert any("the train rows are not those of the run" in note for note in notes.info.notes)
    assert resume(run, "fit.num_epoch=4").status == "done"


def test_rows_that_were_carried_over_do_not_survive_other_rows(tmp_path: Path) -> None:
    config = write_config(
        tmp_path, NETWORK.replace("batch_size: 8", "batch_size: 8\n  last_batch: roll_over")
    )
    fit(load(config, ["fit.num_epoch=1"]), Notes(), output=tmp_path / "run")
    write_table(tmp_path / "train.csv", 20, 9)
    assert resume(tmp_path / "run", "fit.num_epoch=2", force=True).status == "done"


def test_rows_may_lie_elsewhere(run: Path) -> None:
    (run.parent / "train.csv").rename(run.parent / "moved.csv")
    notes = Notes()
    text = (run / "config.yaml").read_text().replace("train.csv", "moved.csv")
    (run / "config.yaml").write_text(text)
    assert resume(run, MORE, notes=notes).status == "done"
    assert notes.info is not None
    assert "changed data.train.path: ../train.csv -> ../moved.csv" in notes.info.notes


def test_the_folder_may_have_moved(run: Path) -> None:
    moved = run.parent / "other"
    run.rename(moved)
    assert resume(moved, MORE).status == "done"


def test_other_versions_are_noted(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mxtrain.trainer.fingerprint.__version__", "99.0")
    notes = Notes()
    assert resume(run, MORE, notes=notes).status == "done"
    assert notes.info is not None
    assert any(note.endswith("is 99.0: bits may differ") for note in notes.info.notes)


# -- damage ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model-0002.params", "model-0002.safetensors"])
@pytest.mark.parametrize("how", ["flipped", "short"])
def test_a_damaged_checkpoint_names_an_earlier_one(run: Path, name: str, how: str) -> None:
    content = bytearray((run / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run / name).write_bytes(content if how == "flipped" else content[:-1])
    match = rf"{name} is damaged: .*--resume \S*model-0002-batch-0003.safetensors"
    refused(run, match=match)
    assert resume(run / "model-0002-batch-0003.safetensors").status == "done"


def test_missing_weights(run: Path) -> None:
    (run / "model-0002.params").unlink()
    refused(run, match=r"model-0002\.params is missing; an earlier checkpoint is whole")


def test_a_common_file_that_is_damaged_leaves_no_checkpoint(run: Path) -> None:
    with (run / "preprocessing.json").open("a") as file:
        file.write(" ")
    refused(run, match=r"preprocessing\.json is damaged: .*no earlier checkpoint that is whole")


def test_a_renamed_checkpoint(run: Path) -> None:
    shutil.copy(run / "model-0002.safetensors", run / "model-0009.safetensors")
    refused(run, match="has been renamed; give it back its name")


@pytest.mark.parametrize("name", ["metrics.jsonl", "metrics.csv"])
def test_edited_metrics(run: Path, name: str) -> None:
    (run / name).write_text((run / name).read_text().replace("1", "2", 1))
    refused(run, match=rf"{name} is not as the run wrote it")


def test_missing_metrics(run: Path) -> None:
    (run / "metrics.jsonl").unlink()
    refused(run, match=r"metrics.jsonl is missing; put it back .* mxtrain fit CONFIG --weights")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x80"])
def test_metrics_that_are_none(run: Path, content: bytes) -> None:
    (run / "metrics.csv").write_bytes(content)
    refused(run, match=r"metrics.csv is not as the run wrote it .* put it back")


def test_a_state_of_nonsense(run: Path) -> None:
    path = run / "model-0002.safetensors"
    metadata, values = run_state.load(path)
    run_state.save(path, metadata, values | {"optimizer": {"optimizer": "sgd"}})
    refused(run, match="does not fit this run")
    run_state.save(path, metadata | {"files": 3}, values)
    refused(run, match="an earlier checkpoint is whole")


# -- which run -------------------------------------------------------------------------------


def test_a_run_without_a_checkpoint_starts_again(run: Path) -> None:
    whole = contents(run)
    result = resume(run)
    for path in (*run.glob("model-*"), run / "metrics.csv"):
        path.unlink()
    shutil.copytree(run, run.parent / "bare")
    notes = Notes()
    again = resume(run, notes=notes)
    assert notes.info is not None and "no checkpoint yet" in notes.info.resumed
    assert again.status == "done" and len(notes.rows) == 2
    for name in ("model-0002.params", "model-0001.params"):
        assert contents(run)[name] == whole[name]
    assert again.best_value == result.best_value
    refused(run.parent / "bare", "seed=9", match="seed: 3 -> 9")


def test_weights_alone_are_not_thrown_away(run: Path) -> None:
    for path in run.glob("model-*.safetensors"):
        path.unlink()
    with pytest.raises(SetupError, match=r"weights but no \.safetensors file .* --weights"):
        find(str(run))


def test_a_finished_run_says_so(run: Path) -> None:
    before = {name: c for name, c in contents(run).items() if name != "log.txt"}
    result = resume(run)
    assert result.status == "done"
    assert "all 2 epochs were trained before; for more: mxtrain fit --resume" in result.reason
    assert {name: c for name, c in contents(run).items() if name != "log.txt"} == before


@pytest.mark.parametrize("change", ["fit.num_epoch=1", "optimizer.learning_rate=0.5"])
def test_settings_with_which_nothing_is_trained_are_not_saved(run: Path, change: str) -> None:
    before = {name: c for name, c in contents(run).items() if name != "log.txt"}
    notes = Notes()
    assert "all 2 epochs" in resume(run, change, notes=notes, force=True).reason
    assert {name: c for name, c in contents(run).items() if name != "log.txt"} == before
    assert notes.info is not None and not any("changed" in note for note in notes.info.notes)


def test_a_run_that_stopped_early_says_so(tmp_path: Path) -> None:
    config = write_config(tmp_path, NETWORK)
    stopping = "fit.early_stopping={patience: 1, min_delta: 100.0}"
    stopped = fit(load(config, [stopping]), Notes(), output=tmp_path / "run")
    assert stopped.status == "stopped early"
    result = resume(tmp_path / "run")
    assert (result.status, result.restored) == ("stopped early", True)
    assert "had ended before" in result.reason
    assert resume(tmp_path / "run", "fit.early_stopping.patience=9").status == "done"


def test_which_run_is_meant(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    with pytest.raises(SetupError, match=r"there is no run in .*runs to go on with"):
        find("latest")
    (run.parent / "runs").mkdir()
    for name in ("0002", "0010"):
        shutil.copytree(run, run.parent / "runs" / name)
    (run.parent / "runs" / "0011").mkdir()
    newest = states_in(run)[-1]
    assert find("latest") == Found(Path("runs", "0010"), newest)
    assert find("run") == Found(Path("run"), newest)
    for name in ("model-0001.params", "model-0001.safetensors", "model-0001"):
        assert find(f"run/{name}").position == states_in(run)[1]
    for wanted, match in (
        ("rum", r"there is no run rum; did you mean 'run'\?"),
        ("runs", "runs holds no run"),
        ("run/model-0003.params", r"no checkpoint to go on from; run has: model-0001-batch-0005"),
        ("run/metrics.csv", "no checkpoint to go on from"),
        ("none/model-0001.params", "there is no run none"),
    ):
        with pytest.raises(SetupError, match=match):
            find(wanted)


# -- the folder ------------------------------------------------------------------------------


def test_going_back_removes_what_came_later(run: Path) -> None:
    whole = resume(run, MORE)
    shutil.copytree(run, run.parent / "whole")
    (run / ".model-0003.params.0123.tmp").write_text("part of a file")
    (run / "model-own.params").write_text("mine")
    notes = Notes()
    result = resume(run / "model-0001.safetensors", MORE, notes=notes)
    assert [row.epoch for row in notes.rows] == [2, 3]
    assert not list(run.glob(".*"))
    (run / "model-own.params").unlink()
    result = resume(run)
    compare(run.parent / "whole", resume(run.parent / "whole"), run, result)
    assert whole.best_value == result.best_value


def test_overwrite_removes_states_and_parts_of_files(run: Path) -> None:
    (run / ".model-0003.params.0123.tmp").write_text("part of a file")
    config = run.parent / "config.yaml"
    with pytest.raises(FileExistsError, match="--resume"):
        fit(load(config), Notes(), output=run)
    fit(load(config, ["fit.num_epoch=1", "fit.checkpoint={every: 1}"]), Notes(), run, True)
    assert sorted(path.name for path in run.glob("*model-*")) == [
        "model-0001.params",
        "model-0001.safetensors",
        "model-symbol.json",
    ]
    assert not list(run.glob(".*"))


posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")


@posix
def test_a_folder_in_use_is_refused(run: Path) -> None:
    config = run.parent / "config.yaml"
    with locked(run):
        refused(run, MORE, match="run is in use: another process trains in it")
        before = contents(run)
        with pytest.raises(SetupError, match="is in use"):
            fit(load(config), Notes(), output=run, overwrite=True)
        assert contents(run) == before
    assert resume(run, MORE).status == "done"


@posix
def test_a_lock_ends_with_its_process(run: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from mxtrain.trainer.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE)
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with pytest.raises(SetupError, match="is in use"):
        resume(run, MORE)
    holder.kill()
    holder.communicate()
    assert resume(run, MORE).status == "done"


def test_without_such_locks_nothing_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with locked(tmp_path), locked(tmp_path):
        pass


# -- settings in words -----------------------------------------------------------------------


def test_changes_are_named_by_their_paths() -> None:
    before = "optimizer: sgd\nfit: {metrics: [acc, {name: ce}]}\ndata: {columns: [a]}"
    now = "optimizer: {name: sgd, wd: 0.1}\nfit: {metrics: [acc]}\ndata: {columns: [b]}"
    assert [str(change) for change in changes(before, now)] == [
        "fit.metrics[0]: acc -> nothing",
        "fit.metrics[1].name: ce -> nothing",
        "data.columns: [a] -> [b]",
        "optimizer.wd: nothing -> 0.1",
        "fit.metrics: nothing -> [acc]",
    ]
    assert changes(before, before) == []


def test_the_state_does_not_hold_the_weights(run: Path) -> None:
    def arrays(value: object) -> list[np.ndarray]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return [array for item in value for array in arrays(item)]
        return [value] if isinstance(value, np.ndarray) else []

    from trainer_runs import weights

    stored = {a.tobytes() for a in arrays(run_state.load(run / "model-0002.safetensors").values)}
    for name, array in weights(run, "model-0002.params").items():
        assert array.tobytes() not in stored, name


def test_a_checkpoint_that_goes_while_it_is_read(run: Path) -> None:
    found = find(str(run / "model-0002.safetensors"))
    for path in run.glob("model-*.safetensors"):
        path.unlink()
    with pytest.raises(SetupError, match="cannot read"):
        fit_on(found, load(found.config), Notes())
