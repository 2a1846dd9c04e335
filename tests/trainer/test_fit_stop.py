"""Stopping a run from outside: the running batch is finished and a checkpoint written."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resume_runs import resume
from trainer_runs import CONFIG, Notes, train, weights, write_config

from mxtrain.trainer.loop import Loop
from mxtrain.trainer.resume import states_in

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")


@pytest.fixture(autouse=True)
def not_under_nohup() -> Iterator[None]:
    """Let a hang-up reach the tests, and what they start, where their own starter ignores it."""
    hangup = getattr(signal, "SIGHUP", None)
    before = None if hangup is None else signal.signal(hangup, signal.SIG_DFL)
    yield
    if hangup is not None:
        signal.signal(hangup, before)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def signal_at(monkeypatch: pytest.MonkeyPatch, batch: int, *numbers: int) -> None:
    """Let the process receive signals while it trains on the given batch (from 1) of the run."""
    original, seen = Loop.train_batch, [0]

    def train_batch(self: Loop, *arguments: Any) -> None:
        seen[0] += 1
        if seen[0] == batch:
            for number in numbers:
                os.kill(os.getpid(), number)
        original(self, *arguments)

    monkeypatch.setattr(Loop, "train_batch", train_batch)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_running_batch_is_finished_and_saved(
    config: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    signal_at(monkeypatch, 7 + 4, number)  # seven batches an epoch
    before = signal.getsignal(signal.SIGINT)
    notes = Notes()
    result = train(config, notes=notes)
    assert (result.status, result.epochs, result.signal) == ("interrupted", 1, number)
    assert result.weights == "model-0002-batch-0004.params"
    assert "after batch 4 of epoch 2; weights saved as model-0002-batch-0004" in result.reason
    assert notes.result == result
    assert [row.epoch for row in notes.rows] == [1]
    assert set(weights(result.output, result.weights)) == {
        "fc1_weight",
        "fc1_bias",
        "fc2_weight",
        "fc2_bias",
    }
    assert "interrupted after 1 epochs" in Path(result.output, "log.txt").read_text()
    assert signal.getsignal(signal.SIGINT) is before


@posix
def test_saved_weights_are_those_after_that_batch(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(config, "fit.num_epoch=1", output=config.parent / "whole")
    signal_at(monkeypatch, 7, signal.SIGINT)
    cut = train(config, output=config.parent / "cut")
    # the signal came in the last batch: all of them are learned from, but nothing is evaluated
    assert cut.weights == "model-0001-batch-0007.params"
    assert "after batch 7 of epoch 1" in cut.reason
    assert Path(whole.output, whole.weights).read_bytes() == (
        Path(cut.output, cut.weights).read_bytes()
    )


@posix
def test_a_stop_between_epochs(config: Path) -> None:
    class Stopper(Notes):
        def epoch(self, row: Any) -> None:
            super().epoch(row)
            if row.epoch == 2:
                os.kill(os.getpid(), signal.SIGINT)

    result = train(config, "fit.checkpoint={every: 3, keep: 1}", notes=Stopper())
    assert (result.status, result.epochs, result.weights) == ("interrupted", 2, "model-0002.params")


@posix
def test_a_stop_in_the_last_moment_changes_nothing(config: Path) -> None:
    class Stopper(Notes):
        def epoch(self, row: Any) -> None:
            if row.epoch == 3:
                os.kill(os.getpid(), signal.SIGINT)

    assert train(config, notes=Stopper()).status == "done"


@posix
def test_a_second_signal_stops_at_once(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signal_at(monkeypatch, 3, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    assert not list((config.parent / "run").glob("*.params"))


@posix
def test_interrupted_early_stopping_names_the_best_weights(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_at(monkeypatch, 2 * 7 + 3, signal.SIGINT)
    stopping = "fit.early_stopping={metric: loss, patience: 9}"
    result = train(config, stopping, "fit.num_epoch=9")
    assert result.restored
    assert result.weights == result.best_weights == f"model-{result.best_epoch:04d}.params"
    assert "model-0003-batch-0003.params" in result.files


def started(config: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a long ``mxtrain fit --json`` and wait until it has finished an epoch."""
    command = "import sys; from mxtrain.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "fit", str(config), "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=config.parent,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "epoch":
            return process
    raise AssertionError(process.communicate()[1])


LONG = ("--set", "fit.num_epoch=1000000", "--set", "optimizer.learning_rate=0.001")


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_exit_code_tells_the_signal(config: Path, number: int, code: int) -> None:
    process = started(config, *LONG)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, "")
    finish = json.loads(out.splitlines()[-1])
    assert (finish["event"], finish["status"]) == ("finish", "interrupted")
    assert (config.parent / finish["output"] / finish["weights"]).exists()


@posix
def test_a_killed_run_leaves_only_whole_files(config: Path) -> None:
    process = started(config, *LONG)
    deadline = time.monotonic() + 10
    folder = config.parent / "runs" / "0001"
    while len(list(folder.glob("*.params"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    files = sorted(folder.glob("*.params"))
    assert len(files) >= 3
    for path in files:
        assert np.isfinite(weights(folder, path.name)["fc1_weight"]).all()
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    json.loads((folder / "model-symbol.json").read_text())
    assert CONFIG.splitlines()[0] in (folder / "config.yaml").read_text()


class Leaving(Notes):
    """A reader that goes away with the second epoch."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def epoch(self, row: Any) -> None:
        super().epoch(row)
        if row.epoch == 2:
            raise self.error


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left")]
)
def test_a_run_nobody_listens_to_ends_with_a_checkpoint(config: Path, error: OSError) -> None:
    notes = Leaving(error)
    output = config.parent / "run"
    with pytest.raises(type(error)):
        train(config, output=output, notes=notes)
    assert [row.epoch for row in notes.rows] == [1, 2]
    log = (output / "log.txt").read_text()
    assert f"its output cannot be written ({error.strerror}), after epoch 2" in log
    assert (output / "model-0002.safetensors").exists()


@posix
def test_a_closed_pipe_leaves_a_checkpoint(config: Path) -> None:
    process = started(config, *LONG, "--set", "fit.checkpoint.every=1000000")
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    process.stderr.close()
    (folder,) = (config.parent / "runs").iterdir()
    assert list(folder.glob("model-*.safetensors"))


def gone_at(call: str) -> Notes:
    """Return a reporter whose output is full at its first `call`."""

    def fail(what: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    notes = Notes()
    setattr(notes, call, fail)
    return notes


@pytest.mark.parametrize(
    ("during", "saved"),
    [
        ("start", "model-0001-batch-0001"),
        ("progress", "model-0001-batch-0002"),
        ("epoch", "model-0001"),
        ("finish", "model-0003"),
    ],
)
def test_a_run_whose_output_has_gone_can_go_on(
    config: Path, monkeypatch: pytest.MonkeyPatch, during: str, saved: str
) -> None:
    whole = train(config, output=config.parent / "whole")
    monkeypatch.setattr("mxtrain.trainer.loop.REPORT_EVERY", 0.0)
    with pytest.raises(OSError, match="No space left"):
        train(config, notes=gone_at(during))
    run = config.parent / "run"
    assert states_in(run)[-1].stem == saved
    ending = "done after 3" if during == "finish" else f"weights saved as {saved}.params"
    assert ending in (run / "log.txt").read_text()
    result = resume(run)
    assert result.weights == whole.weights
    assert (run / result.weights).read_bytes() == Path(whole.output, whole.weights).read_bytes()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110 - a device
def test_output_to_a_full_device(config: Path) -> None:
    command = "import sys; from mxtrain.cli import main; main()"
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-c", command, "fit", str(config)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=config.parent,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "standard output: No space left on device\n"
    log = (config.parent / "runs" / "0001" / "log.txt").read_text()
    assert log.endswith("to go on: mxtrain fit --resume runs/0001\n")


@posix
def test_a_terminal_and_its_shell_may_both_hang_up(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_at(monkeypatch, 3, signal.SIGHUP, signal.SIGHUP)
    result = train(config)
    assert (result.status, result.signal) == ("interrupted", signal.SIGHUP)
    assert result.weights == "model-0001-batch-0003.params"


@posix
def test_nohup_stays(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signal_at(monkeypatch, 3, signal.SIGHUP)
        assert train(config).status == "done"
    finally:
        signal.signal(signal.SIGHUP, before)
