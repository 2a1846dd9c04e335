from __future__ import annotations

import gzip
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.errors import FileFormatError
from mxtrain.io import DataError, Dataset, Features, Labels, load_dataset, read_npz
from mxtrain.io.dataset import kind_of

CSV = "id,x,y,kind\n7,1,10,red\n8,2,10,blue\n\n9,3,10,red\n"


def write(folder: Path, text: str, name: str = "t.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def made(data: Any = None, label: Any = None, **more: Any) -> Dataset:
    data = np.zeros((len(label), 1)) if data is None else np.asarray(data)
    return Dataset("made", data, None if label is None else np.asarray(label), **more)


@pytest.mark.parametrize(
    ("name", "label"), [("p.csv", None), ("p.npz", None), ("p.idx", None), ("there.idx", "p.idx")]
)
def test_a_pipe_is_refused_rather_than_waited_for(
    tmp_path: Path, name: str, label: str | None
) -> None:
    (tmp_path / "there.idx").write_bytes(b"")
    os.mkfifo(tmp_path / (label or name))
    with pytest.raises(DataError, match=r"p\.\w+: is a pipe or a device, .* to a regular file"):
        load_dataset(tmp_path / name, label=label and str(tmp_path / label))


# -- load_dataset ------------------------------------------------------------------------------


def test_table(tmp_path: Path) -> None:
    found = load_dataset(write(tmp_path, CSV), label="kind", ignore=["id"])
    assert (found.n, found.names, found.label_names) == (3, ("x", "y"), ("kind",))
    assert found.data.tolist() == [[1, 10], [2, 10], [3, 10]]
    assert found.label is not None and found.label.tolist() == ["red", "blue", "red"]


def test_chosen_columns_and_several_labels(tmp_path: Path) -> None:
    found = load_dataset(write(tmp_path, CSV), label=["x", "id"], columns=["y"])
    assert found.names == ("y",)
    assert found.label is not None and found.label.tolist() == [[1, 7], [2, 8], [3, 9]]
    assert load_dataset(write(tmp_path, CSV), columns=["y", "x"]).label is None


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"label": "kid"}, "has no column 'kid' .did you mean 'kind'"),
        ({"label": "kind", "ignore": ["ido"]}, "has no column 'ido' .did you mean 'id'"),
        ({"columns": ["x", "z"]}, "has no column 'z'"),
        ({"label": "x", "columns": ["x"]}, "column 'x': is a feature and a label or ignored"),
        ({"label": "kind", "ignore": ["id", "x", "y"]}, "no columns are left"),
        ({}, r"t\.csv:2: column 'kind': 'red' is not a number; .* ignore: \[kind\]"),
    ],
)
def test_bad_choice(tmp_path: Path, kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        load_dataset(write(tmp_path, CSV), **kwargs)


def test_errors_name_the_line_after_taking_samples(tmp_path: Path) -> None:
    found = load_dataset(write(tmp_path, CSV), label="kind")
    part = found.take(np.array([2, 1])).take(np.array([0]))
    assert part.n == 1 and part.data.tolist() == [[9, 3, 10]]
    assert str(part.error("is odd", 0, value=1)).endswith("t.csv:5: 1 is odd")
    assert str(made(label=[1, 2]).error("is odd", 1)) == "made: row 2: is odd"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.CSV", "table"),
        ("a.csv.gz", "table"),
        ("a.parquet", "table"),
        ("a.npz", "npz"),
        ("train-images-idx3-ubyte", "idx"),
        ("train-labels.idx1-ubyte.gz", "idx"),
        ("a.idx", "idx"),
    ],
)
def test_kind_of(name: str, kind: str) -> None:
    assert kind_of(f"/some/folder/{name}") == kind


def test_unknown_kind() -> None:
    with pytest.raises(DataError, match=r"a\.xlsx: is of an unknown kind; known endings: \.csv"):
        load_dataset("a.xlsx")
    with pytest.raises(ValueError, match="one of table, npz, idx, got 'hdf'"):
        load_dataset("a.csv", kind="hdf")


# -- NPZ and IDX -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("data", "label"), ("X", "y"), ("x", "y")])
def test_npz(tmp_path: Path, names: tuple[str, str]) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    np.savez(tmp_path / "t.npz", **{names[0]: images, names[1]: np.array([2, 0, 1])})
    found = load_dataset(tmp_path / "t.npz")
    assert found.data.dtype == np.uint8 and np.array_equal(found.data, images)
    assert found.label is not None and found.label.tolist() == [2, 0, 1]
    named = load_dataset(tmp_path / "t.npz", data_key=names[0], label=names[1])
    assert np.array_equal(named.data, images)


def test_npz_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", data=np.zeros((2, 2)))
    assert read_npz(tmp_path / "t.npz")[1] is None


@pytest.mark.parametrize(
    ("arrays", "keys", "match"),
    [
        ({"a": [1]}, (), r"unknown array 'data'; known: a"),
        ({"data": [1.0]}, (None, "lable"), "unknown array 'lable'"),
        ({"data": 1.0}, (), "holds no samples"),
        ({"data": np.zeros((0, 2))}, (), "holds no samples"),
        ({"data": ["a"]}, (), "must be numbers, got type <U1"),
        ({"data": [1.0, 2.0], "label": [1]}, (), "2 samples but labels of shape"),
        ({"data": [[1.0], [np.nan]]}, (), "row 2: column 'data': nan is not a finite"),
        ({"data": [1.0], "label": [np.inf]}, (), "row 1: column 'label': inf is not a finite"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: Any, keys: tuple[str, ...], match: str) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match=match):
        read_npz(tmp_path / "t.npz", *keys)


def test_damaged_npz(tmp_path: Path) -> None:
    file = tmp_path / "t.npz"
    np.savez_compressed(file, data=np.arange(100.0))
    whole = file.read_bytes()
    for end in range(0, len(whole), 7):
        file.write_bytes(whole[:end])
        with pytest.raises(FileFormatError, match=r"t\.npz"):
            read_npz(file)
    np.savez(file, data=np.array([{}], dtype=object))
    with pytest.raises(FileFormatError, match="is damaged: Object arrays cannot be loaded"):
        read_npz(file)
    with file.open("wb") as npy:
        np.save(npy, np.zeros(2))
    with pytest.raises(FileFormatError, match="not an NPZ file"):
        read_npz(file)
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_npz(tmp_path / "none.npz")


@given(position=st.integers(0, 800), bit=st.integers(0, 7))
def test_npz_with_a_flipped_bit(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    file = tmp_path_factory.getbasetemp() / "flipped.npz"
    np.savez(file, data=np.arange(6.0).reshape(2, 3), label=np.arange(2))
    data = bytearray(file.read_bytes())
    data[position % len(data)] ^= 1 << bit
    file.write_bytes(data)
    try:
        assert read_npz(file)[0].size <= 6
    except (DataError, FileFormatError) as error:
        assert str(file) in str(error)


def test_idx(tmp_path: Path) -> None:
    images, labels = tmp_path / "i-idx3-ubyte.gz", tmp_path / "l-idx1-ubyte"
    images.write_bytes(gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2, 1, 2) + b"\1\2\3\4"))
    labels.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 2) + b"\5\6")
    found = load_dataset(images, label=str(labels))
    assert found.data.tolist() == [[[1, 2]], [[3, 4]]] and found.data.dtype == np.uint8
    assert found.label is not None and found.label.tolist() == [5, 6]
    assert load_dataset(images).label is None
    labels.write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, 1) + b"\5")
    with pytest.raises(DataError, match="2 samples but labels of shape"):
        load_dataset(images, label=str(labels))


@pytest.mark.parametrize("kwargs", [{"columns": ["x"]}, {"ignore": ["x"]}, {"label": ["a", "b"]}])
def test_arrays_have_no_columns(kwargs: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"has no columns to choose from|takes one label"):
        load_dataset("t.npz", **kwargs)


# -- Features ----------------------------------------------------------------------------------

tables = st.integers(1, 4).flatmap(
    lambda k: st.lists(
        st.lists(st.floats(-1e6, 1e6), min_size=k, max_size=k), min_size=1, max_size=30
    )
)


@given(rows=tables)
def test_standard(rows: list[list[float]]) -> None:
    data = np.array(rows)
    out = Features.fit(made(data), "standard").apply(made(data)).astype(np.float64)
    deviation = data.std(axis=0)
    wide = deviation > 1e-6 * np.abs(data).max(axis=0)
    assert np.abs(out.mean(axis=0)[wide]).max(initial=0) < 1e-4
    assert np.abs(out.std(axis=0)[wide] - 1).max(initial=0) < 1e-3
    constant = data.min(axis=0) == data.max(axis=0)
    assert not out[:, constant].any()


@given(rows=tables)
def test_minmax(rows: list[list[float]]) -> None:
    data = np.array(rows)
    out = Features.fit(made(data), "minmax").apply(made(data))
    varies = data.max(axis=0) - data.min(axis=0) >= np.finfo(np.float64).tiny
    assert not out[:, ~varies].any()
    assert not out.min(axis=0)[varies].any()
    assert np.allclose(out.max(axis=0)[varies], 1, atol=1e-6)


def test_a_column_that_hardly_varies_is_constant() -> None:
    """The inverse of a subnormal spread would be infinite."""
    train = made([[0.0], [1e-310]])
    for scale in ("standard", "minmax"):
        assert not Features.fit(train, scale).apply(train).any()


def test_a_constant_column_stays_zero_on_other_data() -> None:
    """A column whose rounded mean differs from its value must not be blown up."""
    train = made(np.full((7, 1), 0.1))
    assert train.data.mean() != 0.1
    for scale in ("standard", "minmax"):
        assert Features.fit(train, scale).apply(made([[5.0]])).tolist() == [[0]]


def test_scaling_is_learned_on_training_data_in_double_precision() -> None:
    train = made(1.6e9 + np.arange(4.0)[:, None])
    out = Features.fit(train, "minmax").apply(made(1.6e9 + np.array([[1.5], [6.0]])))
    assert out.dtype == np.float32
    assert np.allclose(out, [[0.5], [2.0]])


def test_without_scaling() -> None:
    images = made(np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    assert Features.fit(images).apply(images) is images.data
    assert Features.fit(made([[1.5]])).apply(made([[1.5]])).dtype == np.float32


def test_images_are_scaled_pixel_by_pixel() -> None:
    images = made(np.array([[[0, 10]], [[0, 30]]], dtype=np.uint8))
    assert Features.fit(images, "standard").apply(images).tolist() == [[[0, -1]], [[0, 1]]]


def test_columns_are_found_by_name() -> None:
    train = made([[1.0, 2.0]], names=("a", "b"))
    assert Features.fit(train).apply(made([[5.0, 6.0]], names=("b", "a"))).tolist() == [[6, 5]]


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (made([[1.0]], names=("a",)), r"\(missing: b\)"),
        (made([[1.0, 2, 3]], names=("a", "b", "c")), r"\(unexpected: c\); leave columns out"),
        (made([[1.0, 2]], names=("a", "x")), r"\(missing: b; unexpected: x\)"),
        (made([[1.0, 2]]), r"\(missing: a, b\)"),
        (made([[1.0, 1e39]], names=("a", "b")), "row 1: column 'b': a number is too large"),
    ],
)
def test_features_that_do_not_fit(other: Dataset, match: str) -> None:
    with pytest.raises(DataError, match=match):
        Features.fit(made([[1.0, 2.0]], names=("a", "b"))).apply(other)


def test_samples_of_another_shape() -> None:
    with pytest.raises(DataError, match=r"have shape \(3,\), in training it was \(2,\)"):
        Features.fit(made([[1.0, 2.0]])).apply(made([[1.0, 2.0, 3.0]]))


@given(rows=tables, scale=st.sampled_from(["none", "standard", "minmax"]))
def test_features_survive_json(rows: list[list[float]], scale: str) -> None:
    names = tuple("abcd"[: len(rows[0])])
    features = Features.fit(made(rows, names=names), scale)
    assert Features.from_json(json.loads(json.dumps(features.to_json()))) == features


@pytest.mark.parametrize(
    "change",
    [{"scale": "log"}, {"offset": [1.0]}, {"factor": None}, {"shape": ["a"]}, {"columns": 3}],
)
def test_damaged_features(change: dict[str, Any]) -> None:
    stored = Features.fit(made([[1.0, 2.0], [3.0, 4.0]]), "minmax").to_json()
    with pytest.raises(FileFormatError, match="stored features are damaged"):
        Features.from_json(stored | change)


def test_unknown_scale() -> None:
    with pytest.raises(ValueError, match="one of none, standard, minmax, got 'log'"):
        Features.fit(made([[1.0]]), "log")


# -- Labels ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "names", "numbers"),
    [
        ([0, 2, 1], ("0", "1", "2"), [0, 2, 1]),
        ([10, 9, 10], ("9", "10"), [1, 0, 1]),
        ([-1, 1, -1], ("-1", "1"), [0, 1, 0]),
        ([2.0, 1.0], ("1", "2"), [1, 0]),
        ([True, False], ("0", "1"), [1, 0]),
        (["b", "a", "b", "10", "9"], ("10", "9", "a", "b"), [3, 2, 3, 0, 1]),
        ([[3], [5]], ("3", "5"), [0, 1]),
    ],
)
def test_classes(label: Any, names: tuple[str, ...], numbers: list[int]) -> None:
    labels = Labels.fit(made(label=label), "class")
    assert (labels.names, labels.num_classes) == (names, len(names))
    out = labels.apply(made(label=label))
    assert out.dtype == np.float32 and out.tolist() == numbers


@given(st.lists(st.integers(-1000, 1000) | st.text(min_size=1), min_size=1))
def test_classes_are_recovered(raw: list[Any]) -> None:
    """The name of the class number is the label again, whatever it was."""
    label = np.array(raw if all(isinstance(x, int) for x in raw) else [str(x) for x in raw])
    labels = Labels.fit(made(label=label), "class")
    assert [labels.names[int(i)] for i in labels.apply(made(label=label))] == [
        str(x) for x in label.tolist()
    ]


@pytest.mark.parametrize(
    ("label", "kind"),
    [([1, 2], "class"), (["a", "b"], "class"), ([1.0, 2.0], "value"), ([[1], [2]], "value")],
)
def test_kind_from_the_labels(label: Any, kind: str) -> None:
    assert Labels.fit(made(label=label)).kind == kind


def test_values() -> None:
    labels = Labels.fit(made(label=[1, 2]), "value")
    assert labels.num_classes == 0
    assert labels.apply(made(label=[3.5, -1])).tolist() == [3.5, -1]
    assert labels.apply(made(label=[[1, 2], [3, 4]])).shape == (2, 2)


def test_text_classes_in_a_column_of_numbers() -> None:
    labels = Labels.fit(made(label=["1", "2", "x"]), "class")
    assert labels.apply(made(label=[2, 1])).tolist() == [1, 0]


def test_label_outside_the_classes(tmp_path: Path) -> None:
    labels = Labels.fit(load_dataset(write(tmp_path, CSV), label="kind"))
    other = load_dataset(write(tmp_path, "kind,x\nred,1\n\nreed,2\n", "e.csv"), label="kind")
    with pytest.raises(DataError, match="is not among the 2 classes") as caught:
        labels.apply(other)
    error = caught.value
    assert (error.row, error.column, error.value) == (4, "kind", "reed")
    assert error.file.endswith("e.csv") and error.advice == "did you mean 'red'?"


@pytest.mark.parametrize(
    ("label", "kind", "match"),
    [
        ([1.0, 1.5], "class", "row 2: 1.5 is not a class: classes are text or whole"),
        ([[1, 2], [3, 4]], "class", r"one label per sample, got labels of shape \(2, 2\)"),
        ([1.0, 1e20], "class", r"row 2: 1e\+20 is too large for a class.*write classes as text"),
        (["1", "1_0"], "value", "row 2: '1_0' is not a number"),
        (["1", "nan"], "value", "row 2: 'nan' is not a number"),
        (["1", "x"], "value", "row 2: 'x' is not a number; a regression learns numbers"),
        (None, "auto", "has no labels"),
        ([1j], "class", "got type complex128"),
        ([1j], "value", "got type complex128"),
    ],
)
def test_labels_that_do_not_fit(label: Any, kind: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        Labels.fit(made(np.zeros((2, 1)), label), kind)


def test_numbers_that_are_written_as_text_are_values() -> None:
    labels = Labels.fit(made(label=["1", "2.5"]), "value")
    assert labels.apply(made(label=["1", "2.5"])).tolist() == [1, 2.5]


def test_unknown_kind_of_labels() -> None:
    with pytest.raises(ValueError, match="auto, class or value, got 'x'"):
        Labels.fit(made(label=[1]), "x")


def test_labels_survive_json() -> None:
    for labels in (Labels("class", ("a", "é")), Labels("value")):
        assert Labels.from_json(json.loads(json.dumps(labels.to_json()))) == labels
    for damaged in ({}, {"kind": "class"}, {"kind": "x", "names": []}):
        with pytest.raises(FileFormatError, match="stored labels are damaged"):
            Labels.from_json(damaged)
