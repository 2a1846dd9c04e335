"""Commands that write files, on a disk that takes none: one line that names the file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.trainer.prediction_files import FORMATS

FULL = Path("/dev/full")
WEIGHTS = "run/model-0001.params"
COMPARE = ("compare", "--optimizer", "sgd", "--set", "fit.num_epoch=1", "-q", "-o")


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, list(arguments), prog_name="mxtrain")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A starter with a run of one epoch."""
    folder = tmp_path_factory.mktemp("full")
    config, run = str(folder / "config.yaml"), str(folder / "run")
    assert invoke("new", str(folder)).exit_code == 0
    assert invoke("fit", config, "-q", "-o", run, "--set", "fit.num_epoch=1").exit_code == 0
    return folder


@pytest.fixture
def full(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in that folder, on a disk that is full as soon as bytes have to reach it."""

    def fails(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.chdir(trained)
    monkeypatch.setattr(os, "fsync", fails)
    before = set(trained.iterdir())
    yield trained
    (*left,) = {path.name for path in trained.iterdir()} - {path.name for path in before}
    assert set(left) <= {"new", "compared"}  # folders, made before anything is written


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("arguments", "written", "code"),
    [
        *((("predict", "run", "test.csv", "-o", f"p{end}"), f"p{end}", 2) for end in FORMATS),
        *((("convert", WEIGHTS, f"w{end}"), f"w{end}", 2) for end in (".npz", ".safetensors")),
        (("convert", WEIGHTS, "w.params"), "w.params", 2),
        *((("init", "--dump", f"i{end}"), f"i{end}", 2) for end in (".npz", ".params")),
        (("export", "run", "--onnx", "m.onnx"), "m.onnx", 2),
        (("new", "new"), str(Path("new", "config.yaml")), 2),
        ((*COMPARE, "compared"), str(Path("compared", "config.yaml")), 1),
    ],
)
def test_the_file_is_named(arguments: tuple[str, ...], written: str, code: int) -> None:
    result = invoke(*arguments)
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    assert line.removeprefix("Error: ").endswith(f"{written}: No space left on device")


class Full:
    """A file on a full disk."""

    def write(self, content: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("ending", list(FORMATS))
def test_no_format_hides_that_the_disk_is_full(ending: str) -> None:
    target: Any = Full()
    with pytest.raises(OSError, match="No space left on device"):
        FORMATS[ending](target, [{"prediction": np.arange(5)}])


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", ["predict run test.csv", "--help", "fit --help", "list-metrics"])
def test_standard_output_is_named(trained: Path, words: str) -> None:
    command = [sys.executable, "-m", "mxtrain.cli", *words.split()]
    root = Path(__file__).parents[2]
    with FULL.open("wb") as target:
        done = subprocess.run(
            command,
            cwd=trained,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=target,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == b"standard output: No space left on device\n"
