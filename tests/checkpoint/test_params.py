"""``.params`` files: recorded fixtures, round trips, and damage of every kind."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain import nd
from mxtrain.checkpoint.params import DTYPES, load_params, save_params
from mxtrain.errors import FileFormatError, MXNetError

FOLDER = Path(__file__).parents[1] / "golden/files"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
SPARSE = {"row_sparse.params": "r", "csr.params": "c"}
DENSE = [entry for entry in MANIFEST["arrays"] if entry["file"] not in SPARSE]
# Written under settings or in versions that are read but not written.
NOT_WRITTEN_AGAIN = {
    "v3_zero_dim.params": "version 3 also for the shape (2, 2)",
    "old_records.params": "versions 0 and 1, and a GPU",
    "legacy_ndarray.v0": "version 0",
}
MODELS = [f"{model['prefix']}-{model['epoch']:04d}.params" for model in MANIFEST["models"]]
IDENTICAL = [e["file"] for e in DENSE if e["file"] not in NOT_WRITTEN_AGAIN] + MODELS


@pytest.mark.parametrize("entry", DENSE, ids=lambda entry: entry["file"])
def test_recorded_arrays(entry: dict[str, Any]) -> None:
    loaded = load_params(FOLDER / entry["file"])
    assert type(loaded).__name__ == entry["container"]
    names = list(loaded) if isinstance(loaded, dict) else [None] * len(loaded)
    arrays = list(loaded.values()) if isinstance(loaded, dict) else loaded
    assert names == [item["name"] for item in entry["entries"]]
    for i, (item, array) in enumerate(zip(entry["entries"], arrays, strict=True)):
        assert isinstance(array, nd.NDArray)
        assert (list(array.shape), array.dtype.name) == (item["shape"], item["dtype"])
        with np.load(FOLDER / entry["expected"]) as expected:
            assert array.tobytes() == expected[f"{i}/data"].tobytes()


@pytest.mark.parametrize("name", IDENTICAL)
def test_written_again_byte_for_byte(name: str, tmp_path: Path) -> None:
    save_params(tmp_path / "again", load_params(FOLDER / name))
    assert (tmp_path / "again").read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.parametrize("name", NOT_WRITTEN_AGAIN)
def test_old_versions_are_written_as_current_ones(name: str, tmp_path: Path) -> None:
    first = load_params(FOLDER / name)
    save_params(tmp_path / "again", first)
    second = load_params(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() != (FOLDER / name).read_bytes()
    assert as_dict(first).keys() == as_dict(second).keys()
    for key, array in as_dict(first).items():
        assert array.tobytes() == as_dict(second)[key].tobytes()


def as_dict(loaded: Any) -> dict[Any, Any]:
    return loaded if isinstance(loaded, dict) else dict(enumerate(loaded))


@pytest.mark.parametrize("model", MANIFEST["models"], ids=lambda model: model["prefix"])
def test_recorded_checkpoint(model: dict[str, Any]) -> None:
    loaded = load_params(FOLDER / f"{model['prefix']}-{model['epoch']:04d}.params")
    assert isinstance(loaded, dict)
    assert list(loaded) == model["order_in_file"]
    shapes = {f"arg:{k}": v for k, v in model["arg_shapes"].items()}
    shapes |= {f"aux:{k}": v for k, v in model["aux_shapes"].items()}
    assert {name: list(array.shape) for name, array in loaded.items()} == shapes


@pytest.mark.parametrize("entry", MANIFEST["bad_files"], ids=lambda entry: entry["file"])
def test_recorded_bad_file(entry: dict[str, Any]) -> None:
    with pytest.raises(FileFormatError, match=entry["file"]):
        load_params(FOLDER / entry["file"])


@pytest.mark.parametrize(("file", "array"), SPARSE.items())
def test_sparse_arrays_are_refused_by_name(file: str, array: str) -> None:
    kind = file.removesuffix(".params")
    with pytest.raises(FileFormatError, match=rf"array '{array}' is {kind}, .* tostype"):
        load_params(FOLDER / file)


def test_every_fixture_is_used() -> None:
    used = {e["file"] for e in DENSE} | set(SPARSE) | set(MODELS)
    used |= {e["file"] for e in MANIFEST["bad_files"]}
    assert {f.name for f in FOLDER.glob("*.params")} | {"legacy_ndarray.v0"} == used


# -- round trips -------------------------------------------------------------------------------

arrays = st.sampled_from(sorted(DTYPES.values())).flatmap(
    lambda name: hnp.arrays(
        np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)
    )
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(data=st.dictionaries(names, arrays, min_size=1, max_size=5))
def test_dict_round_trip(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "dict.params"
    save_params(file, data)
    loaded = load_params(file)
    assert isinstance(loaded, dict)
    assert list(loaded) == list(data)
    assert all(same(array, data[name]) for name, array in loaded.items())


@given(data=st.lists(arrays, max_size=4))
def test_list_round_trip(data: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "list.params"
    save_params(file, tuple(data))
    loaded = load_params(file)
    assert isinstance(loaded, list) and len(loaded) == len(data)
    assert all(same(a, b) for a, b in zip(loaded, data, strict=True))


def test_example_of_the_format(tmp_path: Path) -> None:
    nd.save(str(tmp_path / "f"), nd.array([1, 2]))
    assert (tmp_path / "f").read_bytes() == bytes.fromhex(
        "1201000000000000 0000000000000000 0100000000000000"
        "c9fa93f9 00000000 01000000 0200000000000000 01000000 00000000 00000000"
        "0000803f 00000040 0000000000000000"
    )
    loaded = nd.load(str(tmp_path / "f"))
    assert isinstance(loaded, list) and loaded[0].tolist() == [1, 2]
    loaded[0][0] = 5  # what is loaded can be written to


def test_any_memory_layout(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    data = {"t": base.T, "step": base[::2, 1::2], "swapped": base.astype(">f4")}
    save_params(tmp_path / "f", data)
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, dict)
    assert all(np.array_equal(loaded[name], array) for name, array in data.items())
    assert all(array.dtype.isnative and array.flags.c_contiguous for array in loaded.values())


def test_shapes_decide_the_version(tmp_path: Path) -> None:
    for shape, version in (((), 0xCA), ((0, 2), 0xCA), ((1,), 0xC9)):
        save_params(tmp_path / "f", np.zeros(shape, np.float32))
        assert (tmp_path / "f").read_bytes()[24] == version


@pytest.mark.parametrize(
    ("data", "error", "match"),
    [
        (3, TypeError, "an array, a list of arrays or a dict of arrays, got int"),
        ("abc", TypeError, "got str"),
        ([1.0], TypeError, "array number 0 to save is a float, not an array"),
        ({"w": [1.0]}, TypeError, "array 'w' to save is a list"),
        ({3: np.zeros(1)}, TypeError, "names of arrays are text, got 3"),
        ({"\ud800": np.zeros(1)}, ValueError, "cannot be written as UTF-8"),
        ({"w": np.zeros(1, np.int16)}, TypeError, "array 'w' has type int16, .* astype"),
        ({"w": np.array(["a"])}, TypeError, "array 'w' has type <U1"),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_file(
    tmp_path: Path, data: Any, error: type[Exception], match: str
) -> None:
    (tmp_path / "f").write_bytes(b"old")
    with pytest.raises(error, match=match):
        save_params(tmp_path / "f", data)
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [("f", b"old")]


# -- damage ------------------------------------------------------------------------------------

U64, I64, U32, I32 = (struct.Struct("<" + code).pack for code in "QqIi")
HEAD = U64(0x112) + U64(0)


def record(shape: tuple[int, ...] = (1,), dtype: int = 0, values: bytes = b"\0\0\x80\x3f") -> bytes:
    axes = I32(len(shape)) + b"".join(map(I64, shape))
    return U32(0xF993FAC9) + I32(0) + axes + I32(1) + I32(0) + I32(dtype) + values


def one(record: bytes, names: bytes = U64(0)) -> bytes:
    return HEAD + U64(1) + record + names


def name(data: bytes) -> bytes:
    return U64(len(data)) + data


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "byte 0: the magic number takes 8 bytes but only 0 are left"),
        (b"PK\3\4" + bytes(20), r"byte 0: not a \.params file: it begins with 0x.* expected 0x112"),
        (HEAD + U64(2**62), "byte 24: a list of 4611686018427387904 arrays takes"),
        (one(U32(0xF993FAC7)), "byte 24: array 0 of 1 has the unknown version 0xf993fac7"),
        (one(U32(0xF993FAC9) + I32(3)), "byte 28: array 0 of 1 has the unknown storage type 3"),
        (one(U32(0xF993FACA) + I32(1)), "unknown storage type 1"),
        (one(U32(0xF993FAC9) + I32(0) + I32(-1)), "has -1 axes, expected 0 to 64"),
        (one(U32(0xF993FAC9) + I32(0) + I32(2**31 - 1)), "has 2147483647 axes"),
        (one(record((-1,))), r"impossible shape \(-1,\)"),
        (one(record((2**62, 2**62))), "impossible shape"),
        (one(record((0, 2**61))), "impossible shape"),
        (one(record((2**40,))), r"float32 of shape \(1099511627776,\), takes 4398046511104 bytes"),
        (one(record((2,))), r"names takes 8 bytes but only 4|takes"),
        (one(record(dtype=12)), r"element type 12 \(bfloat16\), known are 0 to 11"),
        (one(record(dtype=-1)), "element type -1"),
        (one(record(), U64(2)), "2 names for 1 arrays, expected 0 or 1"),
        (one(record(), U64(1)), "the length of name 0 takes 8 bytes but only 0 are left"),
        (one(record(), U64(1) + U64(2**63)), "name 0 takes 9223372036854775808 bytes"),
        (one(record(), U64(1) + name(b"\xff\xfe")), "byte 76: name 0 is not UTF-8 text"),
        (one(record(), U64(0) + b"x"), "1 bytes follow the end of the list"),
        (
            HEAD + U64(2) + record() * 2 + U64(2) + name(b"w") * 2,
            "the name 'w' occurs twice",
        ),
    ],
)
def test_damaged_file(tmp_path: Path, data: bytes, match: str) -> None:
    (tmp_path / "f.params").write_bytes(data)
    with pytest.raises(FileFormatError, match=match) as caught:
        load_params(tmp_path / "f.params")
    assert str(tmp_path / "f.params") in str(caught.value)


def test_reserved_types_and_odd_truth_values_are_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(one(record((2,), 9, b"\1\0\xff\xff")))
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, list) and loaded[0].tolist() == [1, 65535]
    (tmp_path / "f").write_bytes(one(record((3,), 7, b"\0\1\2")))
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, list) and loaded[0].tolist() == [False, True, True]
    assert loaded[0].tobytes() == b"\0\1\1"


@pytest.mark.parametrize("file", ["names.params", "old_records.params", "csr.params"])
def test_cut_off_at_every_byte(tmp_path: Path, file: str) -> None:
    whole = (FOLDER / file).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "f").write_bytes(whole[:end])
        with pytest.raises(FileFormatError, match=r"byte \d+: .*(left|list)"):
            load_params(tmp_path / "f")


@pytest.mark.parametrize("file", ["dtypes.params", "old_records.params", "row_sparse.params"])
def test_flipped_bits_give_arrays_or_a_clear_error(tmp_path: Path, file: str) -> None:
    whole = (FOLDER / file).read_bytes()
    refused = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position * 5 % 8)
        (tmp_path / "f").write_bytes(damaged)
        try:
            load_params(tmp_path / "f")
        except FileFormatError as error:
            assert str(tmp_path / "f") in str(error)
            refused += 1
    assert refused > len(whole) / 10


@given(data=st.binary(max_size=80), prefix=st.sampled_from([b"", HEAD, HEAD + U64(1)]))
def test_any_bytes(data: bytes, prefix: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.params"
    file.write_bytes(prefix + data)
    try:
        assert len(load_params(file)) <= len(data) // 4
    except FileFormatError as error:
        assert str(file) in str(error)


def test_sizes_are_checked_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    empty = np.empty

    def noted(shape: Any, dtype: Any) -> Any:
        taken.append(np.dtype(dtype).itemsize * int(np.prod(shape)))
        return empty(shape, dtype)

    monkeypatch.setattr("mxtrain.checkpoint.reader.np.empty", noted)
    (tmp_path / "f").write_bytes(one(record((1 << 20,))))
    with pytest.raises(FileFormatError, match="takes 4194304 bytes"):
        load_params(tmp_path / "f")
    assert taken == []
    (tmp_path / "f").write_bytes(one(record()))
    assert load_params(tmp_path / "f")
    assert taken == [4]


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(MXNetError, match=r"cannot read .*none\.params: No such file"):
        load_params(tmp_path / "none.params")
    with pytest.raises(MXNetError, match="Is a directory"):
        load_params(tmp_path)
