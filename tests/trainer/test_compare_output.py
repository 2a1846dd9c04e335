"""Comparisons whose own output is lost end as when they are stopped, and blame no trial."""

from __future__ import annotations

import csv
import errno
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compare_runs import Watcher, config, run

__all__ = ["config"]

posix = pytest.mark.skipif(os.name == "nt", reason="a closed pipe is told in another way there")
COMMAND = "import sys; from mxtrain.cli import main; main()"
NAMES = ["sgd", "adam", "nag"]


class Leaving(Watcher):
    """A reporter whose output has gone at one of its calls."""

    def __init__(self, during: str, error: OSError) -> None:
        super().__init__()
        self.calls = 0

        def gone(what: Any) -> None:
            epochs = getattr(what, "epochs", 2)
            if epochs >= 2:
                self.calls += 1
                raise error

        setattr(self, during, gone)


def results(folder: Path) -> list[tuple[str, str, int]]:
    """Return label, status and epochs of each trial, in the order they were tried."""
    rows = json.loads((folder / "results.json").read_text())["rows"]
    rows.sort(key=lambda row: row["number"])
    return [(row["label"], row["status"], row["epochs"]) for row in rows]


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space")])
@pytest.mark.parametrize("jobs", [1, 2])
def test_no_trial_is_blamed(config: Path, jobs: int, error: OSError) -> None:
    watcher = Leaving("update", error)
    with pytest.raises(type(error)) as raised:
        run(config, "fit.num_epoch=300", names=NAMES, jobs=jobs, watcher=watcher)
    assert raised.value is error
    assert watcher.calls == 1 and watcher.ended is None
    found = results(config.parent / "out")
    assert {status for _, status, _ in found} == {"interrupted"}
    assert max(epochs for *_, epochs in found) >= 2 and found[2] == ("nag", "interrupted", 0)
    assert (config.parent / "out" / "curves.svg").exists()
    with (config.parent / "out" / "results.csv").open() as file:
        reasons = {row["reason"] for row in csv.DictReader(file)}
    assert reasons == {f"stopped, since the output cannot be written ({error.strerror})"}
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(("during", "statuses"), [("start", {"interrupted"}), ("finish", {"done"})])
def test_the_table_is_there(config: Path, during: str, statuses: set[str]) -> None:
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        run(config, names=NAMES, watcher=Leaving(during, error))
    assert {status for _, status, _ in results(config.parent / "out")} == statuses


def start(config: Path, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    given = [sys.executable, "-c", COMMAND, "compare", str(config), "-o", "out", *arguments]
    names = ["--optimizer", ",".join(NAMES)]
    return subprocess.Popen(
        [*given, *names], stderr=subprocess.PIPE, text=True, cwd=config.parent, **streams
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110 - a device
@pytest.mark.parametrize("form", [(), ("--json",)], ids=str)
def test_output_to_a_full_device(config: Path, form: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        process = start(config, *form, stdout=full)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "standard output: No space left on device\n")
    assert {status for _, status, _ in results(config.parent / "out")} == {"interrupted"}


@posix
def test_a_closed_pipe(config: Path) -> None:
    process = start(config, "--set", "fit.num_epoch=100000", stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()
    assert results(config.parent / "out")[0][1] == "interrupted"
