"""The starter: written once, complete, and never over something else."""

from __future__ import annotations

import csv
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mxtrain.cli import command_line
from mxtrain.cli.new import FILES
from mxtrain.starter import spirals


def new(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, ["new", *arguments], prog_name="mxtrain")


def test_writes_the_files_into_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    result = new(str(folder))
    assert result.exit_code == 0
    assert f"cd {folder}, then mxtrain fit" in result.output
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_writes_here_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Next: mxtrain fit" in new().output
    assert (tmp_path / "config.yaml").is_file()


@pytest.mark.parametrize("present", FILES)
def test_refuses_to_overwrite(tmp_path: Path, present: str) -> None:
    (tmp_path / present).write_text("mine", encoding="utf-8")
    result = new(str(tmp_path))
    assert result.exit_code == 2
    assert present in result.output
    assert [path.name for path in tmp_path.iterdir()] == [present]
    assert (tmp_path / present).read_text(encoding="utf-8") == "mine"


def test_refuses_a_file_as_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("", encoding="utf-8")
    assert new(str(path)).exit_code == 2


def test_data_are_what_their_recipe_makes(tmp_path: Path) -> None:
    spirals.write(tmp_path)
    for name, per_class in spirals.FILES.items():
        with files("mxtrain.starter").joinpath(name).open(encoding="utf-8") as shipped:
            kept = list(csv.reader(shipped))
        with (tmp_path / name).open(encoding="utf-8") as fresh:
            made = list(csv.reader(fresh))
        assert len(kept) == len(made) == 1 + 3 * per_class
        for ours, theirs in zip(kept[1:], made[1:], strict=True):
            assert ours[2] == theirs[2]
            assert [float(x) for x in ours[:2]] == pytest.approx(
                [float(x) for x in theirs[:2]], abs=2e-4
            )
        assert {row[2] for row in kept[1:]} == set(spirals.CLASSES)


def test_works_from_the_files_that_are_installed(tmp_path: Path) -> None:
    """With the Python files and the package data of pyproject.toml alone, in an empty folder."""
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["mxtrain"]
    package = root / "mxtrain"
    for path in [*package.rglob("*.py"), *(p for each in patterns for p in package.glob(each))]:
        if path.is_file():
            target = tmp_path / "site" / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    empty = tmp_path / "empty"
    empty.mkdir()
    site = str(tmp_path / "site")
    code = f"import sys; sys.path.insert(0, {site!r}); from mxtrain.cli import main; main()"
    command = [sys.executable, "-c", code, "new"]
    done = subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in empty.iterdir()) == sorted(FILES)
