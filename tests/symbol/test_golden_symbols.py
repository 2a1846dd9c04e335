"""Every graph and every error of golden/symbols, by id."""

from __future__ import annotations

import ast
import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import initializer as init
from mxtrain import symbol as sym
from mxtrain.attribute import AttrScope
from mxtrain.context import cpu
from mxtrain.errors import MXNetError, NotImplementedForSymbol
from mxtrain.name import NameManager, Prefix
from mxtrain.op import registry

FOLDER = Path(__file__).parent.parent / "golden" / "symbols"
GRAPHS = {item["id"]: item for item in json.loads((FOLDER / "graphs.json").read_text())["graphs"]}
ERRORS = {item["id"]: item for item in json.loads((FOLDER / "errors.json").read_text())["errors"]}

# Operators of later work: entries that use one are skipped until it is registered.
NOT_YET_THERE = {"Convolution", "Deconvolution", "Pooling", "RNN"}
EXCEPTIONS = {
    "AssertionError": AssertionError,
    "AttributeError": AttributeError,
    "IndexError": IndexError,
    "MXNetError": MXNetError,
    "NotImplementedForSymbol": NotImplementedForSymbol,
    "RuntimeError": RuntimeError,
    "TypeError": TypeError,
    "ValueError": ValueError,
}
CALLED = re.compile(r"\bsym\.([A-Za-z_]\w*)\(")
# The functions of the module that are not operators.
NOT_OPERATORS = {"Group", "NoSuchOperator", "Variable", "load_json"}


def absent(item: dict[str, Any]) -> set[str]:
    """Operators of an entry that are not registered."""
    return {n for n in CALLED.findall(item["code"]) if n not in registry} - NOT_OPERATORS


PRESENT_GRAPHS = [name for name, item in GRAPHS.items() if not absent(item)]
PRESENT_ERRORS = [name for name, item in ERRORS.items() if not absent(item)]


def names() -> dict[str, Any]:
    return {
        "sym": sym,
        "init": init,
        "AttrScope": AttrScope,
        "Prefix": Prefix,
        "np": np,
        "ctx": cpu(),
    }


def build(item: dict[str, Any]) -> dict[str, Any]:
    found = names()
    with NameManager():
        exec(item["code"], found)
    return found


def plain(value: Any) -> Any:
    """Tuples as lists, types as names: what JSON can hold."""
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    return np.dtype(value).name if isinstance(value, type) else value


def test_every_absent_operator_is_known_to_be_absent(say_counts: Any) -> None:
    counts = f"{len(PRESENT_GRAPHS)} of {len(GRAPHS)} graphs"
    counts += f" and {len(PRESENT_ERRORS)} of {len(ERRORS)} errors match"
    say_counts("symbols", f"{counts}, the others wait for {', '.join(sorted(NOT_YET_THERE))}")
    missing = {op for item in (*GRAPHS.values(), *ERRORS.values()) for op in absent(item)}
    assert missing == NOT_YET_THERE


@pytest.mark.parametrize("name", GRAPHS)
def test_graph(name: str) -> None:
    item = GRAPHS[name]
    if absent(item):
        pytest.skip(f"operator not yet there: {', '.join(sorted(absent(item)))}")
    found = build(item)
    net = found["net"]
    assert net.list_arguments() == item["arguments"]
    assert net.list_outputs() == item["outputs"]
    assert net.list_auxiliary_states() == item["auxiliary_states"]
    assert net.attr_dict() == item["attr_dict"]
    for expression, expected in item["queries"]:
        assert plain(eval(expression, found)) == expected, expression


@pytest.mark.parametrize("name", [n for n in PRESENT_GRAPHS if "arg_shapes" in GRAPHS[n]])
def test_shapes(name: str) -> None:
    item = GRAPHS[name]
    net = build(item)["net"]
    shapes = net.infer_shape(**{k: tuple(v) for k, v in item["shapes_given"].items()})
    assert plain(shapes) == [item["arg_shapes"], item["out_shapes"], item["aux_shapes"]]


@pytest.mark.parametrize("name", [n for n in PRESENT_GRAPHS if "infer_shape_partial" in GRAPHS[n]])
def test_partial_shapes(name: str) -> None:
    item = GRAPHS[name]
    net = build(item)["net"]
    given = {k: tuple(v) for k, v in item["shapes_given"].items()}
    with pytest.warns(UserWarning, match="cannot be inferred"):
        assert plain(net.infer_shape(**given)) == item["infer_shape_returns"]
    partial = item["infer_shape_partial"]
    expected = [partial["arg_shapes"], partial["out_shapes"], partial["aux_shapes"]]
    assert plain(net.infer_shape_partial(**given)) == expected


@pytest.mark.parametrize("name", [n for n in PRESENT_GRAPHS if "types_given" in GRAPHS[n]])
def test_types(name: str) -> None:
    item = GRAPHS[name]
    net = build(item)["net"]
    types = net.infer_type(**item["types_given"])
    assert plain(types) == [item["arg_types"], item["out_types"], item["aux_types"]]


@pytest.mark.parametrize("name", [n for n in PRESENT_GRAPHS if "json" in GRAPHS[n]])
def test_json(name: str) -> None:
    item = GRAPHS[name]
    net = build(item)["net"]
    assert json.loads(net.tojson()) == item["json"]
    assert sym.load_json(net.tojson()).tojson() == net.tojson()


@pytest.mark.parametrize("name", ERRORS)
def test_error(name: str) -> None:
    item = ERRORS[name]
    if absent(item):
        pytest.skip(f"operator not yet there: {', '.join(sorted(absent(item)))}")
    found = names()
    code = compile(ast.parse(item["code"]), name, "exec")
    if item["error"] is None:
        exec(code, found)
        return
    with pytest.raises(EXCEPTIONS[item["error"]]) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        exec(code, found)
    assert str(caught.value), "an error says what is wrong"
