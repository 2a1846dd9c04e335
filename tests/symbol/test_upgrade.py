"""Graphs of earlier MXNet releases: every recorded one, and the steps one by one."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from mxtrain import symbol as sym
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.op import registry
from mxtrain.symbol.json import read_nodes
from mxtrain.symbol.node import Entry, topological_order
from mxtrain.symbol.upgrade import STEPS, UNNAMED_VERSION, upgrade

FOLDER = Path(__file__).parents[1] / "golden/files"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
GRAPHS = {entry["file"]: entry for entry in MANIFEST["graphs"]}


def stored(file: str) -> dict[str, Any]:
    graph: dict[str, Any] = json.loads((FOLDER / file).read_text())
    return graph


def missing_operators(graph: dict[str, Any]) -> set[str]:
    return {n["op"] for n in graph["nodes"] if n["op"] != "null" and n["op"] not in registry}


def without_versions(graph: dict[str, Any]) -> dict[str, Any]:
    """The third number of an input or head says nothing."""
    nodes = [n | {"inputs": [i[:2] for i in n["inputs"]]} for n in graph["nodes"]]
    return graph | {"nodes": nodes, "heads": [head[:2] for head in graph["heads"]]}


def test_every_recorded_graph(say_counts: Any) -> None:
    waiting = {f: sorted(missing_operators(stored(f))) for f in GRAPHS}
    there = [file for file, missing in waiting.items() if not missing]
    others = sorted({op for missing in waiting.values() for op in missing})
    names = f", the others wait for {', '.join(others)}" if others else ""
    say_counts("older graphs", f"{len(there)} of {len(GRAPHS)} match{names}")
    assert len(GRAPHS) == len(list(FOLDER.glob("*.expected.json")))


@pytest.mark.parametrize("file", GRAPHS)
def test_graph(file: str) -> None:
    entry = GRAPHS[file]
    missing = missing_operators(stored(file))
    if missing:
        with pytest.raises(MXNetError, match=file) as caught:
            sym.load(str(FOLDER / file))
        assert set(re.findall(r"(\w+) \(", str(caught.value))) == missing
        return
    net = sym.load(str(FOLDER / file))
    assert net.list_arguments() == entry["arguments"]
    assert net.list_auxiliary_states() == entry["auxiliary_states"]
    assert net.list_outputs() == entry["outputs"]
    if "attr_dict" in entry:
        assert net.attr_dict() == entry["attr_dict"]
    again = json.loads(net.tojson())
    assert without_versions(again) == without_versions(stored(entry["expected"]))
    assert sym.load_json(net.tojson()).tojson() == net.tojson()


@pytest.mark.parametrize("file", GRAPHS)
def test_nodes_are_upgraded_even_where_operators_are_not_there(file: str) -> None:
    graph = stored(file)
    nodes = read_nodes(graph)
    upgrade(nodes, graph.get("attrs", {}).get("mxnet_version", ["int", UNNAMED_VERSION])[1])
    order = topological_order([Entry(nodes[head[0]], head[1]) for head in graph["heads"]])
    number = {id(node): index for index, node in enumerate(order)}
    found = [
        {"op": node.op or "null", "name": node.name}
        | ({"attrs": node.attrs} if node.attrs else {})
        | {"inputs": [[number[id(entry.node)], entry.index] for entry in node.inputs]}
        for node in order
    ]
    assert found == without_versions(stored(GRAPHS[file]["expected"]))["nodes"]


# -- steps -------------------------------------------------------------------------------------


def variable(name: str, **attrs: str) -> dict[str, Any]:
    return {"op": "null", "name": name, "attrs": attrs, "inputs": []}


def graph(*nodes: dict[str, Any], version: int | None) -> str:
    """A graph whose head is the last node; each operator takes all nodes before it."""
    top = {"nodes": list(nodes), "arg_nodes": [], "heads": [[len(nodes) - 1, 0, 0]]}
    if version is not None:
        top["attrs"] = {"mxnet_version": ["int", version]}  # type: ignore[assignment]
    return json.dumps(top)


def operator(op: str, name: str, inputs: int, **attrs: str) -> dict[str, Any]:
    return {"op": op, "name": name, "attrs": attrs, "inputs": [[i, 0, 0] for i in range(inputs)]}


@pytest.mark.parametrize("op", ["argmax", "argmin"])
@pytest.mark.parametrize("rule", MANIFEST["argmax_axis_rule"], ids=lambda r: r["mxnet_version"])
def test_axis_of_argmax(rule: dict[str, Any], op: str) -> None:
    text = graph(variable("a"), operator(op, "m", 1, axis="-1"), version=rule["mxnet_version"])
    assert (
        json.loads(sym.load_json(text).tojson())["nodes"][1].get("attrs", {})
        == (rule["attrs_after"])
    )


@pytest.mark.parametrize("rule", MANIFEST["init_attribute_rule"], ids=lambda r: r["mxnet_version"])
def test_initializer_of_the_slope(rule: dict[str, Any]) -> None:
    nodes = (variable("a"), variable("g"), operator("LeakyReLU", "l", 2, act_type="prelu"))
    net = sym.load_json(graph(*nodes, version=rule["mxnet_version"]))
    assert net.attr_dict().get("g", {}) == rule["gamma_attrs_after"]


@pytest.mark.parametrize(("version", "moved"), [(None, True), (10900, True), (10901, False)])
def test_keys_of_an_input_move_to_its_variable(version: int | None, moved: bool) -> None:
    attrs = {"num_hidden": "2", "no_bias": "1", "weight_lr_mult": "3", "lr_mult": "4"}
    nodes = (variable("a", data_wd_mult="5"), variable("w"))
    text = graph(*nodes, operator("FullyConnected", "f", 2, **attrs), version=version)
    if not moved:
        with pytest.raises(MXNetError, match=r"no attribute 'weight_lr_mult'.*'lr_mult'"):
            sym.load_json(text)
        return
    found = {n["name"]: n.get("attrs") for n in json.loads(sym.load_json(text).tojson())["nodes"]}
    assert found["a"] == {"data_wd_mult": "5"}  # on variables such keys stay as they are
    assert found["w"] == {"__lr_mult__": "3"}
    assert found["f"] == {"__lr_mult__": "4", "num_hidden": "2", "no_bias": "1"}


def test_a_key_without_a_variable_to_move_to_is_an_unknown_attribute() -> None:
    inner = operator("relu", "r", 1)
    outer = operator("FullyConnected", "f", 2, num_hidden="2", no_bias="1", data_lr_mult="3")
    outer["inputs"] = [[1, 0], [2, 0]]
    text = graph(variable("a"), inner, variable("w"), outer, version=800)
    with pytest.raises(MXNetError, match=r"FullyConnected has no attribute 'data_lr_mult' .*f\)"):
        sym.load_json(text)


@pytest.mark.parametrize(("version", "added"), [(None, True), (899, True), (900, False)])
def test_auxiliary_states_are_added(version: int | None, added: bool) -> None:
    nodes = [variable("x"), variable("g"), variable("b")]
    text = graph(*nodes, operator("BatchNorm", "bn", 3, eps="0.01"), version=version)
    if not added:
        with pytest.raises(MXNetError, match=r"node 3 \(bn\): BatchNorm takes 5 inputs .* 3 are"):
            sym.load_json(text)
        return
    net = sym.load_json(text)
    assert net.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    assert net.attr_dict()["bn_moving_var"] == {"eps": "0.01", "__init__": '["one", {}]'}


def test_an_initializer_that_is_there_stays() -> None:
    slope = variable("g", __init__='["zero", {}]')
    text = graph(variable("a"), slope, operator("LeakyReLU", "l", 2, act_type="prelu"), version=1)
    assert sym.load_json(text).attr_dict()["g"] == {"__init__": '["zero", {}]'}
    text = graph(variable("a"), operator("LeakyReLU", "l", 1, act_type="leaky"), version=1)
    assert "a" not in sym.load_json(text).attr_dict()


def test_parameters_do_not_overwrite_attributes() -> None:
    node = {"op": "relu", "name": "r", "param": {"__a__": "1", "__b__": "1"}, "inputs": [[0, 0]]}
    text = graph(variable("x"), node | {"attr": {"__b__": "2"}}, version=None)
    assert sym.load_json(text).attr_dict()["r"] == {"__a__": "1", "__b__": "2"}


def test_an_older_graph_is_written_like_one_just_composed() -> None:
    net = sym.load(str(FOLDER / "graph_08_noaux.json"))
    inputs = {node["name"]: node["inputs"] for node in json.loads(net.tojson())["nodes"]}
    assert [entry[2] for entry in inputs["bn"]] == [0, 0, 0, 1, 1]


def test_the_steps_are_those_of_the_versions() -> None:
    assert [(limit, step.__name__) for limit, step in STEPS] == [
        (10901, "hide_keys"),
        (900, "add_missing_inputs"),
        (904, "add_initializers"),
        (905, "drop_axis"),
    ]


# -- versions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", MANIFEST["json_tests"], ids=lambda case: case["id"])
def test_recorded_text(case: dict[str, Any]) -> None:
    text = json.dumps(case["json"])
    if case["error"]:
        with pytest.raises(MXNetError):
            sym.load_json(text)
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = sym.load_json(text)
    assert len(caught) == (case["id"] == "newer_version")
    assert (net.list_arguments(), net.list_outputs()) == (case["arguments"], case["outputs"])


def test_a_later_version_is_read_with_one_warning() -> None:
    with pytest.warns(UserWarning, match=r"written by MXNet 2\.1\.3, later than 1\.9\.1") as caught:
        sym.load_json(graph(variable("a"), version=20103))
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize(
    ("attrs", "match"),
    [
        (["int", 10901], "'attrs' should be an object"),
        ({"mxnet_version": 10901}, r"like \[\"int\", 10901\], it is 10901"),
        ({"mxnet_version": ["int"]}, r"it is \['int'\]"),
        ({"mxnet_version": ["int", "10901"]}, "a number like 10901, it is '10901'"),
        ({"mxnet_version": ["int", True]}, "it is True"),
        ({"mxnet_version": ["int", -1]}, "it is -1"),
    ],
)
def test_wrong_versions(attrs: Any, match: str) -> None:
    text = json.loads(graph(variable("a"), version=None)) | {"attrs": attrs}
    with pytest.raises(FileFormatError, match=match):
        sym.load_json(json.dumps(text))
