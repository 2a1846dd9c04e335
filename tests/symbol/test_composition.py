"""Composition, copies, internals, indexing, groups."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from mxtrain import symbol as sym
from mxtrain.errors import CallError, MXNetError


def mlp(prefix: str = "") -> sym.Symbol:
    data = sym.Variable("data")
    hidden = sym.FullyConnected(data, num_hidden=4, name=f"{prefix}fc1")
    return sym.Activation(hidden, act_type="tanh", name=f"{prefix}act")


def test_composition_replaces_in_a_copy() -> None:
    net, other = mlp(), sym.Variable("other")
    composed = net(data=other * 2)
    assert composed.list_arguments() == ["other", "fc1_weight", "fc1_bias"]
    assert net.list_arguments() == ["data", "fc1_weight", "fc1_bias"]


def test_composition_by_position_follows_the_arguments() -> None:
    composed = mlp()(sym.Variable("x"), sym.Variable("w"), name="renamed")
    assert composed.list_arguments() == ["x", "w", "fc1_bias"]
    assert composed.name == "renamed"


def test_composing_a_variable_leaves_the_other_symbol_alone() -> None:
    other = sym.Variable("other")
    assert sym.Variable("x")(x=other, name="new").name == "other"
    assert other.name == "other"


@pytest.mark.parametrize(
    ("arguments", "named", "error", "text"),
    [
        ((), {"dta": sym.Variable("x")}, MXNetError, "did you mean 'data'"),
        ((), {"data": 3}, TypeError, "takes symbols, not int"),
        ((sym.Variable("x"),), {"data": sym.Variable("y")}, TypeError, "not both"),
        ([sym.Variable("x")] * 4, {}, MXNetError, "3 arguments .* 4 symbols"),
        ((), {"data": sym.split(sym.Variable("x"), num_outputs=2)}, MXNetError, "choose one with"),
    ],
    ids=["unknown name", "number", "both ways", "too many", "several outputs"],
)
def test_composition_errors(arguments: tuple, named: dict, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        mlp()(*arguments, **named)


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "json": lambda net: sym.load_json(net.tojson()),
}


@pytest.mark.parametrize("way", COPIES)
def test_copies_are_equal_and_independent(way: str) -> None:
    net = sym.Group([mlp(), sym.BatchNorm(sym.Variable("x"), name="bn", attr={"__mine__": "1"})])
    text = net.tojson()
    copied = COPIES[way](net)
    assert copied.tojson() == text
    assert copied.list_auxiliary_states() == ["bn_moving_mean", "bn_moving_var"]
    copied[1]._set_attr(__mine__="2")
    assert net.tojson() == text
    assert copied[1].attr("__mine__") == "2"


def test_a_deep_graph_is_copied_and_stored() -> None:
    net = sym.Variable("x")
    for _ in range(3000):
        net = net + 1
    copied = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    assert len(copied.nodes()) == 3001
    assert copied.infer_shape(x=(2,))[1] == [(2,)]


def test_shared_nodes_stay_shared() -> None:
    x = sym.Variable("x")
    both = x * x
    copied = copy.deepcopy(both)
    assert copied.list_arguments() == ["x"]
    assert len(copied.nodes()) == 2


def test_internals_have_every_output_of_every_node() -> None:
    pieces = sym.split(sym.Variable("x"), num_outputs=2, name="cut")
    internals = (pieces[0] + pieces[1]).get_internals()
    assert internals.list_outputs()[:3] == ["x", "cut_output0", "cut_output1"]
    assert internals["cut_output1"].list_outputs() == ["cut_output1"]


def test_children() -> None:
    net = mlp()
    assert net.get_children().list_outputs() == ["fc1_output"]
    assert sym.Variable("x").get_children() is None


def test_indexing() -> None:
    pieces = sym.split(sym.Variable("x"), num_outputs=3, name="cut")
    assert [piece.list_outputs() for piece in pieces] == [[f"cut_output{n}"] for n in range(3)]
    assert pieces[-1].list_outputs() == ["cut_output2"]
    assert pieces[1:].list_outputs() == ["cut_output1", "cut_output2"]
    assert len(pieces) == 3


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        ("cut_output9", ValueError, "did you mean 'cut_output"),
        (3, IndexError, "output 3 of a symbol with 3 outputs"),
        (slice(3, 5), IndexError, "takes none of the 3 outputs"),
        (1.0, TypeError, "by name or number, not by float"),
    ],
)
def test_indexing_errors(key: object, error: type, text: str) -> None:
    pieces = sym.split(sym.Variable("x"), num_outputs=3, name="cut")
    with pytest.raises(error, match=text):
        pieces[key]


def test_an_ambiguous_name_is_refused() -> None:
    x = sym.Variable("x")
    twice = sym.Group([sym.exp(x, name="same"), sym.log(x, name="same")])
    with pytest.raises(ValueError, match="2 outputs are called 'same_output'"):
        twice["same_output"]


def test_groups_of_groups_are_flat() -> None:
    x = sym.Variable("x")
    group = sym.Group([sym.Group([x, x + 1]), x * 2])
    assert len(group) == 3
    assert group.name is None


def test_listing_names_nodes_inputs_and_attributes() -> None:
    text = sym.BatchNorm(mlp(), name="bn").debug_str()
    assert text.startswith("Symbol Outputs:\n\toutput[0]=bn(0)\nVariable:data\n")
    assert "Op:FullyConnected, Name=fc1\nInputs:\n\targ[0]=data(0) version=0\n" in text
    assert "\targ[0]=act(0)\n" in text
    assert "\targ[3]=bn_moving_mean(0) version=1\n" in text
    assert "Attrs:\n\tnum_hidden=4\n" in text


def test_missing_inputs_may_be_none() -> None:
    net = sym.FullyConnected(sym.Variable("x"), None, sym.Variable("b"), 3, name="fc")
    assert net.list_arguments() == ["x", "fc_weight", "b"]
    assert net.attr("num_hidden") == "3"


def test_positional_values_after_the_inputs_are_attributes() -> None:
    x = sym.Variable("x")
    assert sym.Reshape(x, (0, -1)).attr("shape") == "(0, -1)"
    assert sym.clip(x, -1, 2).list_attr() == {"a_min": "-1", "a_max": "2"}
    with pytest.raises(TypeError, match="1 positional values too many"):
        sym.clip(x, 1, 2, 3)
    with pytest.raises(TypeError, match="two values for 'a_min'"):
        sym.clip(x, 1, a_min=2)


def test_inputs_by_name_and_position_are_not_both_given() -> None:
    x = sym.Variable("x")
    with pytest.raises(TypeError, match="two symbols for 'data'"):
        sym.FullyConnected(x, data=x, num_hidden=2)
    with pytest.raises(MXNetError, match=r"takes 1 inputs \(data\), 2 were given"):
        sym.LeakyReLU(x, x, act_type="elu")
    with pytest.raises(CallError, match="inputs are symbols, not list"):
        sym.Concat([x, x])


def test_eval_computes_once() -> None:
    x = sym.Variable("x")
    (out,) = (x * 2 + 1).eval(x=np.array([1.0, 2.0]))
    np.testing.assert_array_equal(out, [3, 5])
