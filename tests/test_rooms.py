"""What each room imports is what docs/architecture.md says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mxtrain

ROOT = Path(mxtrain.__file__).parent
TABLE = (ROOT.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
ALL = "all, when a command is called"


def quoted(cell: str) -> set[str]:
    return {name.strip("/") for name in re.findall("`([^`]+)`", cell)}


def rows() -> list[tuple[set[str], str]]:
    """The rooms of each row of the table, and what they import."""
    lines = TABLE.split("|---|---|---|\n")[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [(quoted(first), last) for first, _, last in cells]


ROWS = rows()
SHARED = ROWS[0][0]


def imported_by(path: Path) -> Iterator[str]:
    """The rooms that a module imports, within functions too, but for its annotations alone."""
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node: ast.AST = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        nodes += ast.iter_child_nodes(node)  # type: ignore[arg-type]
        found = []
        if isinstance(node, ast.ImportFrom) and node.module == "mxtrain":
            found = [f"mxtrain.{name.name}" for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or ""]
        elif isinstance(node, ast.Import):
            found = [name.name for name in node.names]
        yield from (name.split(".")[1] for name in found if name.startswith("mxtrain."))


def files_of(room: str) -> list[Path]:
    folder = ROOT / room
    return list(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{room}.py"]


def test_every_room_has_a_row() -> None:
    there = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    there |= {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert set().union(*(rooms for rooms, _ in ROWS)) == there


@pytest.mark.parametrize(("rooms", "told"), ROWS, ids=["-".join(sorted(r)) for r, _ in ROWS])
def test_the_table_tells_what_a_room_imports(rooms: set[str], told: str) -> None:
    found = {name for room in rooms for path in files_of(room) for name in imported_by(path)}
    if told != ALL:
        assert found - SHARED - rooms == quoted(told)
