from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.io import DataError, header, read_table
from mxtrain.io.table import Table


def write(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ["a", "b"]),
        ("a,b", ["a", "b"]),
        ("\ufeffa,b\r\n1,2\r\n", ["a", "b"]),
        ('"x, y", "z""q" \n', ["x, y", '"z""q"']),
        ('"two\nlines",b\n', ["two\nlines", "b"]),
        ("\n\na , b\n", ["a", "b"]),
        ("é,中\n", ["é", "中"]),
    ],
)
def test_header(tmp_path: Path, text: str, names: list[str]) -> None:
    assert header(write(tmp_path, text)) == names


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", r"t\.csv: is empty; the first line must name the columns"),
        ("\n\n", "is empty"),
        ("a,,b\n", r"t\.csv:1: column 2 has no name; name it, or remove"),
        ("a,b,a\n", r"t\.csv:1: 'a' is the name of two columns; rename one"),
        ("a;b\n1;2\n", r"'a;b' the header is one column; .* separated by commas"),
        (b"\xff\xfe\n", "is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_bad_header(tmp_path: Path, text: str | bytes, match: str) -> None:
    with pytest.raises(DataError, match=match):
        header(write(tmp_path, text))


def test_header_of_other_kinds(tmp_path: Path) -> None:
    import polars as pl

    assert header(write(tmp_path, "a b\tc\n1\t2\n", "t.tsv")) == ["a b", "c"]
    assert header(write(tmp_path, "a b\tc\n1\t2\n", "t.TSV")) == ["a b", "c"]
    assert header(write(tmp_path, "a,b\n1,2\n", "t.tsv.csv")) == ["a", "b"]
    assert header(write(tmp_path, gzip.compress(b"a,b\n1,2\n"), "t.csv.gz")) == ["a", "b"]
    pl.DataFrame({"a": [1], "b": ["x"]}).write_parquet(tmp_path / "t.parquet")
    assert header(tmp_path / "t.parquet") == ["a", "b"]


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: cannot be read"):
        header(tmp_path / name)


def test_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read as Parquet"):
        read_table(write(tmp_path, "a,b\n", "t.parquet"))
    with pytest.raises(DataError, match=r"t\.csv\.gz: cannot be read"):
        read_table(write(tmp_path, gzip.compress(b"a,b\n1,2\n")[:-12], "t.csv.gz"))


def test_header_costs_neither_numpy_nor_polars(tmp_path: Path) -> None:
    file = write(tmp_path, "a,b\n")
    code = (
        "import sys; from mxtrain.io.table import header; header(sys.argv[1]); "
        "print([m for m in ('numpy', 'polars') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(file)]
    assert subprocess.check_output(command, text=True).strip() == "[]"


def test_columns(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, 'i,f,t,q\n1, 1e-3,x,"a,b"\n\n 02,.5,y ,\n3,+5,1,c\n,,,\n'))
    assert (len(table), table.names) == (3, ["i", "f", "t", "q"])
    assert table.numbers("i").tolist() == [1, 2, 3]
    assert table.numbers("f").tolist() == [0.001, 0.5, 5]
    assert table.labels("i").dtype == np.int64
    assert table.labels("f").dtype == np.float64
    assert table.labels("t").tolist() == ["x", "y", "1"]


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    file = write(tmp_path_factory.getbasetemp(), "x\n" + "".join(f"{v!r}\n" for v in values))
    assert read_table(file).numbers("x").tolist() == values


@pytest.mark.parametrize(
    ("text", "row", "match"),
    [
        ("x,y\n1,2\nabc,3\n", 3, r"t\.csv:3: column 'x': 'abc' is not a number; .*ignore: \[x\]"),
        ("x,y\n\n1,2\n\n1_000,3\n", 5, "'1_000' is not a number"),
        ('x,y\n1,"two\nlines"\n"0,1",3\n', 4, "'0,1' is not a number"),
        ("x,y\n1,2\n,3\n", 3, r"t\.csv:3: column 'x': the value is missing; fill it in"),
        ('x,y\n1,2\n"",3\n', 3, "the value is missing"),
        ("x,y\nnan,2\n", 2, "'nan' is not a finite number; replace the value"),
        ("x,y\n1,2\n1e999,2\n", 3, "'1e999' is not a finite number"),
        ("x,y\n-inf,2\n", 2, "'-inf' is not a finite number"),
    ],
)
def test_bad_number(tmp_path: Path, text: str, row: int, match: str) -> None:
    table = read_table(write(tmp_path, text))
    with pytest.raises(DataError, match=match) as caught:
        table.numbers("x")
    assert (caught.value.row, caught.value.column) == (row, "x")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x\na\n  \nb\n", r"t\.csv:3: column 'x': the value is missing"),
        ("x,y\n1,1\n,1\n", r"t\.csv:3: column 'x': the value is missing"),
        ("x\n1\nnan\n", "'nan' is not a finite number"),
    ],
)
def test_bad_label(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_table(write(tmp_path, text)).labels("x")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n", "has a header but no rows"),
        ("a,b\n\n,\n", "has a header but no rows"),
        ("a,b\n1,2\n\n1,2,3\n", r"t\.csv:4: 3 values, but the header has 2 columns; put quotes"),
        ("a,b\n1,2\n\udcff,2\n".encode("utf-8", "surrogateescape"), "cannot be read as CSV|UTF-8"),
        ('a,b\n"open,2\n1,2\n', r"t\.csv:2: a quote opens a value and nothing ends it; end the"),
    ],
)
def test_bad_table(tmp_path: Path, text: str | bytes, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_table(write(tmp_path, text)).numbers("b")


def test_a_row_that_is_too_short_misses_a_value(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv:3: column 'b': the value is missing"):
        read_table(write(tmp_path, "a,b\n1,2\n3\n")).numbers("b")


def test_all_unknown_columns_are_told_at_once(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "height,width\n1,2\n"))
    with pytest.raises(DataError) as told:
        table.require(["hieght", "width", "z", "z"])
    wanted = "t.csv: has no columns 'hieght' (did you mean 'height'?), 'z'; it has: height, width"
    assert str(told.value).endswith(wanted)
    with pytest.raises(DataError, match=r"'c7' and 2 more; it has: height, width$"):
        table.require([f"c{number}" for number in range(10)])


def test_unknown_column(tmp_path: Path) -> None:
    table = read_table(write(tmp_path, "height,width\n1,2\n"))
    with pytest.raises(DataError, match=r"has no column 'hieght' .did you mean 'height'"):
        table.require(["width", "hieght"])


def parquet(folder: Path) -> Table:
    import polars as pl

    frame = pl.DataFrame(
        {
            "i": [3, 4],
            "f": [1.5, float("nan")],
            "n": [1, None],
            "b": [True, False],
            "t": ["x", "y"],
            "l": [[1], [2]],
        }
    )
    frame.write_parquet(folder / "t.parquet")
    return read_table(folder / "t.parquet")


def test_parquet(tmp_path: Path) -> None:
    table = parquet(tmp_path)
    assert table.numbers("i").tolist() == [3, 4]
    assert table.numbers("b").tolist() == [1, 0]
    assert table.labels("t").tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ("f", r"t\.parquet: row 2: column 'f': nan is not a finite number"),
        ("n", r"t\.parquet: row 2: column 'n': the value is missing"),
        ("t", r"t\.parquet: row 1: column 't': 'x' is not a number"),
        ("l", r"t\.parquet: row 1: column 'l': .* is not a number"),
    ],
)
def test_bad_parquet_column(tmp_path: Path, column: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        parquet(tmp_path).numbers(column)


def test_line_of_a_row_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="has no row 1"):
        read_table(write(tmp_path, "a\n1\n")).line(1)
