"""Gradient cases of the element-wise, shape, indexing and matrix operators.

For `test_gradients.py`, in the form that `gradient_cases_layers.py` describes. Inputs stay away
from the corners of a function (ties, zeros, whole numbers), where central differences mean nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Case = dict[str, Any]

ZERO = "piecewise constant: the gradient is 0, see test_zero_gradients.py"
COMPARISONS = [
    *("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal"),
    *("logical_and", "logical_or", "logical_xor"),
]
ROUNDING = ["ceil", "fix", "floor", "rint", "round", "sign", "trunc"]
CONSTANT = ["logical_not", "ones_like", "zeros_like"]
SEARCHES = ["argmax", "argmax_channel", "argmin"]

# Operators without a case, and why.
WITHOUT_GRADIENT = dict.fromkeys(
    [
        *(f"_{key}" for key in COMPARISONS),
        *(f"_{key}_scalar" for key in COMPARISONS),
        *(f"broadcast_{key}" for key in COMPARISONS),
        *ROUNDING,
        *CONSTANT,
        *SEARCHES,
        "one_hot",
    ],
    ZERO,
)

# No two are equal, none is 0, whole, or half-way between whole numbers.
LEFT = np.array([[-1.3, 0.45, 2.2], [0.7, -0.55, 1.8]])
RIGHT = np.array([[0.9, -1.7, 1.2], [2.3, 0.6, -0.8]])
POSITIVE = np.array([[0.3, 0.45, 2.2], [0.7, 1.3, 1.8]])
WITHIN_ONE = np.array([[-0.8, 0.35, 0.6], [0.15, -0.55, 0.9]])
COLUMN, ROW = np.array([[[0.7], [1.4]]]), np.array([[[0.9, 2.6, 1.7]], [[3.1, 0.4, 2.2]]])


def case(op: str, inputs: dict[str, Any], wrt: list[str] | None = None, **attrs: Any) -> Case:
    return {"op": op, "attrs": attrs, "inputs": inputs, "wrt": wrt or list(inputs), "loss": None}


def pair(op: str, lhs: Any, rhs: Any) -> Case:
    return case(op, {"lhs": lhs, "rhs": rhs})


def one(op: str, data: Any, **attrs: Any) -> Case:
    return case(op, {"data": data}, **attrs)


def many(op: str, *arrays: Any, **attrs: Any) -> Case:
    return case(op, {f"arg{number}": array for number, array in enumerate(arrays)}, **attrs)


SMOOTH_PAIRS = {
    **dict.fromkeys(("add", "sub", "mul", "div", "mod", "maximum", "minimum", "hypot"), RIGHT),
    "power": RIGHT,
}
ELEMWISE = {key: f"elemwise_{key}" for key in ("add", "sub", "mul", "div")}

BINARY = [
    *(
        pair(ELEMWISE.get(key, f"_{key}"), POSITIVE if key == "power" else LEFT, RIGHT)
        for key in SMOOTH_PAIRS
    ),
    *(pair(f"broadcast_{key}", COLUMN, ROW) for key in SMOOTH_PAIRS),
    *(pair(f"broadcast_{key}", POSITIVE, RIGHT) for key in SMOOTH_PAIRS),
    pair("broadcast_mul", (2, 3), (3,)),
    pair("broadcast_power", np.array([[0.0, 1.5]]), np.array([[2.0], [3.0]])),
]

SCALAR = [
    *(
        one(f"_{name}_scalar", LEFT, scalar=1.6)
        for name in (
            *("plus", "minus", "rminus", "mul", "div", "rdiv", "mod", "rmod"),
            *("maximum", "minimum", "hypot"),
        )
    ),
    one("_mod_scalar", LEFT, scalar=-0.77),
    one("_power_scalar", POSITIVE, scalar=1.6),
    one("_power_scalar", LEFT, scalar=3.0),
    one("_rpower_scalar", LEFT, scalar=1.6),
    one("_rpower_scalar", POSITIVE, scalar=0.0),
]

UNARY = [
    *(
        one(name, LEFT)
        for name in (
            *("negative", "abs", "exp", "expm1", "square", "reciprocal", "cbrt", "rcbrt"),
            *("sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh"),
            *("degrees", "radians", "sigmoid", "relu", "softsign", "erf"),
        )
    ),
    *(one(name, POSITIVE) for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt")),
    *(one(name, WITHIN_ONE) for name in ("arcsin", "arccos", "arctanh")),
    one("arccosh", POSITIVE + 1),
    one("clip", LEFT, a_min=-0.5, a_max=1.9),
    case("where", {"condition": LEFT > 0.5, "x": (2, 3), "y": (2, 3)}, ["x", "y"]),
    case("where", {"condition": np.array([0.0, 2.0]), "x": (2, 3), "y": (2, 3)}, ["x", "y"]),
    one("Cast", LEFT, dtype="float64"),
]

AXES: list[dict[str, Any]] = [
    {},
    {"axis": 1},
    {"axis": (0, 2), "keepdims": True},
    {"axis": -1, "exclude": True},
    {"axis": (), "keepdims": True},
]
DISTINCT = np.array([0.3, -1.2, 2.1, 0.8, -0.4, 1.6, -2.2, 0.5, 1.1, -0.7, 1.9, 2.8]).reshape(
    2, 3, 2
)
WITH_ZEROS = np.array([[0.0, 1.5, -2.0], [0.0, 0.0, 3.0], [0.7, 1.2, -0.4]])

REDUCTIONS = [
    *(
        one(op, DISTINCT, **attrs)
        for op in ("sum", "mean", "max", "min", "prod", "norm")
        for attrs in AXES
    ),
    one("norm", DISTINCT, ord=1, axis=1),
    one("prod", WITH_ZEROS, axis=1),
    one("sum", (4,), axis=0),
]

SHAPES = [
    one("Reshape", (2, 3, 4), shape=(0, -3)),
    one("Reshape", (2, 3, 4), shape=(-1, 4), reverse=True),
    one("Reshape", (2, 3, 4), target_shape=(0, 6)),
    one("Flatten", (2, 3, 2)),
    one("expand_dims", (2, 3), axis=1),
    one("squeeze", (2, 1, 3)),
    one("transpose", (2, 3, 4)),
    one("transpose", (2, 3, 4), axes=(1, 2, 0)),
    one("transpose", (2, 1, 4), axes=(1, 0, 2)),
    one("SwapAxis", (2, 3, 4), dim1=0, dim2=2),
    one("slice_axis", (4, 3), axis=0, begin=1, end=None),
    one("slice_axis", (2, 5), axis=-1, begin=-4, end=-1),
    one("slice", (4, 5), begin=(1, None), end=(3, None)),
    one("slice", (4, 5), begin=(None, 4), end=(None, None), step=(2, -3)),
    one("reverse", (3, 4), axis=(0, 1)),
    one("SliceChannel", (2, 4, 3), num_outputs=2),
    one("SliceChannel", (4, 3), num_outputs=2, axis=0),
    one("SliceChannel", (2, 3), num_outputs=3, axis=-1, squeeze_axis=True),
    many("Concat", (2, 1, 3), (2, 4, 3), (2, 2, 3)),
    many("Concat", (2, 3), dim=0),
    many("stack", (2, 3), (2, 3), axis=-1),
    many("add_n", (2, 3), (2, 3), (2, 3)),
    many("add_n", (2, 3)),
    one("tile", (2, 3), reps=(3, 1, 2)),
    one("tile", (2, 3, 2), reps=(2,)),
    one("repeat", (2, 3), repeats=3, axis=1),
    one("repeat", (2, 3), repeats=2),
    one("broadcast_to", (2, 1, 3), shape=(0, 4, 0)),
    one("broadcast_axis", (1, 3, 1), axis=(0, 2), size=(2, 4)),
    case("broadcast_like", {"lhs": (1, 3), "rhs": (2, 3)}, ["lhs"]),
    case("broadcast_like", {"lhs": (1, 3), "rhs": (5, 4)}, ["lhs"], lhs_axes=0, rhs_axes=-1),
]

ROWS = np.array([[0.0, 3.0, 1.0], [3.9, -2.0, 7.0]])

INDEXING = [
    case("Embedding", {"data": ROWS, "weight": (4, 3)}, ["weight"], input_dim=4, output_dim=3),
    case("take", {"a": (4, 2), "indices": ROWS}, ["a"]),
    case("take", {"a": (2, 4, 3), "indices": ROWS}, ["a"], axis=1, mode="wrap"),
    case("take", {"a": (3, 4), "indices": np.array([3.0, 0.0])}, ["a"], axis=-1, mode="raise"),
    case("pick", {"data": (3, 4), "index": np.array([1.0, 9.0, -1.0])}, ["data"]),
    case(
        "pick",
        {"data": (2, 3, 4), "index": np.full((2, 4), 4.0)},
        ["data"],
        axis=1,
        keepdims=True,
        mode="wrap",
    ),
]

MATRICES = [
    pair("dot", (2, 3), (3, 4)),
    case("dot", {"lhs": (3, 2), "rhs": (4, 3)}, transpose_a=True, transpose_b=True),
    pair("dot", (3,), (3,)),
    pair("dot", (2, 3, 4), (4, 5)),
    case("dot", {"lhs": (4, 2, 3), "rhs": (4, 2, 2)}, transpose_a=True),
    pair("batch_dot", (2, 3, 4), (2, 4, 5)),
    case("batch_dot", {"lhs": (2, 4, 3), "rhs": (2, 5, 4)}, transpose_a=True, transpose_b=True),
    pair("batch_dot", (2, 2, 1, 3), (2, 2, 3, 2)),
]

CASES = BINARY + SCALAR + UNARY + REDUCTIONS + SHAPES + INDEXING + MATRICES
