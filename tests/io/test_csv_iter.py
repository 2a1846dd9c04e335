from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.io import CSVIter


def rows(path: Path, n: int, columns: int = 2) -> Path:
    text = "".join(",".join(str(i * 10 + j) for j in range(columns)) + "\n" for i in range(n))
    path.write_text(text)
    return path


def firsts(it: CSVIter) -> list[tuple[list[float], int | None]]:
    return [((b.data[0][:, 0] / 10).tolist(), b.pad) for b in it]


def test_shapes_and_types(tmp_path: Path) -> None:
    data, label = rows(tmp_path / "d.csv", 4, 6), rows(tmp_path / "l.csv", 4, 1)
    it = CSVIter(data, (3, 2), label, batch_size=2, dtype="int32")
    batch = it.next()
    assert batch.data[0].tolist()[0] == [[0, 1], [2, 3], [4, 5]]
    assert batch.label[0].tolist() == [0, 10]
    assert [tuple(it.provide_data[0]), tuple(it.provide_label[0])] == [
        ("data", (2, 3, 2)),
        ("softmax_label", (2,)),
    ]
    assert batch.data[0].dtype == batch.label[0].dtype == np.int32


def test_labels_of_several_numbers_and_none(tmp_path: Path) -> None:
    data = rows(tmp_path / "d.csv", 2)
    it = CSVIter(data, (2,), rows(tmp_path / "l.csv", 2, 3), (3,), batch_size=2)
    assert it.next().label[0].tolist() == [[0, 1, 2], [10, 11, 12]]
    assert CSVIter(data, (2,), batch_size=2).next().label[0].tolist() == [0, 0]


def test_round_batch_goes_on_after_the_rows_used(tmp_path: Path) -> None:
    """MXNet: with 4 rows and batches of 3, two more are used up and missing in the next round."""
    it = CSVIter(rows(tmp_path / "d.csv", 4), (2,), batch_size=3)
    assert firsts(it) == [([0, 1, 2], 0), ([3, 0, 1], 2)]
    it.reset()
    assert firsts(it) == [([2, 3, 0], 1)]
    it.reset()
    assert firsts(it) == [([1, 2, 3], 0)]
    it.hard_reset()
    assert firsts(it) == [([0, 1, 2], 0), ([3, 0, 1], 2)]


def test_without_round_batch_each_epoch_begins_at_the_first_row(tmp_path: Path) -> None:
    it = CSVIter(rows(tmp_path / "d.csv", 4), (2,), batch_size=3, round_batch=False)
    for _ in range(2):
        assert firsts(it) == [([0, 1, 2], 0), ([3, 0, 1], 2)]
        it.reset()


def test_reset_midway_begins_at_the_first_row(tmp_path: Path) -> None:
    it = CSVIter(rows(tmp_path / "d.csv", 7), (2,), batch_size=3)
    it.next()
    it.reset()
    assert firsts(it)[0] == ([0, 1, 2], 0)


@given(n=st.integers(1, 9), batch=st.integers(1, 12), target=st.integers(0, 5))
def test_set_epoch(
    tmp_path_factory: pytest.TempPathFactory, n: int, batch: int, target: int
) -> None:
    file = rows(tmp_path_factory.getbasetemp() / f"rows{n}.csv", n)
    ran, jumped = (CSVIter(file, (2,), batch_size=batch) for _ in range(2))
    for _ in range(target):
        assert firsts(ran)
        ran.reset()
    jumped.set_epoch(target)
    assert firsts(ran) == firsts(jumped)


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("3,4\n")
    (tmp_path / "a.csv").write_text("\ufeff1, 2\n\n", encoding="utf-8")
    assert CSVIter(tmp_path, (2,), batch_size=2).next().data[0].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "dtype", "match"),
    [
        ("1,2\n\n3\n", "float32", r"d.csv:3: 1 numbers, expected 2"),
        ("a,b\n", "float32", r"d.csv:1: 'a' is not a number; .* without a header"),
        ("1,2\n1,2.5\n", "int32", r"d.csv:2: '2.5' is not a whole number"),
        ("1,99999999999\n", "int32", "does not fit int32"),
        ("", "float32", "no rows"),
        ("\xff,1\n", "float32", "not a text file"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, dtype: str, match: str) -> None:
    (tmp_path / "d.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(FileFormatError, match=match):
        CSVIter(tmp_path / "d.csv", (2,), dtype=dtype)


def test_missing_file_wrong_lengths_and_types(tmp_path: Path) -> None:
    data = rows(tmp_path / "d.csv", 3)
    with pytest.raises(MXNetError, match=r"cannot read .*none\.csv: No such file"):
        CSVIter(tmp_path / "none.csv", (2,))
    with pytest.raises(MXNetError, match=r"has 3 rows but .* has 2"):
        CSVIter(data, (2,), rows(tmp_path / "l.csv", 2, 1))
    with pytest.raises(ValueError, match="float32, int32 or int64, got 'float64'"):
        CSVIter(data, (2,), dtype="float64")
