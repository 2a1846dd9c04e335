"""The file with a run's state: what comes back, and what is refused."""

from __future__ import annotations

import json
import os
from collections import OrderedDict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain import nd
from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.packing import is_packable, pack
from mxtrain.errors import FileFormatError, MXNetError

dtypes = st.sampled_from(
    ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", "c8"]
).map(np.dtype)
arrays = dtypes.flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
scalars = st.floats(width=32).map(np.float32) | st.integers(0, 9).map(np.int64)
nested = st.recursive(
    plain | arrays | arrays.map(nd.view) | scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(plain, inner, max_size=3)
        | st.lists(inner, max_size=3).map(lambda items: deque(items, 3))
        | st.sets(plain, max_size=3)
    ),
    max_leaves=6,
)


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same to the last bit, types included."""
    if isinstance(a, np.ndarray):
        native = a.astype(a.dtype.newbyteorder("="))
        return (
            isinstance(a, nd.NDArray) == isinstance(b, nd.NDArray)
            and native.dtype == b.dtype
            and a.shape == b.shape
            and native.tobytes() == b.tobytes()
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, tuple | list | deque):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, set):
        return sorted(map(repr, a)) == sorted(map(repr, b))
    return repr(a) == repr(b)  # tells -0.0 from 0.0, and takes NaN for NaN


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(max_size=4) | st.integers(), nested, max_size=4))
def test_round_trip(tmp_path: Path, values: dict[Any, Any]) -> None:
    path = tmp_path / "state.safetensors"
    run_state.save(path, {"epoch": 3, "config": "a: é\n"}, values)
    content = path.read_bytes()
    loaded = run_state.load(path)
    assert loaded.metadata == {"epoch": 3, "config": "a: é\n"}
    assert run_state.load_metadata(path) == loaded.metadata
    assert same(values, loaded.values)
    run_state.save(path, loaded.metadata, loaded.values)
    assert path.read_bytes() == content


@pytest.mark.parametrize("bits", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_generators_continue(tmp_path: Path, bits: str) -> None:
    generator = np.random.Generator(getattr(np.random, bits)(3))
    old = np.random.RandomState(5)
    generator.standard_normal(3), generator.integers(5, dtype=np.uint32), old.standard_normal(3)
    run_state.save(tmp_path / "s", {}, {"new": generator, "old": [old]})
    values = run_state.load(tmp_path / "s").values
    assert np.array_equal(values["new"].random(9), generator.random(9))
    assert values["new"].integers(9, dtype=np.uint32) == generator.integers(9, dtype=np.uint32)
    assert np.array_equal(values["old"][0].standard_normal(3), old.standard_normal(3))


def test_the_safetensors_library_reads_it(tmp_path: Path) -> None:
    from safetensors import safe_open

    values = {"a": np.arange(5, dtype=np.int8), "b": np.ones((2, 3)), "c": np.float16(2)}
    run_state.save(tmp_path / "s.safetensors", {"epoch": 1}, values)
    with safe_open(tmp_path / "s.safetensors", "np") as file:
        found = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118 - not a mapping
        assert json.loads(file.metadata()["mxtrain"])["metadata"] == {"epoch": 1}
    assert sorted(array.dtype.name for array in found) == ["float16", "float64", "int8"]


def test_arrays_are_called_after_their_place(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    ones = np.ones(1)
    values = {"optimizer": {"states": {0: (ones, ones), "w b": ones, 1: ones, "1": ones}}}
    run_state.save(tmp_path / "s", {}, values)
    assert sorted(load_file(tmp_path / "s")) == [
        "optimizer.states.0.0",
        "optimizer.states.0.1",
        "optimizer.states.1",
        "optimizer.states.1+",
        "optimizer.states.3",
    ]


def test_arrays_can_be_written_to(tmp_path: Path) -> None:
    run_state.save(tmp_path / "s", {}, {"a": np.zeros(3), "flags": np.ones(2, bool)})
    values = run_state.load(tmp_path / "s").values
    values["a"][:] = values["flags"][0]
    assert values["a"].tolist() == [1, 1, 1]


class Mine:
    """Of a class of the user's own."""


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (Mine(), "got Mine"),
        ([{"a": (1, 1j)}], "got complex"),
        (np.array([None]), "got an array of object"),
        (np.array(["a"]), "got an array of <U1"),
        (np.array([1], "M8[s]"), "got an array of datetime64"),
        (iter([]), "got list_iterator"),
        (type("Dict", (dict,), {})(), "got Dict"),
    ],
)
def test_what_cannot_be_stored(tmp_path: Path, value: Any, got: str) -> None:
    with pytest.raises(TypeError, match=got):
        run_state.save(tmp_path / "s", {}, {"a": value})
    assert not is_packable(value)
    assert list(tmp_path.iterdir()) == []


def test_a_value_inside_itself_cannot_be_stored() -> None:
    value: list[Any] = []
    value.append(value)
    assert not is_packable(value)


def test_dicts_of_the_library_are_plain_ones_afterwards() -> None:
    assert pack(OrderedDict(a=1), "", {}) == pack({"a": 1}, "", {})


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("state") / "s"
    values = {"states": {0: (np.arange(3, dtype=np.float32), None)}, "best": -np.inf}
    run_state.save(path, {"epoch": 1}, values)
    return path.read_bytes()


def test_cut_off_at_every_byte(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for end in range(len(good)):
        path.write_bytes(good[:end])
        for read in (run_state.load, run_state.load_metadata):
            if read is run_state.load_metadata and end >= len(good) - 12:
                continue  # a look at the metadata does not reach the tensors
            with pytest.raises(FileFormatError, match="s is "):
                read(path)


def test_every_flipped_bit_is_noticed(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="s is "):
            run_state.load(path)


def test_bytes_after_the_end(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(good + b"\0")
    with pytest.raises(FileFormatError, match="not those that were written"):
        run_state.load(tmp_path / "s")


def with_digests(content: str, table: str = "", data: bytes = b"") -> bytes:
    """Return a file whose digests are right and whose content is anybody's."""
    import hashlib

    zeros, of_data = b"0" * 64, hashlib.sha256(data).hexdigest().encode()
    text = b'{"__metadata__":{"sha256":"%b","data_sha256":"%b","mxtrain":%b}%b}' % (
        zeros,
        of_data,
        json.dumps(content).encode(),
        table.encode(),
    )
    length = len(text).to_bytes(8, "little")
    digest = hashlib.sha256(length + text).hexdigest().encode()
    return length + text.replace(zeros, digest, 1) + data


EMPTY = '{"format": 1, "metadata": {}, "values": {"dict": []}}'
DEEP = '{"list": [' * 5000
TENSOR = ',"a":{"dtype":"%s","shape":%s,"data_offsets":%s}'


@pytest.mark.parametrize(
    ("content", "table", "data"),
    [
        ("", "", b""),
        ("[]", "", b""),
        ("{", "", b""),
        ('{"format": 2, "metadata": {}, "values": {"dict": []}}', "", b""),
        ('{"format": 1, "metadata": {}}', "", b""),
        ('{"format": 1, "metadata": [], "values": {"dict": []}}', "", b""),
        ('{"format": 1, "metadata": {}, "values": {"list": []}}', "", b""),
        ('{"format": 1, "metadata": {}, "values": {"pickle": "x"}}', "", b""),
        ('{"format": 1, "metadata": {}, "values": {"dict": [[{"list": []}, {}]]}}', "", b""),
        ('{"format": 1, "metadata": {}, "values": {"dict": [[{"value": 1}]]}}', "", b""),
        ('{"format": 1, "metadata": {}, "values": ' + DEEP, "", b""),
        ('{"format": 1, "metadata": {}, "values": {"tensor": "b"}}', "", b""),
        (
            '{"format": 1, "metadata": {}, "values": {"dict": [[{"value": 1}, {"generator":'
            ' {"dict": [[{"value": "bit_generator"}, {"value": "seed"}]]}}]]}}',
            "",
            b"",
        ),
        (
            '{"format": 1, "metadata": {}, "values": {"dict": []}}',
            TENSOR % ("F9", [1], [0, 4]),
            b"",
        ),
        (
            '{"format": 1, "metadata": {}, "values": {"dict": []}}',
            TENSOR % ("F32", [1 << 40], [0, 1 << 42]),
            b"0000",
        ),
        (
            '{"format": 1, "metadata": {}, "values": {"dict": []}}',
            TENSOR % ("F32", [-1], [0, 4]),
            b"0000",
        ),
    ],
)
def test_a_hostile_file_with_right_digests(
    tmp_path: Path, content: str, table: str, data: bytes
) -> None:
    (tmp_path / "s").write_bytes(with_digests(content, table, data))
    with pytest.raises(FileFormatError, match="s"):
        run_state.load(tmp_path / "s")


def test_other_files(tmp_path: Path) -> None:
    from safetensors.numpy import save

    (tmp_path / "other").write_bytes(save({"a": np.zeros(100)}, {"note": "x" * 300}))
    with pytest.raises(FileFormatError, match="other is no state of a run"):
        run_state.load(tmp_path / "other")
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(MXNetError, match="cannot read"):
            run_state.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MXNetError, match="a pipe"):
        run_state.load_metadata(tmp_path / "pipe")
