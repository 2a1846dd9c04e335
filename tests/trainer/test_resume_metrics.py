"""Metrics that an editor has been at: --force takes what is left, and says where it is from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from resume_runs import NETWORK, compare, no_disk, resume
from trainer_runs import Notes, recorded, write_config

from mxtrain.config import load
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.run import fit

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]

JSONL, CSV = "metrics.jsonl", "metrics.csv"
FILES = (JSONL, CSV)
MORE = "fit.num_epoch=4"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of three epochs."""
    config = write_config(tmp_path, NETWORK)
    fit(load(config), Notes(), output=tmp_path / "run")
    return tmp_path / "run"


def forced(run: Path, *changes: str) -> str:
    """Go on after a refusal; return what is said of the metrics."""
    with pytest.raises(SetupError, match=r"take the rows that are left with --force"):
        resume(run, *changes)
    notes = Notes()
    assert resume(run, *changes, notes=notes, force=True).status == "done"
    assert notes.info is not None
    log = (run / "log.txt").read_text()
    told = [note for note in notes.info.notes if "metrics." in note]
    assert all(note in log for note in told)
    return "\n".join(told)


def aside(run: Path) -> list[str]:
    return sorted(path.name for path in run.glob("*.edited*"))


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


SAVED_BY_EDITORS: dict[str, Callable[[bytes], bytes]] = {
    "line ends": lambda content: content.replace(b"\n", b"\r\n"),
    "old line ends": lambda content: content.replace(b"\n", b"\r"),
    "mark": lambda content: b"\xef\xbb\xbf" + content,
    "mark and line ends": lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"),
    "no last line end": lambda content: content[:-1],
    "utf-16": lambda content: content.decode().encode("utf-16"),
}


@pytest.mark.parametrize("how", SAVED_BY_EDITORS)
def test_line_ends_and_coding_are_put_back(run: Path, how: str) -> None:
    whole = run.parent / "whole"
    shutil.copytree(run, whole)
    before = {name: (run / name).read_bytes() for name in FILES}
    for name in FILES:
        (run / name).write_bytes(SAVED_BY_EDITORS[how](before[name]))
    said = forced(run, MORE)
    assert said.count("no row differs") == 2
    assert aside(run) == []
    assert all((run / name).read_bytes().startswith(before[name]) for name in FILES)
    resumed = resume(run)
    compare(whole, resume(whole, MORE), run, resumed)
    assert resume(run / "model-0002.safetensors").status == "done"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["missing", "emptied", "changed", "row removed", "nonsense"])
def test_one_file_is_told_from_the_other(run: Path, name: str, how: str) -> None:
    path, other = run / name, FILES[1 - FILES.index(name)]
    before = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "nonsense":
        path.write_bytes(b"\xff\xfe\x80")
    else:
        lines = path.read_text().splitlines(keepends=True)
        changed = [line.replace("1", "2") for line in lines]
        kept = {"emptied": [], "changed": changed, "row removed": lines[:-2] + lines[-1:]}
        path.write_text("".join(kept[how]))
    edited = path.read_bytes() if path.exists() else None
    said = forced(run, MORE)
    assert f"rows taken from {other}: epochs 1-3" in said
    assert path.read_bytes().startswith(before)
    if edited is None:
        assert "is missing" in said and aside(run) == []
    else:
        assert f"is kept as {name}.edited" in said
        assert (run / f"{name}.edited").read_bytes() == edited
    assert resume(run / "model-0001.safetensors").status == "done"


def test_what_is_not_finite_is_told_from_the_table(run: Path) -> None:
    def infinite(line: str) -> str:
        return line.replace(line.split(",")[2], "inf")

    path = run / CSV
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, infinite(rows[0]), *rows[1:]]) + "\n")
    (run / JSONL).write_text("")
    said = forced(run, MORE)
    assert f"rows taken from {CSV}: epochs 1-3" in said
    assert "rows taken as they stand there: epochs 1-3" in said
    assert recorded(run)[0]["train_loss"] is None
    assert path.read_text().splitlines()[1] == infinite(rows[0])


def test_rows_of_both_files_make_one(run: Path) -> None:
    rows = recorded(run)
    edit(run / JSONL, lambda text: text.splitlines()[0] + "\n{not a row\n[3]\n")
    edit(run / CSV, lambda text: "\n".join(text.splitlines()[:1] + text.splitlines()[2:3]))
    said = forced(run, MORE)
    lines = said.splitlines()
    assert "rows taken as they stand there: epoch 1" in lines[0]
    assert f"rows taken from {CSV}: epoch 2; rows lost: epoch 3" in lines[0]
    assert "rows taken as they stand there: epoch 2" in lines[1]
    assert f"rows taken from {JSONL}: epoch 1; rows lost: epoch 3" in lines[1]
    assert recorded(run)[:2] == rows[:2]
    assert [row["epoch"] for row in recorded(run)] == [1, 2, 4]
    table = [line.split(",")[0] for line in (run / CSV).read_text().splitlines()]
    assert table == ["epoch", "1", "2", "4"]
    assert aside(run) == [f"{CSV}.edited", f"{JSONL}.edited"]
    assert resume(run, "fit.num_epoch=5").status == "done"  # the state knows them as they are now


def test_what_is_kept_aside_is_never_replaced(run: Path) -> None:
    for number in ("first", "second"):
        edit(run / CSV, lambda text, number=number: f"{text}{number}\n".replace("0.", "1."))
        forced(run, MORE)
    first, second = aside(run)
    assert (first, second) == (f"{CSV}.edited", f"{CSV}.edited2")
    assert "first" in (run / first).read_text() and "second" in (run / second).read_text()
    config = run.parent / "config.yaml"
    fit(load(config, ["fit.num_epoch=1"]), Notes(), output=run, overwrite=True)
    assert aside(run) == []


def test_columns_taken_out_come_from_the_other_file(run: Path) -> None:
    rows = recorded(run)
    edit(run / JSONL, lambda text: text.replace('"epoch": 2', '"epoch": "two"'))
    edit(
        run / CSV,
        lambda text: "".join(f"{line.split(',')[0]},x\n" for line in text.splitlines()),
    )
    said = forced(run, MORE)
    assert "rows taken as they stand there: epochs 1, 3" in said
    assert recorded(run)[0] == rows[0]
    assert recorded(run)[1]["train_loss"] is None  # nobody knows it any more
    header, *lines = (run / CSV).read_text().splitlines()
    assert header.split(",") == list(json.loads((run / JSONL).read_text().splitlines()[0]))
    assert lines[1].startswith("2,nan,nan")


def test_a_run_that_had_ended_gets_its_metrics_back(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.name != "log.txt"}
    edit(run / CSV, lambda text: text.replace("0.", "1."))
    assert f"rows taken from {JSONL}: epochs 1-3" in forced(run)
    (run / f"{CSV}.edited").unlink()
    after = {path.name: path.read_bytes() for path in run.iterdir() if path.name != "log.txt"}
    assert before.keys() == after.keys()
    for name in before:
        assert name.endswith("safetensors") or before[name] == after[name], name
    assert resume(run).status == "done"


def test_other_metrics_cannot_slip_in(run: Path) -> None:
    edit(run / CSV, lambda text: text.replace("0.", "1."))
    with pytest.raises(SetupError, match="metrics cannot change within a run"):
        resume(run, "fit.metrics=[ce]", MORE, force=True)
