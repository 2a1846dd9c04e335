"""Shapes and types through a graph: both directions, and the text of every contradiction."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError, ShapeError, TypeInferenceError
from mxtrain.op import registry

# Operator, attributes, shapes of its inputs, what the message says.
CONTRADICTIONS: list[tuple[str, dict[str, Any], list[tuple[int, ...]], str]] = [
    ("elemwise_add", {}, [(2, 3), (3, 2)], "an axis of 2 against one of 3.*lhs (2, 3), rhs (3, 2)"),
    ("elemwise_mul", {}, [(2, 3), (2,)], "(2, 3) has 2 axes, (2,) has 1"),
    ("broadcast_add", {}, [(2, 3), (2, 4)], "(2, 3) and (2, 4) do not broadcast: an axis of 3"),
    ("broadcast_to", {"shape": (2, 4)}, [(2, 3)], "(2, 3) does not become (2, 4): only axes of"),
    ("broadcast_to", {"shape": (2, 3, 4)}, [(2, 3)], "(2, 3) has 2 axes, the wanted (2, 3, 4) 3"),
    ("broadcast_axis", {"axis": (0, 1), "size": 3}, [(1, 1)], "should have one length"),
    ("broadcast_axis", {"axis": 2, "size": 3}, [(1, 1)], "axis 2 of an array with 2 axes"),
    ("broadcast_like", {"lhs_axes": 0}, [(1, 1), (2, 2)], "lhs_axes=(0,) and rhs_axes=None"),
    ("where", {}, [(3,), (2, 3), (2, 3)], "condition should be (2, 3) or (2,), it is (3,)"),
    ("sum", {"axis": 2}, [(2, 3)], "axis 2 of an array with 2 axes"),
    ("mean", {"axis": (0, -2)}, [(2, 3)], "names an axis twice"),
    ("argmax", {"axis": -3}, [(2, 3)], "axis -3 of an array with 2 axes"),
    ("Reshape", {"shape": (5, 5)}, [(2, 3)], "(2, 3) has 6 elements, the wanted (5, 5) 25"),
    ("Reshape", {"shape": (-1, 4)}, [(2, 3)], "6 elements do not divide by the 4"),
    ("Reshape", {"shape": (0, 0, 0)}, [(2, 3)], "code 0 needs 1 more axes of (2, 3)"),
    ("Reshape", {"shape": (0, -4, 2)}, [(2, 4)], "-4 needs two factors"),
    ("Reshape", {"shape": (0, -4, 3, -1)}, [(2, 4)], "an axis of 4 does not split into 3 and -1"),
    ("Reshape", {"shape": (0, -4, 0, 4)}, [(2, 4)], "the factors of -4 are positive or -1"),
    ("Reshape", {"shape": (-5,)}, [(2, 4)], "-5 is not a code"),
    ("Reshape", {}, [(2, 4)], "Reshape needs a shape"),
    ("Reshape", {"target_shape": (0, 0)}, [(2, 4)], "leaves more than one axis open"),
    ("expand_dims", {"axis": 4}, [(2, 3)], "axis 4 of an array with 2 axes"),
    ("squeeze", {"axis": 1}, [(2, 3)], "axis 1 of (2, 3) is 3, not 1"),
    ("transpose", {"axes": (0, 0)}, [(2, 3)], "should name each of the 2 axes once"),
    ("SwapAxis", {"dim1": 3}, [(2, 3)], "axis 3 of an array with 2 axes"),
    ("slice_axis", {"axis": 1, "begin": 0, "end": 4}, [(2, 3)], "4 is outside axis 1 of (2, 3)"),
    ("slice_axis", {"axis": 1, "begin": 2, "end": 1}, [(2, 3)], "takes nothing of axis 1"),
    ("slice", {"begin": (0, 1), "end": (1,)}, [(2, 3)], "should have one length"),
    ("slice", {"begin": 0, "end": 1, "step": 0}, [(2, 3)], "a step is not 0"),
    ("slice", {"begin": 5, "end": None}, [(2, 3)], "takes nothing of axis 0"),
    ("SliceChannel", {"num_outputs": 2}, [(2, 3)], "axis 1 of (2, 3) does not divide into 2"),
    ("SliceChannel", {"num_outputs": 2, "squeeze_axis": True}, [(2, 4)], "num_outputs=2 long"),
    ("Concat", {"dim": 1}, [(2, 3), (3, 3)], "an axis of 2 against one of 3"),
    ("Concat", {"dim": 2}, [(2, 3), (2, 3)], "axis 2 of an array with 2 axes"),
    ("stack", {}, [(2, 3), (2, 4)], "an axis of 3 against one of 4"),
    ("add_n", {}, [(2, 3), (2, 4)], "an axis of 3 against one of 4"),
    ("Embedding", {"input_dim": 4, "output_dim": 2}, [(3,), (4, 3)], "weight should be (4, 2), it"),
    ("take", {"axis": 2}, [(2, 3), (4,)], "axis 2 of an array with 2 axes"),
    ("pick", {}, [(2, 3), (3,)], "index should be (2,), it is (3,)"),
    ("pick", {}, [(2, 3), (2, 3)], "an axis of 3 against one of 1"),
    ("dot", {}, [(2, 3), (4, 3)], "(2, 3) and (4, 3) share no axis: 3 against 4"),
    ("batch_dot", {}, [(2, 2, 3), (2, 4, 3)], "share no axis: 3 against 4"),
    ("batch_dot", {}, [(2, 2, 3), (3, 3, 2)], "an axis of 2 against one of 3"),
    ("batch_dot", {}, [(2, 3), (3, 2)], "should have 3 axes"),
    (
        "FullyConnected",
        {"num_hidden": 4},
        [(2, 3), (4, 5)],
        "weight should be (4, 3), it is (4, 5)",
    ),
    ("SoftmaxOutput", {}, [(2, 3), (3,)], "label should be (2,) for data (2, 3), it is (3,)"),
]


@pytest.mark.parametrize(("op", "attrs", "shapes", "text"), CONTRADICTIONS, ids=str)
def test_a_contradiction_names_node_operator_and_shapes(
    op: str, attrs: dict[str, Any], shapes: list[tuple[int, ...]], text: str
) -> None:
    names = [f"in{number}" for number in range(len(shapes))]
    net = getattr(sym, op)(*map(sym.Variable, names), name="here", **attrs)
    with pytest.raises(ShapeError) as caught:
        net.infer_shape(**dict(zip(names, shapes, strict=True)))
    message = str(caught.value)
    assert message.startswith(f"node 'here' ({op}): ")
    for piece in text.split(".*"):
        assert piece in message


X, Y = sym.Variable("x"), sym.Variable("y")
# A net, the shapes given, the argument shapes and output shapes found.
INFERENCES: dict[str, tuple[Any, dict[str, tuple[int, ...]], list[Any], list[Any]]] = {
    "back through element-wise": (sym.exp(X) + Y, {"y": (2, 3)}, [(2, 3)] * 2, [(2, 3)]),
    "back through a transposition": (
        sym.transpose(X, axes=(1, 2, 0)) + Y,
        {"y": (2, 3, 4)},
        [(4, 2, 3), (2, 3, 4)],
        [(2, 3, 4)],
    ),
    "back through expand_dims": (
        sym.expand_dims(X, axis=1) + Y,
        {"y": (2, 1, 3)},
        [(2, 3), (2, 1, 3)],
        [(2, 1, 3)],
    ),
    "back through Reshape": (
        sym.Reshape(X, shape=(-1, 6)) + Y,
        {"x": (0, 3), "y": (4, 6)},
        [(8, 3), (4, 6)],
        [(4, 6)],
    ),
    "the batch through Flatten": (
        sym.Flatten(X) + Y,
        {"x": (0, 3, 2), "y": (4, 6)},
        [(4, 3, 2), (4, 6)],
        [(4, 6)],
    ),
    "the open part of Concat": (
        sym.Concat(X, Y, dim=1) + sym.Variable("z"),
        {"x": (2, 3), "z": (2, 8)},
        [(2, 3), (2, 5), (2, 8)],
        [(2, 8)],
    ),
    "between the parts of stack": (sym.stack(X, Y, axis=1), {"x": (3,)}, [(3,)] * 2, [(3, 2)]),
    "back through SliceChannel": (
        sym.split(X, num_outputs=2)[1] + Y,
        {"y": (2, 3)},
        [(2, 6), (2, 3)],
        [(2, 3)],
    ),
    "the shared axis of dot": (
        sym.dot(X, Y, transpose_b=True),
        {"x": (2, 3), "y": (4, 0)},
        [(2, 3), (4, 3)],
        [(2, 4)],
    ),
    "the index of pick": (sym.pick(X, Y), {"x": (2, 3)}, [(2, 3), (2,)], [(2,)]),
    "indices of Embedding": (
        sym.Embedding(X, input_dim=5, output_dim=2, name="e") + Y,
        {"y": (3, 4, 2)},
        [(3, 4), (5, 2), (3, 4, 2)],
        [(3, 4, 2)],
    ),
}


@pytest.mark.parametrize("name", INFERENCES)
def test_shapes_flow_both_ways(name: str) -> None:
    net, given, arguments, outputs = INFERENCES[name]
    assert net.infer_shape(**given)[:2] == (arguments, outputs)


def test_what_is_not_known_stays_open() -> None:
    net = sym.Reshape(sym.sum(X, axis=1, keepdims=True), shape=(-3, -2))
    assert net.infer_shape_partial(x=(0, 5, 3)) == ([(0, 5, 3)], [(0, 3)], [])
    with pytest.warns(UserWarning, match="unknown: x"):
        assert net.infer_shape() == (None, None, None)


@pytest.mark.parametrize(
    ("args", "given", "error", "text"),
    [
        ((), {"data": (2,)}, MXNetError, "unknown argument 'data'"),
        ((), {"x": 5}, TypeError, "the shape of 'x' should be a tuple of integers, not 5"),
        ((), {"x": ("a",)}, TypeError, "the shape of 'x' should be a tuple of integers"),
        (((2,),), {"x": (2,)}, ValueError, "not both"),
        (((2,), (2,), (2,)), {}, MXNetError, r"2 arguments \(x, y\), 3 given"),
    ],
    ids=["name", "number", "text", "both", "too many"],
)
def test_bad_calls(args: Any, given: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        (X + Y).infer_shape(*args, **given)


def test_shapes_by_position() -> None:
    assert (X + Y).infer_shape((2, 3))[0] == [(2, 3), (2, 3)]


def test_a_variable_given_another_shape_than_declared() -> None:
    net = sym.exp(sym.Variable("v", shape=(2, 0)))
    assert net.infer_shape(v=(0, 3))[1] == [(2, 3)]
    with pytest.raises(ShapeError, match=r"variable 'v': declared as \(2, \?\), given as \(3, 4\)"):
        net.infer_shape(v=(3, 4))


def test_types_flow_and_contradict() -> None:
    net = sym.Cast(X, dtype="float16") * Y
    assert net.infer_type(x="int32") == ([np.int32, np.float16], [np.float16], [])
    with pytest.raises(TypeInferenceError, match=r"node '.*' \(elemwise_mul\): .*float16.*Cast"):
        net.infer_type(y=np.float64)
    assert (X + Y).infer_type() == (None, None, None)
    with pytest.raises(MXNetError, match="'complex64' is no element type"):
        net.infer_type(x="complex64")


TYPES = {
    "indices of Embedding": (
        sym.Embedding(X, input_dim=2, output_dim=2, name="e"),
        {"x": "int32"},
        ["int32", "float32"],
        "float32",
    ),
    "a table of its own type": (
        sym.Embedding(X, Y, input_dim=2, output_dim=2),
        {"x": "int64", "y": "float64"},
        ["int64", "float64"],
        "float64",
    ),
    "take": (sym.take(X, Y), {"x": "float16", "y": "int32"}, ["float16", "int32"], "float16"),
    "pick": (sym.pick(X, Y), {"x": "float64", "y": "int8"}, ["float64", "int8"], "float64"),
    "one_hot": (sym.one_hot(X, depth=2, dtype="int8"), {"x": "int32"}, ["int32"], "int8"),
    "where": (
        sym.where(X, Y, Y),
        {"x": "uint8", "y": "float64"},
        ["uint8", "float64"],
        "float64",
    ),
}


@pytest.mark.parametrize("name", TYPES)
def test_inputs_with_types_of_their_own(name: str) -> None:
    net, given, arguments, output = TYPES[name]
    found, outputs, _ = net.infer_type(**given)
    assert [np.dtype(t).name for t in [*found, *outputs]] == [*arguments, output]


REQUIRED = {
    "act_type": "relu",
    "num_outputs": 2,
    "dtype": "float32",
    "shape": (-1,),
    "sample_type": "nearest",
}


@pytest.mark.parametrize("op", registry.names())
def test_nothing_known_is_no_error(op: str) -> None:
    """Every shape rule takes inputs of which nothing is known."""
    attrs = {
        name: REQUIRED.get(name, 1)
        for name, default in registry.get(op)._fields.items()
        if name == "shape" or (repr(default) == "required" and name != "num_args")
    }
    net = getattr(sym._internal, op)(sym.Variable("first"), **attrs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        arguments, _, _ = net.infer_shape_partial()
    assert len(arguments) == len(net.list_arguments())
