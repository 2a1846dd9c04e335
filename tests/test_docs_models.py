"""What the documentation shows about saved models runs, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# ([\w.]+\.(?:py|yaml))\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the data, the configs, a model that MXNet wrote, and the command."""
    for name in ("data", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("mlp-symbol.json", "mlp-0003.params"):
        shutil.copy(ROOT / "tests" / "golden" / "files" / name, tmp_path)
    command = tmp_path / "bin" / "mxtrain"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m mxtrain.cli "$@"\n')
    command.chmod(0o755)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def carry_out(text: str, folder: Path) -> str:
    """Write the blocks that begin with a file's name, run the others; return what they print."""
    printed, before = [], ""
    blocks = BLOCK.findall(text)
    assert len(blocks) >= 3
    for language, code in blocks:
        named = NAMED.match(code)
        if named:
            (folder / named[1]).write_text(code, encoding="utf-8")
        elif language == "sh":
            printed.append(run(folder, "sh", "-e", "-c", code))
        else:
            # MXNet is not at hand; mxtrain has its names.
            code = code.replace("import mxnet as mx", "import mxtrain as mx")
            before += code
            printed.append(run(folder, sys.executable, "-W", "error", "-c", before))
    return "".join(printed)


def section(page: str, title: str) -> str:
    text = (DOCS / page).read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_stopping_and_going_on_of_the_guide(folder: Path) -> None:
    blocks = BLOCK.findall(section("guide.md", "Stopping and going on"))
    printed = "".join(run(folder, "sh", "-e", "-c", code) for kind, code in blocks if kind == "sh")
    assert re.findall(r"^epoch (\d)/", printed, re.MULTILINE) == list("123434")
    assert printed.count("\nresumed  ") == 2


def test_predicting_and_fine_tuning_of_the_guide(folder: Path) -> None:
    first, second = (section("guide.md", t) for t in ("Predicting and evaluating", "Fine-tuning"))
    printed = carry_out(first + second, folder)
    assert "360 predictions of base/model-0005.params written to predicted.parquet" in printed
    assert "model-0005.params, 4 arrays taken" in printed
    assert "2 missing, so initialized: fc3_new_weight, fc3_new_bias" in printed
    accuracy = re.findall(r"^accuracy +([\d.]+)$", printed, re.MULTILINE)
    assert len(accuracy) == 3
    assert min(map(float, accuracy)) > 0.9


def test_coming_from_mxnet_and_going_back(folder: Path) -> None:
    printed = carry_out((DOCS / "from-mxnet.md").read_text(encoding="utf-8"), folder)
    assert "200 predictions of mlp-0003.params written to predicted.csv" in printed
    assert "mlp-0003.params, 15 arrays taken" in printed
    assert "mlp-0003.params, 13 arrays taken" in printed
    assert "2 missing, so initialized: fc_new_weight, fc_new_bias" in printed
    assert "2 left over: fc3_weight, fc3_bias" in printed
    assert (folder / "tuned" / "model-0005.params").exists()
    assert "(200, 5)" in printed
