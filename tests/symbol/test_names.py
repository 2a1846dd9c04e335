"""Automatic names, name managers, attribute scopes, variables' attributes."""

from __future__ import annotations

import numpy as np
import pytest

from mxtrain import symbol as sym
from mxtrain.attribute import AttrScope
from mxtrain.errors import MXNetError
from mxtrain.name import NameManager, Prefix

X = sym.Variable("x")

# The spelling that is called -> (automatic name, stored operator).
SPELLINGS = {
    "Concat": ("concat0", "Concat"),
    "concat": ("concat0", "Concat"),
    "SwapAxis": ("swapaxis0", "SwapAxis"),
    "swapaxes": ("swapaxes0", "SwapAxis"),
    "add_n": ("add_n0", "add_n"),
    "ElementWiseSum": ("elementwisesum0", "add_n"),
    "BlockGrad": ("blockgrad0", "BlockGrad"),
    "stop_gradient": ("stop_gradient0", "BlockGrad"),
    "Flatten": ("flatten0", "Flatten"),
    "flatten": ("flatten0", "Flatten"),
    "Reshape": ("reshape0", "Reshape"),
    "reverse": ("reverse0", "reverse"),
    "flip": ("flip0", "reverse"),
    "crop": ("crop0", "slice"),
    "sum_axis": ("sum_axis0", "sum"),
    "cast": ("cast0", "Cast"),
    "Softmax": ("softmax0", "SoftmaxOutput"),
    "choose_element_0index": ("choose_element_0index0", "pick"),
    "broadcast_plus": ("broadcast_plus0", "broadcast_add"),
    "broadcast_axes": ("broadcast_axes0", "broadcast_axis"),
}
ATTRS = {
    "Reshape": {"shape": (-1,)},
    "flip": {"axis": 0},
    "reverse": {"axis": 0},
    "crop": {"begin": (0,), "end": (1,)},
    "cast": {"dtype": "float64"},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_spelling_names_the_node_and_the_operator_is_stored(spelling: str) -> None:
    name, op = SPELLINGS[spelling]
    with NameManager():
        net = getattr(sym, spelling)(X, **ATTRS.get(spelling, {}))
    assert net.name == name
    assert net.nodes()[-1].op == op


OLD_INTERNALS = {
    "_Plus": "elemwise_add",
    "_add": "elemwise_add",
    "_minus": "elemwise_sub",
    "_Mul": "elemwise_mul",
    "_div": "elemwise_div",
    "_Power": "_power",
    "_Not_Equal": "_not_equal",
    "_PlusScalar": "_plus_scalar",
    "_RMinusScalar": "_rminus_scalar",
    "_RDivScalar": "_rdiv_scalar",
    "_RPowerScalar": "_rpower_scalar",
    "_GreaterEqualScalar": "_greater_equal_scalar",
}


@pytest.mark.parametrize("spelling", OLD_INTERNALS)
def test_former_spellings_are_understood(spelling: str) -> None:
    function = getattr(sym._internal, spelling)
    net = function(X, scalar=2) if spelling.endswith("Scalar") else function(X, X)
    assert net.nodes()[-1].op == OLD_INTERNALS[spelling]


def test_counters_are_per_name_and_per_manager() -> None:
    with NameManager():
        assert [sym.exp(X).name, sym.exp(X, name="own").name, sym.exp(X).name] == [
            "exp0",
            "own",
            "exp1",
        ]
        with NameManager():
            assert sym.exp(X).name == "exp0"
        assert sym.exp(X).name == "exp2"


def test_prefix_goes_before_operators_and_not_before_variables() -> None:
    with Prefix("net_"):
        net = sym.FullyConnected(sym.Variable("data"), num_hidden=2, name="fc")
    assert net.list_arguments() == ["data", "net_fc_weight", "net_fc_bias"]


def test_scopes_are_inherited_and_overlaid() -> None:
    with AttrScope(ctx_group="a", __mood__="calm"), AttrScope(__mood__="happy"):
        net = sym.FullyConnected(sym.Variable("x"), num_hidden=2, attr={"__own__": "1"})
    assert net.attr("ctx_group") == net.attr("__ctx_group__") == "a"
    assert net.attr("__mood__") == "happy"
    assert net.attr("__own__") == "1"
    assert "ctx_group" not in net.tojson().replace("__ctx_group__", "")


def test_set_attr_changes_or_refuses_without_a_trace() -> None:
    net = sym.FullyConnected(X, num_hidden=2, name="fc")
    net._set_attr(num_hidden="3", lr_mult="2.0")
    assert net.infer_shape(x=(4, 5))[1] == [(4, 3)]
    assert net.attr("__lr_mult__") == "2.0"
    before = net.tojson()
    with pytest.raises(MXNetError, match="num_hidden='many' is not an integer"):
        net._set_attr(num_hidden="many")
    assert net.tojson() == before
    with pytest.raises(ValueError, match="attributes are texts: num_hidden=4"):
        net._set_attr(num_hidden=4)


@pytest.mark.parametrize(
    "make", [sym.Variable, lambda name, attr: sym.exp(X, name=name, attr=attr)]
)
def test_attributes_are_texts(make: object) -> None:
    with pytest.raises(ValueError, match="__k__=3 is a int; write __k__='3'"):
        make("a", attr={"__k__": 3})


def test_variable_attributes() -> None:
    variable = sym.Variable("v", shape=(np.int64(2), 3), lr_mult=0.5, dtype=np.float16, stype="csr")
    assert variable.list_attr() == {
        "__shape__": "(2, 3)",
        "__lr_mult__": "0.5",
        "lr_mult": "0.5",
        "__dtype__": "2",
        "__storage_type__": "2",
    }
    with pytest.raises(MXNetError, match="unknown element type 'complex64'"):
        sym.Variable("v", dtype="complex64")
    with pytest.raises(MXNetError, match="unknown storage type 'dense'"):
        sym.Variable("v", stype="dense")


def test_operators_in_the_module_and_their_documentation() -> None:
    assert "Matrix" in (sym.dot.__doc__ or "") or "Product" in (sym.dot.__doc__ or "")
    assert {"FullyConnected", "concat", "maximum", "Variable"} <= set(dir(sym))
    with pytest.raises(AttributeError, match="did you mean 'FullyConnected'"):
        sym.FullyConected  # noqa: B018  (the look-up is what fails)
    with pytest.raises(AttributeError, match="did you mean 'reshape'"):
        X.reshap((2, 3))
