"""A few thousand damaged files for every reader, and what fuzzing itself must notice.

``make fuzz`` reads many more; see docs/reliability.md.
"""

from __future__ import annotations

import json
import struct
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzz_params
import fuzz_run
import numpy as np
import pytest
from fuzz_targets import Finding, Target, check_params, check_symbol, examine, targets
from hypothesis import given
from hypothesis import strategies as st

import mxtrain as mx
from mxtrain.checkpoint.params import load_frombuffer, load_params
from mxtrain.errors import FileFormatError, MXNetError

NAMES = ["params", "symbol", "states", "safetensors", "run state"]
INPUTS = 3000


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused_or_read_as_their_bytes_say(name: str, tmp_path: Path) -> None:
    everything = targets(tmp_path)
    assert [target.name for target in everything] == NAMES
    (target,) = (target for target in everything if target.name == name)
    count = INPUTS * target.share // 100
    report = fuzz_run.fuzz([target], 1, count, tmp_path)
    assert not report.findings, report.findings[0]
    total = fuzz_run.Tally()
    for tally in report.tallies.values():
        total.join(tally)
    assert total.inputs == count
    assert total.refused > count / 2
    # A state of a run tells by its digests that it was changed.
    assert total.accepted >= (0 if name == "run state" else count / 30)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_the_same_in_every_run(name: str, tmp_path: Path) -> None:
    (target,) = (target for target in targets(tmp_path) if target.name == name)
    first = list(fuzz_run.inputs(target, 5, 200))
    assert first == list(fuzz_run.inputs(target, 5, 200))
    assert first[100][1:] == fuzz_run.one(target, 5, 100)
    assert first[100:] != list(fuzz_run.inputs(target, 6, 200))[100:]


# -- the judge ---------------------------------------------------------------------------------


def judged(check: Callable[[Path, bytes], bool], data: bytes, folder: Path) -> Any:
    tracemalloc.start()
    try:
        return examine(Target("t", [data], {}, check, 1), data, folder)
    finally:
        tracemalloc.stop()


def raising(error: Exception) -> Callable[..., bool]:
    def check(*args: Any, **options: Any) -> bool:
        raise error

    return check


def warning(file: Path, data: bytes) -> bool:
    warnings.warn("something", UserWarning, stacklevel=1)
    return True


def hoarding(file: Path, data: bytes) -> bool:
    return bool(np.zeros(1 << 20).size)


@pytest.mark.parametrize(
    ("check", "match"),
    [
        (raising(KeyError("x")), "KeyError"),
        (raising(RecursionError()), "RecursionError"),
        (raising(MXNetError("")), "an error of 0 characters"),
        (raising(FileFormatError("x" * 30_000)), "an error of 30000 characters"),
        (warning, "UserWarning: something"),
        (hoarding, r"\d{7} bytes of memory for 3 bytes"),
    ],
)
def test_what_a_reader_must_not_do_is_found(check: Any, match: str, tmp_path: Path) -> None:
    with pytest.raises(Finding, match=match):
        judged(check, b"abc", tmp_path)


def test_time_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0])
    monkeypatch.setattr("fuzz_targets.time.process_time", lambda: next(clock))
    with pytest.raises(Finding, match=r"5\.00 s for 3 bytes"):
        judged(lambda file, data: True, b"abc", tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda array: array[::-1].copy(), "data: read"),
        (lambda array: array.astype(np.float64), "type: read float64, the bytes say float32"),
        (lambda array: array.reshape(1, 2), r"shape: read \(1, 2\), the bytes say \(2,\)"),
        (lambda array: mx.nd.sparse.row_sparse_array(array), "storage: read row_sparse"),
        (None, "names: read"),
    ],
)
def test_arrays_that_differ_from_the_bytes_are_found(
    change: Any, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mx.nd.save(str(tmp_path / "f"), {"w": mx.nd.array([1, 2])})

    def wrong(file: Any, **options: Any) -> Any:
        loaded = load_params(file)
        assert isinstance(loaded, dict)
        return {"v": loaded["w"]} if change is None else {"w": change(loaded["w"])}

    monkeypatch.setattr("fuzz_targets.load_params", wrong)
    monkeypatch.setattr("fuzz_targets.load_frombuffer", lambda data: wrong(tmp_path / "f"))
    with pytest.raises(Finding, match=match):
        judged(check_params, (tmp_path / "f").read_bytes(), tmp_path)


def test_accepting_and_refusing_wrongly_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mx.nd.save(str(tmp_path / "f"), [mx.nd.array([1, 2])])
    data = (tmp_path / "f").read_bytes()
    for reader in ("load_params", "load_frombuffer"):
        monkeypatch.setattr(f"fuzz_targets.{reader}", lambda *args, **kwargs: [])
    with pytest.raises(Finding, match="accepted, though the bytes are bad"):
        judged(check_params, data[:-1], tmp_path)
    for reader in ("load_params", "load_frombuffer"):
        monkeypatch.setattr(f"fuzz_targets.{reader}", raising(FileFormatError("no")))
    with pytest.raises(Finding, match="refused, though the bytes are good: no"):
        judged(check_params, data, tmp_path)


def test_a_graph_that_differs_from_its_text_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=2, name="f")
    other = mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=3, name="f")
    assert judged(check_symbol, net.tojson().encode(), tmp_path).accepted
    monkeypatch.setattr("fuzz_targets.mx.sym.load", lambda file: other)
    with pytest.raises(Finding, match=r"attributes: read .*3.* the bytes say .*2"):
        judged(check_symbol, net.tojson().encode(), tmp_path)


# -- built by hypothesis -------------------------------------------------------------------------


@given(random=st.randoms(use_true_random=False))
def test_built_files(random: Any) -> None:
    data = fuzz_params.build(random)
    try:
        said = fuzz_params.parse(data)
    except fuzz_params.Bad:
        with pytest.raises(FileFormatError):
            load_frombuffer(data)
        return
    loaded = load_frombuffer(data)
    arrays = loaded if isinstance(loaded, list) else list(loaded.values())
    assert [a.shape for a in arrays] == [a.shape for a in said.arrays]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["op", "name", "inputs", "attrs", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    graph=st.fixed_dictionaries(
        {
            "nodes": st.lists(
                st.fixed_dictionaries(
                    {"op": st.sampled_from(["null", "relu"]), "name": json_values},
                    optional={"inputs": json_values, "attrs": json_values, "attr": json_values},
                )
                | json_values,
                max_size=4,
            ),
            "arg_nodes": json_values,
            "heads": json_values | st.just([[0, 0]]),
        },
        optional={"attrs": json_values, "node_row_ptr": json_values},
    )
)
def test_any_json_is_a_graph_or_refused(graph: Any) -> None:
    try:
        net = mx.sym.load_json(json.dumps(graph))
    except MXNetError as error:
        assert str(error)
        return
    assert {node.name for node in net.nodes()} <= {node["name"] for node in graph["nodes"]}


# -- large files: nothing takes time or memory that grows faster than the file ---------------------

COUNT = 5000
VARIABLE = '{"op": "null", "name": "v", "inputs": []}'


def graph(nodes: str, heads: str = "[[0, 0, 0]]") -> bytes:
    return f'{{"nodes": [{nodes}], "arg_nodes": [], "heads": {heads}}}'.encode()


def nodes(node: str, count: int = COUNT) -> bytes:
    return graph(", ".join([VARIABLE, *[node] * count]))


def records(record: bytes, count: int = COUNT) -> bytes:
    return struct.pack("<QQQ", 0x112, 0, count) + record * count + struct.pack("<Q", 0)


SCALAR = struct.pack("<IiiiiiI", 0xF993FACA, 0, 0, 1, 0, 0, 1)
LARGE = {
    "scalars": (check_params, records(SCALAR)),
    "absent": (check_params, records(struct.pack("<I", 0))),
    "empty": (check_params, records(struct.pack("<IIiii", 1, 0, 1, 0, 0))),
    "axes": (check_params, records(struct.pack("<I64Iiii", 64, *[1] * 64, 1, 0, 9), 2000)),
    "repeated key": (check_symbol, graph(VARIABLE, '{"a": 1' + ', "b": 1' * COUNT + "}")),
    "unknown operators": (check_symbol, nodes('{"op": "No", "name": "n", "inputs": [[0, 0]]}')),
    "unknown attributes": (
        check_symbol,
        graph(
            f'{VARIABLE}, {{"op": "relu", "name": "n", "inputs": [[0, 0]], "attrs": {{'
            + ", ".join(f'"a{i}": "1"' for i in range(COUNT))
            + "}}"
        ),
    ),
    "wrong values": (
        check_symbol,
        nodes('{"op": "argmax", "name": "n", "inputs": [[0, 0]], "attrs": {"axis": "x"}}'),
    ),
    "missing inputs": (check_symbol, nodes('{"op": "BatchNorm", "name": "n", "inputs": [[0, 0]]}')),
    "many pieces": (
        check_symbol,
        graph(
            f'{VARIABLE}, {{"op": "SliceChannel", "name": "s", "inputs": [[0, 0]], "attrs": '
            '{"num_outputs": "65536"}}'
            + ', {"op": "relu", "name": "r", "inputs": [[1, 7]]}'
            * 2000,
            "[[2001, 0]]",
        ),
    ),
    "a long chain": (
        check_symbol,
        graph(
            VARIABLE
            + "".join(
                f', {{"op": "relu", "name": "r{i}", "inputs": [[{i}, 0]]}}' for i in range(2000)
            ),
            "[[2000, 0]]",
        ),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check, data = LARGE[name]
    monkeypatch.setattr("fuzz_targets.SECONDS", 10)  # for any machine; each takes under two
    judged(check, data, tmp_path)
