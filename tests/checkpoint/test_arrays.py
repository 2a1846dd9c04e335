"""Files of arrays: known by content, read without trust, the same bytes on the way back."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from mxtrain import nd
from mxtrain.checkpoint.arrays import (
    FORMATS,
    open_arrays,
    read_arrays,
    write_arrays,
    write_parameters,
)
from mxtrain.checkpoint.naming import names_metadata, plain_names, with_prefix
from mxtrain.errors import FileFormatError, MXNetError

GOLDEN = Path(__file__).parents[1] / "golden" / "files"

ARRAYS = {
    "arg:fc_weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "arg:scale": np.array(3, np.float64),
    "arg:empty": np.zeros((0, 3), np.float16),
    "arg:mask": np.array([True, False]),
    "aux:count": np.array([2**62 + 1, -1]),
    "aux:bytes": np.array([7], np.uint8),
}
PLAIN = {name.partition(":")[2]: array for name, array in ARRAYS.items()}


def assert_same(found: dict[str, Any], expected: dict[str, Any], in_order: bool = True) -> None:
    assert list(found) == list(expected) if in_order else found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        assert np.asarray(found[name]).tobytes() == array.tobytes(), name


@pytest.mark.parametrize("ending", FORMATS)
def test_round_trip_whatever_the_file_is_called(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"w{ending}"
    write_arrays(path, PLAIN)
    first = path.read_bytes()
    write_arrays(path, PLAIN)
    assert path.read_bytes() == first
    for name in (path.name, "w", *(f"other{other}" for other in FORMATS)):
        path = path.rename(tmp_path / name)
        found = open_arrays(path)
        assert (found.format, found.named) == (ending, True)
        assert_same(found.arrays, PLAIN, in_order=ending != ".safetensors")


def test_others_read_what_is_written(tmp_path: Path) -> None:
    write_arrays(tmp_path / "w.npz", PLAIN)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as archive:
        assert_same(dict(archive), PLAIN)
    write_arrays(tmp_path / "w.safetensors", PLAIN, {"format": "np"})
    assert_same(load_file(tmp_path / "w.safetensors"), PLAIN, in_order=False)
    assert open_arrays(tmp_path / "w.safetensors").metadata == {"format": "np"}


ANY_ARRAY = hnp.arrays(
    st.sampled_from(["f4", "f8", "f2", "u1", "i4", "i1", "i8", "?", ">f4", ">i8"]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)
ANY_NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)


@given(st.dictionaries(ANY_NAME.filter(lambda n: n != "__metadata__"), ANY_ARRAY, max_size=4))
def test_any_arrays_survive_in_any_format(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("any", numbered=True)
    native = {name: np.asarray(a, a.dtype.newbyteorder("=")) for name, a in arrays.items()}
    for ending in FORMATS:
        write_arrays(folder / f"w{ending}", arrays)
        found = read_arrays(folder / f"w{ending}")
        assert_same(found, native, in_order=ending != ".safetensors")


@pytest.mark.parametrize("ending", FORMATS)
def test_names_of_mxnet(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"w{ending}"
    write_parameters(path, ARRAYS)
    found = open_arrays(path)
    if ending == ".params":
        assert_same(found.arrays, ARRAYS)
        return
    assert_same(found.arrays, PLAIN, in_order=ending == ".npz")
    expected = {name.partition(":")[2]: name for name in ARRAYS}
    assert found.mxnet_names == (expected if ending == ".safetensors" else None)


def test_metadata_of_other_arrays_says_nothing(tmp_path: Path) -> None:
    for names in (["arg:b"], ["arg:a", "arg:a"], ["arg:a", "aux:a"]):
        save_file({"a": np.zeros(1)}, tmp_path / "w", names_metadata(names))
        assert open_arrays(tmp_path / "w").mxnet_names is None
    for text in ("[", "{}", "[1]"):
        save_file({"a": np.zeros(1)}, tmp_path / "w", {"mxnet_names": text})
        assert open_arrays(tmp_path / "w").mxnet_names is None


@given(st.lists(st.sampled_from(["a", "b", "arg:a", "aux:a", "arg:b", "arg:arg:a"]), unique=True))
def test_plain_names_stay_different(names: list[str]) -> None:
    plain = plain_names(names)
    assert list(plain) == names
    assert len(set(plain.values())) == len(names)


def test_prefix_by_graph_or_by_ending() -> None:
    assert with_prefix("bn_moving_mean") == "aux:bn_moving_mean"
    assert with_prefix("bn_moving_mean", []) == "arg:bn_moving_mean"
    assert with_prefix("aux:fc_weight", []) == "aux:fc_weight"


def test_lists_get_numbers_for_names(tmp_path: Path) -> None:
    nd.save(str(tmp_path / "list"), [nd.zeros((n,)) for n in range(1, 13)])
    found = open_arrays(tmp_path / "list")
    assert not found.named
    assert list(found.arrays) == [str(n) for n in range(12)]
    write_arrays(tmp_path / "w.safetensors", found.arrays, names_metadata(None))
    again = open_arrays(tmp_path / "w.safetensors")
    assert not again.named
    assert_same(again.arrays, found.arrays)


def test_bfloat16_is_read_as_float32(tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5], [np.inf, 3.0e38]], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    table = {"w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
    path = tmp_path / "w.safetensors"
    path.write_bytes(framed(table, halves.tobytes()))
    found = open_arrays(path)
    assert found.stored_types == {"w": "bfloat16"}
    expected = (halves.astype(np.uint32) << 16).view(np.float32)
    assert_same(found.arrays, {"w": expected})


# -- what is refused ---------------------------------------------------------------------------


def framed(table: Any, values: bytes = b"") -> bytes:
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return len(text).to_bytes(8, "little") + text + values


def tensor(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes}


BAD_TENSORS = {
    "type": (tensor(dtype="F8_E4M3"), "'w' has element type 'F8_E4M3'"),
    "type-list": (tensor(dtype=["F32"]), "element type"),
    "shape": (tensor(shape=[-2]), "impossible shape"),
    "bool-shape": (tensor(shape=[True, 2]), "impossible shape"),
    "huge": (tensor(shape=[2**40]), "takes 4398046511104 bytes, but is given 8"),
    "end": (tensor(data_offsets=[0, 2**40], shape=[2**38]), "only 8 are left"),
    "gap": (tensor(data_offsets=[4, 12]), "begin at 4"),
    "left": (tensor(data_offsets=[0, 4], shape=[1]), "4 bytes follow"),
    "keys": ({"w": {"dtype": "F32"}}, "should have dtype"),
    "metadata": (tensor() | {"__metadata__": {"a": 1}}, "texts to texts"),
    "twice": (b'{"w": 1, "w": 2}', "'w' occurs twice"),
    "nested": (b'{"w":' + b"[" * 100_000, "table"),
    "text": (b'{"w": \xff}', "table"),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_bad_safetensors(tmp_path: Path, case: str) -> None:
    table, message = BAD_TENSORS[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(framed(table, bytes(8)))
    with pytest.raises(FileFormatError, match=message) as caught:
        read_arrays(path)
    assert f"{path}: byte " in str(caught.value)


def npy(descr: str = "'<f4'", shape: str = "(2,)", values: bytes = bytes(8)) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + values


BAD_MEMBERS = {
    "object": (npy("'|O'"), "never unpickled"),
    "fields": (npy("[('a', '<f4')]"), "only numbers and text"),
    "many": (npy("'(9999999,9999999)f4'"), "only numbers and text"),
    "shape": (npy(shape="(-2,)"), "header"),
    "huge": (npy(shape="(1099511627776,)"), "takes 4398046511104 bytes, 8 are stored"),
    "short": (npy(values=bytes(4)), "takes 8 bytes, 4 are stored"),
    "code": (npy(shape="__import__('os')"), "header"),
    "magic": (b"PK" + npy(), "does not begin"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(100), "version 9"),
    "header": (b"\x93NUMPY\x02\x00" + b"\xff" * 8, "longer than"),
    "keys": (npy("'<f4', 'more': '1'"), "should have"),
    "nothing": (b"", "does not begin"),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_bad_members_of_npz(tmp_path: Path, case: str) -> None:
    content, message = BAD_MEMBERS[case]
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.npy", npy())
        archive.writestr("bad.npy", content)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_arrays(path)
    assert f"{path}: array 'bad': " in str(caught.value)


def test_older_and_other_headers_of_npy(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("python2.npy", npy(shape="(2L,)"))
        archive.writestr("fields.npy", npy().replace(b"'", b'"'))
        fortran = npy("'>f4'", "(1, 2)").replace(b"False", b"True ")
        archive.writestr("fortran.npy", fortran)
    found = read_arrays(tmp_path / "w.npz")
    assert [array.shape for array in found.values()] == [(2,), (2,), (1, 2)]
    np.savez_compressed(tmp_path / "f.npz", a=np.arange(6.0).reshape(2, 3).T, b=np.array(["é"]))
    found = read_arrays(tmp_path / "f.npz")
    assert found["a"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["a"].flags.c_contiguous
    assert found["b"].tolist() == ["é"]


def test_zip_bombs_and_strangers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy())
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02")
    claims = whole[: entry + 24] + (2**31 - 1).to_bytes(4, "little") + whole[entry + 28 :]
    path.write_bytes(claims)
    with pytest.raises(FileFormatError, match=r"claims arrays of 2147483647 bytes"):
        read_arrays(path)
    claims = whole[: entry + 24] + (2**29).to_bytes(4, "little") + whole[entry + 28 :]
    path.write_bytes(claims)
    with pytest.raises(FileFormatError, match=r"'a.npy' cannot become"):
        read_arrays(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80")
    with pytest.raises(FileFormatError, match=r"'archive/data.pkl' is no \.npy array"):
        read_arrays(path)


@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"w{ending}"
    write_arrays(path, {"a": np.arange(3.0), "b": np.array(True)})
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(FileFormatError):
            read_arrays(path)


@pytest.mark.parametrize("ending", [".safetensors", ".npz"])
def test_flipped_bytes_are_refused_or_harmless(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"w{ending}"
    write_arrays(path, {"a": np.arange(3.0), "b": np.array(True)})
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            try:
                found = read_arrays(path)
            except FileFormatError:
                refused += 1
            else:
                assert sum(array.nbytes for array in found.values()) <= len(whole)
    assert refused > len(whole)


def test_strange_files(tmp_path: Path) -> None:
    with pytest.raises(MXNetError, match="Is a directory"):
        read_arrays(tmp_path)
    with pytest.raises(MXNetError, match=r"missing\.npz: No such file"):
        read_arrays(tmp_path / "missing.npz")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MXNetError, match="pipe"):
        read_arrays(tmp_path / "pipe")
    np.save(tmp_path / "w.npy", np.zeros(2))
    with pytest.raises(FileFormatError, match="savez"):
        read_arrays(tmp_path / "w.npy")


BAD_WRITES: dict[str, tuple[str, Any, type[Exception], str]] = {
    "ending": ("w.h5", {}, ValueError, "should end in one of"),
    "params-type": ("w.params", {"a": np.zeros(1, np.int16)}, TypeError, "'a' has type int16"),
    "tensors-type": ("w.safetensors", {"a": np.zeros(1, "c16")}, TypeError, "'a' has type"),
    "npz-type": ("w.npz", {"a": np.zeros(1, object)}, TypeError, "'a' has type object"),
    "npz-name": ("w.npz", {"a\0": np.zeros(1)}, ValueError, "cannot be that of a member"),
    "tensors-name": ("w.safetensors", {"__metadata__": np.zeros(1)}, ValueError, "be called"),
    "surrogate": ("w.safetensors", {"\udc80": np.zeros(1)}, ValueError, "UTF-8"),
    "npz-surrogate": ("w.npz", {"\udc80": np.zeros(1)}, ValueError, "cannot be that"),
    "list": ("w.npz", [np.zeros(1)], TypeError, "by name, got list"),
    "number": ("w.safetensors", {"a": 1}, TypeError, "'a' is a int"),
}


@pytest.mark.parametrize("case", BAD_WRITES)
def test_what_a_format_cannot_hold(tmp_path: Path, case: str) -> None:
    name, arrays, error, message = BAD_WRITES[case]
    path = tmp_path / name
    path.write_bytes(b"old")
    with pytest.raises(error, match=message):
        write_arrays(path, arrays)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*-0003.params")), ids=lambda p: p.name)
def test_checkpoints_of_mxnet_come_back_from_safetensors(tmp_path: Path, path: Path) -> None:
    write_parameters(tmp_path / "w.safetensors", read_arrays(path))
    found = open_arrays(tmp_path / "w.safetensors")
    assert found.mxnet_names is not None
    write_parameters(
        tmp_path / "w.params",
        {name: found.arrays[plain] for plain, name in found.mxnet_names.items()},
    )
    assert (tmp_path / "w.params").read_bytes() == path.read_bytes()
