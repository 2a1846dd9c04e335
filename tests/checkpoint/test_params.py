"""``.params`` files: recorded fixtures, round trips, what can be saved, mapped files."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain import nd
from mxtrain.checkpoint.params import load_params, save_params
from mxtrain.checkpoint.records import DTYPES
from mxtrain.errors import FileFormatError

FOLDER = Path(__file__).parents[1] / "golden/files"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
ARRAYS = MANIFEST["arrays"]
# Written under settings or in versions that are read but not written.
NOT_WRITTEN_AGAIN = {
    "v3_zero_dim.params": "version 3 also for the shape (2, 2)",
    "old_records.params": "versions 0 and 1, and a GPU",
    "legacy_ndarray.v0": "version 0",
}
MODELS = [f"{model['prefix']}-{model['epoch']:04d}.params" for model in MANIFEST["models"]]
IDENTICAL = [e["file"] for e in ARRAYS if e["file"] not in NOT_WRITTEN_AGAIN] + MODELS


@pytest.mark.parametrize("mapped", [False, True], ids=["copied", "mapped"])
@pytest.mark.parametrize("entry", ARRAYS, ids=lambda entry: entry["file"])
def test_recorded_arrays(entry: dict[str, Any], mapped: bool) -> None:
    loaded = load_params(FOLDER / entry["file"], mmap=mapped)
    assert type(loaded).__name__ == entry["container"]
    names = list(loaded) if isinstance(loaded, dict) else [None] * len(loaded)
    arrays = list(as_dict(loaded).values())
    assert names == [item["name"] for item in entry["entries"]]
    for i, (item, array) in enumerate(zip(entry["entries"], arrays, strict=True)):
        assert array.stype == item["stype"]
        assert (list(array.shape), array.dtype.name) == (item["shape"], item["dtype"])
        with np.load(FOLDER / entry["expected"]) as expected:
            for part in [key.split("/")[1] for key in expected.files if key.startswith(f"{i}/")]:
                assert same(part_of(array, part), expected[f"{i}/{part}"]), part


def part_of(array: Any, part: str) -> Any:
    """An array of the record: the dense values, those stored, or an index array."""
    if part == "dense" or array.stype == "default":
        return array.asnumpy()
    return getattr(array, part)


def test_every_recorded_file(say_counts: Any) -> None:
    again = f"{len(IDENTICAL)} written again byte for byte"
    refused = f"{len(MANIFEST['bad_files'])} refused"
    say_counts(
        "array files",
        f"{len(ARRAYS) + len(MODELS)} of {len(ARRAYS) + len(MODELS)} read, "
        f"{again}, {len(NOT_WRITTEN_AGAIN)} are of older versions, {refused}",
    )
    used = {e["file"] for e in ARRAYS} | set(MODELS) | {e["file"] for e in MANIFEST["bad_files"]}
    assert {f.name for f in FOLDER.glob("*.params")} | {"legacy_ndarray.v0"} == used


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


def same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


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


# -- round trips -------------------------------------------------------------------------------

arrays = st.sampled_from(sorted(DTYPES.values())).flatmap(
    lambda name: hnp.arrays(
        np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3)
    )
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


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


# -- mapped files, bytes -------------------------------------------------------------------------


def test_a_mapped_file_may_be_replaced_and_its_arrays_written_to(tmp_path: Path) -> None:
    file = tmp_path / "f"
    save_params(file, {"a": nd.array([1, 2]), "none": np.zeros((0, 3), np.float32)})
    loaded = load_params(file, mmap=True)
    assert isinstance(loaded, dict)
    save_params(file, {"a": nd.array([7])})
    assert loaded["a"].tolist() == [1, 2] and loaded["none"].shape == (0, 3)
    loaded["a"][0] = 5
    save_params(file, loaded)
    assert nd.load(str(file), mmap=True)["a"].tolist() == [5, 2]
    loaded["a"][1] = 6  # what is mapped is not what is stored
    assert nd.load(str(file))["a"].tolist() == [5, 2]


def test_a_mapped_file_is_read_when_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "f"
    save_params(file, np.zeros(1 << 22, np.float32))
    for mapped, least, most in ((True, 0, 1 << 16), (False, 1 << 24, 1 << 25)):
        tracemalloc.start()
        loaded = load_params(file, mmap=mapped)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert least <= peak <= most
        assert isinstance(loaded, list) and loaded[0].sum() == 0


def test_files_in_memory() -> None:
    data = (FOLDER / "dtypes.params").read_bytes()
    for buffer in (data, bytearray(data), memoryview(data)):
        loaded = nd.load_frombuffer(buffer)
        assert list(loaded) == [item["name"] for item in ARRAYS[0]["entries"]]
    with pytest.raises(FileFormatError, match="the buffer: byte 0: the magic number"):
        nd.load_frombuffer(b"")
    with pytest.raises(TypeError, match="takes bytes, got str"):
        nd.load_frombuffer("abc")
