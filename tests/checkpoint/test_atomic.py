from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from mxtrain.checkpoint.atomic import atomic_write, leftovers, replacing, together


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_new_and_existing_file(tmp_path: Path) -> None:
    atomic_write(tmp_path / "f", b"one")
    atomic_write(str(tmp_path / "f"), lambda file: file.write(b"two"))
    assert contents(tmp_path) == {"f": b"two"}


def test_old_file_until_the_end(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with replacing(tmp_path / "f") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "f").read_bytes() == b"old"
    assert contents(tmp_path) == {"f": b"new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failing_midway_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(error), replacing(tmp_path / "f") as file:
        file.write(b"half of the new")
        raise error("stop")
    assert contents(tmp_path) == {"f": b"old"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "f").write_bytes(b"old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fails)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "f", b"new")
    monkeypatch.undo()
    assert contents(tmp_path) == {"f": b"old"}


def test_flushed_before_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes, then the name, then the folder that holds the name must reach the disk."""
    order = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        order.append("folder" if is_folder else f"{os.fstat(handle).st_size} bytes")
        fsync(handle)

    def noted_replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    atomic_write(tmp_path / "f", b"12345")
    assert order == ["5 bytes", "rename", "folder"]


def test_permissions(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "new", b"")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    (tmp_path / "new").chmod(0o604)
    atomic_write(tmp_path / "new", b"again")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_long_names(tmp_path: Path) -> None:
    atomic_write(tmp_path / ("n" * 250), b"x")
    assert len(contents(tmp_path)) == 1


def test_missing_folder_is_named_by_the_target(tmp_path: Path) -> None:
    target = tmp_path / "none" / "f"
    with pytest.raises(FileNotFoundError) as caught:
        atomic_write(target, b"")
    assert caught.value.filename == str(target)


def test_files_that_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bytes reach the disk, then the names appear in order, then the folder is flushed."""
    (tmp_path / "log").write_bytes(b"123")
    order: list[Any] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        order.append("folder" if is_folder else os.fstat(handle).st_size)
        fsync(handle)

    def noted_replace(self: Path, target: Path) -> Path:
        order.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    with together() as group:
        group.flush_also(tmp_path / "log")
        atomic_write(tmp_path / "a", b"12345")
        atomic_write(tmp_path / "b", b"")
        assert not (tmp_path / "a").exists()
        assert group.content_of(tmp_path / "a").read_bytes() == b"12345"
        assert group.content_of(tmp_path / "log").read_bytes() == b"123"
    assert order == [3, 5, 0, "a", "b", "folder"]
    assert contents(tmp_path) == {"log": b"123", "a": b"12345", "b": b""}


def test_none_of_them_appears_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), together():
        atomic_write(tmp_path / "a", b"new")
        raise ValueError("no")
    assert contents(tmp_path) == {}
    atomic_write(tmp_path / "a", b"alone again")
    assert contents(tmp_path) == {"a": b"alone again"}


@pytest.mark.parametrize("call", [0, 1, 2])
def test_failures_at_the_end_of_a_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls = iter(range(9))
    original = os.fsync if call < 2 else Path.replace

    def fails(*arguments: Any) -> Any:
        if next(calls) == call % 2 + call // 2:
            raise OSError(28, "No space left on device")
        return original(*arguments)  # type: ignore[operator]  # either of two functions

    monkeypatch.setattr(*((os, "fsync") if call < 2 else (Path, "replace")), fails)
    with pytest.raises(OSError, match="No space left"), together():
        atomic_write(tmp_path / "a", b"1")
        atomic_write(tmp_path / "b", b"2")
    monkeypatch.undo()
    assert contents(tmp_path) == ({} if call < 2 else {"a": b"1"})


def test_leftovers_are_found_by_the_name_of_their_target(tmp_path: Path) -> None:
    with replacing(tmp_path / "model-0001.params"):
        (found,) = leftovers(tmp_path, "model-*")
        assert not leftovers(tmp_path, "other-*")
    assert not found.exists()
