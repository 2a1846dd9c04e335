"""docs/extending.md, carried out: its files are written, its commands run, its runs learn."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```\w+\n(# (\S+\.(?:py|yaml))\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file of the page, in which the paths of its configs lead to the data."""
    path = tmp_path_factory.mktemp("extending")
    (path / "data").symlink_to(ROOT / "data")
    for text, name in FILES:
        (path / name).write_text(text, encoding="utf-8")
    return path


def run(folder: Path, line: str) -> str:
    command = [sys.executable, "-m", "mxtrain.cli", *line.split()[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_has_files_and_commands() -> None:
    names = [name for _, name in FILES]
    assert sorted(names) == sorted(
        ["yogi.py", "sparse.py", "triangular.py", "confidence.py", "digits.yaml", "all.yaml"]
    )
    assert len(COMMANDS) == 7
    assert all(line.startswith("mxtrain ") for line in COMMANDS)


def test_the_rule_is_ten_lines() -> None:
    (text,) = (text for text, name in FILES if name == "yogi.py")
    body = text[text.index("    learning_rate:") :]
    assert len([line for line in body.splitlines() if line.strip()]) <= 11


@pytest.mark.parametrize("line", [line for line in COMMANDS if " fit " not in line])
def test_command(line: str, folder: Path) -> None:
    printed = run(folder, line)
    expected = {
        "show": ("yogi (optimizer)", "v ← v - (1 - β₂)", "states per weight: 2 (mean, var)"),
        "list-optimizers": ("2 (mean, var)  Zaheer and others, NeurIPS 2018",),
        "validate": ("nothing is wrong",),
        "lr": ("triangular(period=4 epochs)",),
        "init": ("Sparse: count 15, sigma 0.4",),
    }
    for text in expected[line.split()[1]]:
        assert text in printed


@pytest.mark.parametrize("line", [line for line in COMMANDS if " fit " in line])
def test_run_learns(line: str, folder: Path) -> None:
    run(folder, line)
    rows = (folder / line.split()[-1] / "metrics.jsonl").read_text().splitlines()
    last = json.loads(rows[-1])
    assert last["eval_accuracy"] >= 0.95
    if "all.yaml" in line:
        assert 0.5 < last["eval_confidence"] <= 1


def test_a_built_in_optimizer_is_one_file_and_one_row() -> None:
    """The places that the page names are there, and no other file of the package knows a class."""
    for name in re.findall(r"`((?:mxtrain|tests)/[\w/]+\.py)`", PAGE):
        assert (ROOT / name.replace("NAME", "adam")).exists(), name
    for name in ("adabelief", "warmupstabledecay", "truncatednormal"):
        naming = [
            path.stem.replace("_", "")
            for path in (ROOT / "mxtrain").rglob("*.py")
            if name in path.read_text(encoding="utf-8").lower()
        ]
        assert naming == [name]
