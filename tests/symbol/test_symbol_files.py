"""Symbol files: those of recorded models, and what is refused."""

from __future__ import annotations

import json
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain import symbol as sym
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.op import registry

FOLDER = Path(__file__).parents[1] / "golden/files"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
MODELS = {model["prefix"]: model for model in MANIFEST["models"]}


def missing_operators(prefix: str) -> dict[str, list[str]]:
    """Operators of a recorded model that are not registered, with their nodes."""
    missing: dict[str, list[str]] = {}
    for node in json.loads((FOLDER / f"{prefix}-symbol.json").read_text())["nodes"]:
        if node["op"] != "null" and node["op"] not in registry:
            missing.setdefault(node["op"], []).append(node["name"])
    return missing


@pytest.mark.parametrize("prefix", MODELS)
def test_recorded_model(prefix: str, tmp_path: Path) -> None:
    file = FOLDER / f"{prefix}-symbol.json"
    missing = missing_operators(prefix)
    if missing:
        with pytest.raises(MXNetError) as caught:
            sym.load(str(file))
        listed = "; ".join(f"{op} ({', '.join(names)})" for op, names in missing.items())
        assert str(caught.value) == f"{file}: symbol file: operators that are not there: {listed}"
        return
    net = sym.load(str(file))
    assert net.list_arguments() == MODELS[prefix]["arguments"]
    assert net.list_auxiliary_states() == MODELS[prefix]["auxiliary_states"]
    assert net.list_outputs() == MODELS[prefix]["outputs"]
    net.save(str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("inputs", [1, 10, 11])
def test_layout_of_long_lists(inputs: int) -> None:
    net = sym.add_n(*[sym.Variable(f"x{i}") for i in range(inputs)], name="sum")
    lines = net.tojson().split("\n")
    first = next(number for number, line in enumerate(lines) if '"add_n"' in line) + 3
    entries = [f"[{i}, 0, 0]" for i in range(inputs)]
    if inputs <= 10:
        assert lines[first] == f'      "inputs": [{", ".join(entries)}]'
    else:
        expected = ['      "inputs": [', *(f"        {e}, " for e in entries[:-1])]
        assert lines[first : first + inputs] == expected
        assert lines[first + inputs : first + inputs + 2] == [f"        {entries[-1]}", "      ]"]


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_read_as_it_was_written(text: str) -> None:
    net = sym.relu(sym.Variable(f"x{text}"), name=text, attr={"__key__": text})
    again = sym.load_json(net.tojson())
    assert again.tojson() == net.tojson()
    assert again.list_arguments() == [f"x{text}"]
    assert again.attr("__key__") == text
    # MXNet's reader knows no other escapes.
    assert set(re.findall(r"\\(.)", net.tojson().replace("\\\\", ""))) <= set('"nrt')


def test_every_recorded_model(say_counts: Any) -> None:
    there = [prefix for prefix in MODELS if not missing_operators(prefix)]
    others = sorted({op for prefix in MODELS for op in missing_operators(prefix)})
    names = f", the others wait for {', '.join(others)}" if others else ""
    say_counts("symbol files", f"{len(there)} of {len(MODELS)} written again byte for byte{names}")
    assert sorted(MODELS) == sorted(f.name.split("-")[0] for f in FOLDER.glob("*-symbol.json"))


# -- refused -----------------------------------------------------------------------------------

A = '{"op": "null", "name": "a", "inputs": []}'


def text(nodes: str = A, heads: str = "[[0, 0, 0]]", more: str = "") -> str:
    return f'{{"nodes": [{nodes}], "arg_nodes": [0], "heads": {heads}{more}}}'


def operator(attrs: str, op: str = "FullyConnected", name: str = "f") -> str:
    return f'{{"op": "{op}", "name": "{name}", "attrs": {attrs}, "inputs": [[0, 0, 0]]}}'


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "not a symbol file: Expecting value"),
        ("[1]", "the top level is not an object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (text(heads="[[0, NaN, 0]]"), "NaN is not a JSON value"),
        (text(heads="[[0, -Infinity, 0]]"), "-Infinity is not a JSON value"),
        (text(heads="[[0, 1e999, 0]]"), r"heads: \[0, inf, 0\] is not \[node, output\]"),
        (text(heads="[[0, 0.0, 0]]"), r"\[0, 0\.0, 0\] is not \[node, output\]"),
        (text(heads="[[0, true, 0]]"), r"\[0, True, 0\] is not"),
        (text(heads="[[" + "9" * 5000 + ", 0]]"), "not a symbol file: Exceeds the limit"),
        (text(heads="[[" + "9" * 4000 + ", 0]]"), r"node 9{10,20}\.\.\.9{10,20} does not come"),
        (text(heads="[[-1, 0]]"), "heads: node -1 does not come before it"),
        (text(heads="[[0, 1]]"), "heads: node 'a' has no output 1"),
        (text(heads="[[0, -1]]"), "node 'a' has no output -1"),
        (text(heads="[]"), "'heads' is empty"),
        (text(heads="{}"), "it has no list 'heads'"),
        (text(more=', "nodes": []'), "the key 'nodes' occurs twice in one object"),
        (text(A.replace("}", ', "name": "b"}')), "the key 'name' occurs twice"),
        (text(A.replace('"a"', r'"\ud800"')), "half a character"),
        (text(A.replace("}", r', "attrs": {"\udfff": "1"}}')), "half a character"),
        (text(A.replace("}", ', "attrs": {"k": 1}}')), "attributes should map texts to texts"),
        (text(A.replace("}", ', "attr": [1]}')), r"node 0 \(a\): attributes should map texts"),
        (text(A.replace("}", ', "param": null}')), "attributes should map texts to texts"),
        (text(A.replace("}", ', "zzz": 1}')), "unknown key 'zzz'; known are attrs, control_deps"),
        (text(A.replace("[]", "[[0, 0]]")), "a variable has no inputs"),
        (text(A.replace("[]", "{}")), "'inputs' should be a list"),
        (text(A.replace('"a"', "3")), "node 0 needs the texts 'op' and 'name'"),
        (text("7"), "node 0 is not an object"),
        (text(more=', "zzz": 1'), "symbol file: unknown key 'zzz'; known are arg_nodes"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_graph(content: str, match: str) -> None:
    with pytest.raises(FileFormatError, match=match) as caught:
        sym.load_json(content)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("node", "match"),
    [
        (operator('{"num_hidden": "2", "what": "1"}'), r"no attribute 'what' \(nodes f\)"),
        (operator('{"nmu_hidden": "2"}'), "'nmu_hidden', did you mean 'num_hidden'"),
        (operator('{"num_hidden": "2.0"}'), r"node 'f' .* num_hidden='2\.0' is not an integer"),
        (operator("{}"), r"node 'f' \(FullyConnected\) needs the attribute 'num_hidden'"),
        (operator('{"num_hidden": "2"}'), r"takes 3 inputs \(data, weight, bias\), 1 are stored"),
        (operator('{"num_args": "1000000000"}', "Concat"), "num_args is 1000000000, 1 inputs"),
        (operator('{"num_args": "2"}', "Concat"), r"Concat takes 2 inputs \(arg0, arg1\), 1 are"),
        (operator('{"num_outputs": "1000000000"}', "SliceChannel"), ">= 1 and <= 65536"),
        (operator('{"shape": "' + "(" * 100_000 + '"}', "Reshape"), "not a tuple of integers"),
        (A.replace("}", ', "subgraphs": [{}]}'), "'subgraphs' is not supported"),
    ],
    ids=lambda value: value[:60],
)
def test_nodes_that_do_not_fit(node: str, match: str) -> None:
    with pytest.raises(MXNetError, match=match) as caught:
        sym.load_json(text(f"{A}, {node}", more=', "attrs": {"mxnet_version": ["int", 10901]}'))
    assert len(str(caught.value)) < 1000


def test_outputs_that_nothing_uses_take_no_memory() -> None:
    pieces = operator('{"num_outputs": "65536"}', "SliceChannel", "s")
    used = '{"op": "relu", "name": "r", "inputs": [[1, 7, 0]]}'
    graph = text(f"{A}, {pieces}, {used}", "[[2, 0, 0]]")
    sym.load_json(text()).tojson()
    tracemalloc.start()
    assert '"65536"' in sym.load_json(graph).tojson()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_names_of_many_outputs_are_made_once() -> None:
    net = sym.split(sym.Variable("x"), num_outputs=20_000, name="s")
    assert net.list_outputs()[-1] == "s_output19999"


def test_all_unknown_operators_and_attributes_are_named_at_once() -> None:
    nodes = [operator("{}", op, f"n{i}") for i, op in enumerate(["No", "relu", "Nor", "No"])]
    with pytest.raises(MXNetError, match=r"not there: No \(n0, n3\); Nor \(n2\)$"):
        sym.load_json(text(", ".join([A, *nodes])))
    nodes = [operator('{"x": "1"}', "relu", f"n{i}") for i in range(30)]
    nodes.append(operator('{"axis": "a"}', "argmax", "m"))
    with pytest.raises(MXNetError) as caught:
        sym.load_json(text(", ".join([A, *nodes])))
    assert re.search(
        r"relu has no attribute 'x' \(nodes n0, .*, n19, and more\); node 'm' \(argmax\): "
        r"attribute axis='a' is not an integer or None$",
        str(caught.value),
    )


# -- files -------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbf" + text().encode())
    assert sym.load(str(tmp_path / "f")).list_outputs() == ["a"]


def test_files_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(text().encode("utf-16"))
    with pytest.raises(FileFormatError, match=r"f: byte 0: not a symbol file: it is not UTF-8"):
        sym.load(str(file))
    file.write_bytes(text().encode().replace(b'"a"', b'"\xe9"'))
    with pytest.raises(FileFormatError, match=r"f: byte \d\d: not a symbol file"):
        sym.load(str(file))


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("none", "No such file"), ("", "Is a directory"), ("pipe", "it is a pipe")):
        with pytest.raises(MXNetError, match=f"cannot read .*{name}: {why}"):
            sym.load(str(tmp_path / name))


def test_errors_of_a_file_name_it_and_keep_their_kind(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("{}")
    with pytest.raises(FileFormatError, match=r"f: not a symbol file: it has no list 'nodes'"):
        sym.load(str(tmp_path / "f"))
    (tmp_path / "f").write_text(text(f"{A}, {operator('{}', 'No')}"))
    with pytest.raises(MXNetError, match=r"f: symbol file: operators") as caught:
        sym.load(str(tmp_path / "f"))
    assert type(caught.value) is MXNetError
