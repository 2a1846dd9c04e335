"""Small CSV files are read without polars, and give what polars would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mxtrain.io import DataError, small_table
from mxtrain.io.small_table import SmallTable
from mxtrain.io.table import Table, read_table

CELLS = st.one_of(
    st.sampled_from(["", " ", "a", "b c", "1", "-2.5", "+3", "1e5", ".5", "5.", "1_0", "0x1", "e"]),
    st.sampled_from(
        ["inf", "nan", "-Infinity", "é", "1e400", "1e-400", "--1", "1 2", "None", "\t1"]
    ),
    st.floats(width=64).map(repr),
    st.integers().map(str),
    st.text("ab,\"'\r\n 1.", max_size=4),
)
LINES = st.lists(CELLS, min_size=0, max_size=3).map(",".join)


def outcome(function: Any, *arguments: Any) -> Any:
    """What a call gives or raises, in a form that can be compared."""
    try:
        found = function(*arguments)
    except DataError as error:
        return str(error)
    return found.dtype.str, found.tobytes()


def read(path: Path) -> Any:
    """Every column in both readings, or the error."""
    try:
        table = read_table(path)
    except DataError as error:
        return str(error)
    values = [outcome(ask, n) for n in table.names for ask in (table.numbers, table.labels)]
    return len(table), table.names, values


@settings(max_examples=300)
@given(
    header=st.sampled_from(["x", "x,y", "x,y,z"]),
    lines=st.lists(LINES, max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
@example(header="x", lines=["1", " ", "2"], end="\n", last=True)
@example(header="x,y", lines=["1,a", ",", "", "2,b"], end="\r\n", last=False)
def test_polars_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, header: str, lines: list[str], end: str, last: bool
) -> None:
    path = tmp_path_factory.mktemp("small") / "t.csv"
    path.write_bytes((end.join([header, *lines]) + end * last).encode())
    here = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_table, "LARGEST", -1)
        assert here == read(path)


def kind_of(folder: Path, content: bytes, name: str = "t.csv") -> type[Table]:
    path = folder / name
    path.write_bytes(content)
    return type(read_table(path))


def test_what_is_not_plain_is_left_to_polars(tmp_path: Path) -> None:
    assert kind_of(tmp_path, b"x,y\n1,2\n") is SmallTable
    assert kind_of(tmp_path, "x\ty\n1\té\n".encode(), "t.tsv") is SmallTable
    assert kind_of(tmp_path, b"\xef\xbb\xbfx,y\r\n1,2\r\n") is SmallTable
    assert kind_of(tmp_path, b'x,y\n"1",2\n') is Table
    assert kind_of(tmp_path, b"x,y\n1\n") is Table
    assert kind_of(tmp_path, b"x\n" + b"1\n" * (small_table.LARGEST // 2)) is Table
    assert kind_of(tmp_path, b"x\n" + b"1\n" * (small_table.LARGEST // 2 - 1)) is SmallTable


def test_numbers_that_cannot_be_used_have_the_same_message(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,a\n\n,b\n1e400,c\n")
    table = read_table(path)
    assert isinstance(table, SmallTable)
    with pytest.raises(DataError, match=r"t.csv:4: column 'x': the value is missing"):
        table.numbers("x")
    assert table.labels("y").tolist() == ["a", "b", "c"]
    with pytest.raises(DataError, match="did you mean 'x'"):
        table.numbers("xx")
    assert np.array_equal(read_table(path).labels("y"), ["a", "b", "c"])


def test_polars_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,a\n2,b\n")
    code = (
        "import sys; from mxtrain.io.table import read_table; "
        f"t = read_table({str(path)!r}); t.numbers('x'), t.labels('y'); "
        "sys.exit('polars' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
