"""Runs that cannot go on: a loss that is not finite, a full disk, a folder that is taken."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from trainer_runs import CONFIG, Notes, train, weights, write_config

from mxtrain.checkpoint import atomic
from mxtrain.trainer.files import RunFolder
from mxtrain.trainer.folder import LOG

RELU = CONFIG.replace("act_type: tanh", "act_type: relu")
DIVERGES = RELU.replace("learning_rate: 0.1, momentum: 0.9", "learning_rate: 1.0e+30")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def finite(arrays: dict[str, Any]) -> bool:
    return all(bool(np.isfinite(array).all()) for array in arrays.values())


def test_a_loss_that_is_not_finite_stops_before_its_update(tmp_path: Path) -> None:
    notes = Notes()
    result = train(write_config(tmp_path, DIVERGES), notes=notes)
    assert result.status == "failed"
    assert notes.result == result
    where, tensor, _advice, saved, go_on = result.reason.splitlines()
    assert where == "the loss became NaN or infinite in epoch 1, batch 2"
    assert tensor == (
        "first tensor that is not finite: 'fc2_output' (FullyConnected), in the forward pass"
    )
    assert saved == "the weights before this batch are saved as model-0001-batch-0001.params"
    assert go_on == (
        f"to go on from there: mxtrain fit --resume {result.output} --force --set SETTING=VALUE"
    )
    assert finite(weights(result.output, result.weights))
    assert result.reason.splitlines()[0] in Path(result.output, "log.txt").read_text()


def test_the_saved_weights_are_those_before_the_batch(tmp_path: Path) -> None:
    """One whole epoch of one batch gives the weights that the failing run ends with."""
    config = write_config(tmp_path, DIVERGES, train=8)
    one = train(config, "fit.num_epoch=1", "data.eval=null", output=tmp_path / "one")
    two = train(config, "fit.num_epoch=2", "data.eval=null", output=tmp_path / "two")
    assert (one.status, two.status) == ("done", "failed")
    assert two.weights == "model-0001.params"
    before, after = weights(one.output, one.weights), weights(two.output, two.weights)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_moving_averages_are_not_touched_by_the_failing_batch(tmp_path: Path) -> None:
    text = DIVERGES.replace(
        "  - {op: Activation", "  - {op: BatchNorm, name: bn1}\n  - {op: Activation"
    )
    result = train(write_config(tmp_path, text))
    assert result.status == "failed"
    assert finite(weights(result.output, result.weights))


def test_a_parameter_that_went_bad_is_named(tmp_path: Path) -> None:
    """The gradient overflows while the loss is finite, so the update itself writes infinity."""
    text = RELU.replace("learning_rate: 0.1, momentum: 0.9", "learning_rate: 1.0e+39")
    result = train(write_config(tmp_path, text))
    assert result.status == "failed"
    assert "parameter 'fc1_weight', since the update before this batch" in result.reason


def test_a_squared_error_may_overflow_though_the_output_does_not(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("x,y\n" + "".join(f"{i},1e25\n" for i in range(8)))
    config = tmp_path / "config.yaml"
    config.write_text(
        "data: {train: {path: train.csv, label: y}, batch_size: 4}\n"
        "symbol:\n"
        "  - {op: FullyConnected, name: fc, num_hidden: 1}\n"
        "  - {op: LinearRegressionOutput, name: out}\n"
    )
    result = train(config)
    assert result.status == "failed"
    assert "epoch 1, batch 1" in result.reason
    assert "the loss itself; the largest output is" in result.reason


def test_a_large_output_with_a_finite_loss_is_no_failure(tmp_path: Path) -> None:
    """Its square overflows, which only asks for a closer look."""
    (tmp_path / "train.csv").write_text("x,y\n" + "".join(f"{i},1e20\n" for i in range(8)))
    config = tmp_path / "config.yaml"
    config.write_text(
        "data: {train: {path: train.csv, label: y}, batch_size: 4}\n"
        "symbol:\n"
        "  - {op: FullyConnected, name: fc, num_hidden: 1}\n"
        "  - {op: MAERegressionOutput, name: out}\n"
        "optimizer: {name: sgd, learning_rate: 1.0e+20}\n"
        "fit: {num_epoch: 2}\n"
    )
    assert train(config).status == "done"


def test_a_gradient_whose_norm_is_not_finite_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mxtrain.trainer.bound import BoundBatch

    original = BoundBatch.backward

    def backward(self: BoundBatch) -> None:
        original(self)
        self.executor.grad_dict["fc1_weight"][0, 0] = np.inf

    monkeypatch.setattr(BoundBatch, "backward", backward)
    result = train(config, "fit.clip_global_norm=1.0")
    assert result.status == "failed"
    assert "the gradient became NaN or infinite in epoch 1, batch 1" in result.reason
    assert finite(weights(result.output, result.weights))


class FullDisk:
    """Lets `room` files be written whole and then behaves as a disk that is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room, self.original = room, atomic._open_beside
        monkeypatch.setattr(atomic, "_open_beside", self.open)

    def open(self, target: Path, path: Any) -> tuple[BinaryIO, Path]:
        self.room -= 1
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))
        return self.original(target, path)


def test_a_full_disk_ends_the_run_and_leaves_what_there_is(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # config, preprocessing, symbol, checkpoints of two epochs; that of the third does not fit
    FullDisk(monkeypatch, room=7)
    notes = Notes()
    result = train(config, notes=notes)
    assert result.status == "failed"
    assert notes.result == result
    first, second, third = result.reason.splitlines()
    assert first.startswith("cannot write ")
    assert first.endswith("model-0003.params: No space left on device")
    assert second == "files written before are intact"
    assert third == f"to go on, once that is put right: mxtrain fit --resume {result.output}"
    assert {"model-0001.params", "model-0002.params"} <= set(result.files)
    assert "model-0003.params" not in result.files
    assert result.weights == "model-0002.params"
    assert finite(weights(result.output, "model-0002.params"))


def test_a_disk_that_is_full_from_the_start(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FullDisk(monkeypatch, room=0)
    result = train(config)
    assert result.status == "failed"
    assert "config.yaml: No space left on device" in result.reason
    assert "--resume" not in result.reason


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = RunFolder(tmp_path)
    files.log("first")
    original = Path.open

    def opened(path: Path, *arguments: Any, **options: Any) -> Any:
        file = original(path, *arguments, **options)
        return Half(file) if path.name == LOG else file

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(Exception, match=r"cannot write .*log\.txt: No space left"):
        files.log("second")
    assert (tmp_path / LOG).read_text() == "first\n"


class Half:
    """A file on a disk with room for three more bytes."""

    def __init__(self, file: Any) -> None:
        self.file, self.written = file, False

    def write(self, content: bytes) -> int:
        if self.written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.written = True
        return int(self.file.write(content[:3]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Half:
        return self

    def __exit__(self, *details: Any) -> None:
        self.file.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110 - a device
def test_metrics_that_do_not_fit_end_the_run(config: Path) -> None:
    class Filler(Notes):
        def start(self, info: Any) -> None:
            (config.parent / "run" / "metrics.csv").symlink_to("/dev/full")

    result = train(config, notes=Filler())
    assert result.status == "failed"
    assert "metrics.csv: No space left on device" in result.reason


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    code = "from mxtrain.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_exit_code_of_a_failed_run(tmp_path: Path) -> None:
    config = write_config(tmp_path, DIVERGES)
    done = command("fit", str(config), "--quiet", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "first tensor that is not finite: 'fc2_output'" in done.stderr
    assert "model-0001-batch-0001.params" in done.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write into every folder")
def test_a_folder_that_cannot_be_written(config: Path) -> None:
    config.parent.chmod(0o500)
    try:
        done = command("fit", "config.yaml", cwd=config.parent)
    finally:
        config.parent.chmod(0o700)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "runs: Permission denied\n"


def test_a_folder_that_cannot_be_made(config: Path) -> None:
    output = str(Path("config.yaml", "run"))
    done = command("fit", "-o", output, cwd=config.parent)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{output}: Not a directory\n"
