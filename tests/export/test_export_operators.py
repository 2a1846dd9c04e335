"""Every operator as an ONNX model against the executor, one operator at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_operator import converted, executed, furthest, golden, gradient_case, gradients

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError
from mxtrain.export.axes import BATCH
from mxtrain.export.converters import converter_of
from mxtrain.export.errors import ExportError, FixedBatchError
from mxtrain.export.graph import convert
from mxtrain.export.proto import to_bytes
from mxtrain.export.runtime import Session
from mxtrain.export.verify import difference
from mxtrain.op import registry

ALLOWED = {"float32": 1e-5, "float64": 1e-12, "float16": 4e-3}
# Computed in float32 where the data are float64, as onnxruntime has no more: see kernels.py.
IN_SINGLE = {"arcsin", "arccos", "arctan", "erf", "LeakyReLU", "prod", "UpSampling"}


def test_every_operator_has_a_converter() -> None:
    missing = [name for name in registry.names() if converter_of(registry.get(name)) is None]
    assert not missing


def test_every_operator_is_compared_below() -> None:
    cases = [golden.CASES[name]["op"] for name in golden.PRESENT]
    cases += [case["op"] for case in gradients.CASES]
    covered = {registry.name_of(registry.get(op)) for op in cases}
    assert sorted(set(registry.names()) - covered - set(FURTHER)) == []


@pytest.mark.parametrize("name", golden.PRESENT)
def test_recorded_case(name: str) -> None:
    case = golden.CASES[name]
    given = golden.stored(case, "in")
    inputs = {item["name"]: given[item["name"]] for item in case["inputs"]}
    aux = {f"op_{item['name']}": given[item["name"]] for item in case["aux"]}
    assert furthest(golden.build(case), inputs, aux) <= 1e-5


def test_count_of_recorded_cases(say_counts: Any) -> None:
    count = len(golden.PRESENT)
    say_counts("ops in ONNX", f"{count} of {len(golden.CASES)} cases exported and compared")
    assert count + len([c for c in golden.CASES.values() if c["op"] not in registry]) == len(
        golden.CASES
    )


@pytest.mark.parametrize("dtype", ALLOWED)
@pytest.mark.parametrize("case", gradients.CASES, ids=gradients.label_of)
def test_gradient_case(case: dict[str, Any], dtype: str) -> None:
    allowed = 1e-5 if dtype == "float64" and case["op"] in IN_SINGLE else ALLOWED[dtype]
    assert furthest(*gradient_case(case, dtype)) <= allowed


X = np.array([[-2.5, -1.5, -0.5, 0.0], [0.5, 1.5, 2.5, 7.0]], np.float32)
Y = np.array([[2.0, -1.5, 0.0, 0.0], [0.5, 1.0, -2.5, 3.0]], np.float32)
EXTREME = np.array([-np.inf, -3e38, -1e-30, -0.0, 0.0, 1e-30, 3e38, np.inf], np.float32)
COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal")
LOGICAL = ("logical_and", "logical_or", "logical_xor")

# Operators whose gradient is zero, so that they have no gradient case.
FURTHER: dict[str, dict[str, Any]] = {
    **{f"_{key}": {} for key in (*COMPARISONS, *LOGICAL)},
    **{f"broadcast_{key}": {} for key in (*COMPARISONS, *LOGICAL)},
    **{f"_{key}_scalar": {"scalar": 1.5} for key in (*COMPARISONS, *LOGICAL)},
    **{f"_{key}_scalar": {"scalar": 0.0} for key in LOGICAL},
    **{key: {} for key in ("ceil", "floor", "fix", "trunc", "rint", "round", "sign")},
    **{key: {} for key in ("logical_not", "ones_like", "zeros_like")},
    "BlockGrad": {},
    "Dropout": {"p": 0.5},
}


def network(op: str, count: int, **attrs: Any) -> Any:
    names = ["x", "y", "z"][:count]
    return getattr(sym._internal, op)(*map(sym.Variable, names), name="op", **attrs)


@pytest.mark.parametrize("op", FURTHER)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "int64", "int8"])
def test_flat_operator(op: str, dtype: str) -> None:
    count = len(registry.get(op).argument_names)
    inputs = {name: array.astype(dtype) for name, array in zip("xy"[:count], (X, Y), strict=False)}
    assert furthest(network(op, count, **FURTHER[op]), inputs) == 0


WHOLE = {
    "x": np.array([[-7, -2, 0, 3], [5, 6, 10, -12]]),
    "y": np.array([[2, -3, 0, 4], [-5, 0, 3, 7]]),
    "z": np.array([[1, 0, 0, -1], [2, 0, -3, 0]]),
}
OF_WHOLE_NUMBERS: list[tuple[str, dict[str, Any]]] = [
    *((f"elemwise_{key}", {}) for key in ("add", "sub", "mul")),
    *((f"_{key}", {}) for key in ("mod", "maximum", "minimum")),
    *((f"_{key}_scalar", {"scalar": 2.5}) for key in ("plus", "mul", "div", "mod")),
    *((key, {"axis": 1}) for key in ("sum", "prod", "max", "min", "mean", "norm")),
    *((key, {"axis": 1}) for key in ("argmax", "argmin")),
    ("clip", {"a_min": 3, "a_max": 5}),
    ("abs", {}),
    ("transpose", {}),
    ("reverse", {"axis": 1}),
    ("Cast", {"dtype": "float32"}),
    ("where", {}),
    ("dot", {"transpose_b": True}),
]


@pytest.mark.parametrize("dtype", ["int32", "int64", "int8", "uint8"])
@pytest.mark.parametrize(("op", "attrs"), OF_WHOLE_NUMBERS, ids=lambda v: str(v)[:20])
def test_whole_numbers(op: str, attrs: dict[str, Any], dtype: str) -> None:
    count = len(registry.get(op).argument_names)
    inputs = {
        name: (np.abs(WHOLE[name]) if dtype == "uint8" else WHOLE[name]).astype(dtype)
        for name in "xyz"[:count]
    }
    assert furthest(network(op, count, **attrs), inputs) == 0


@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("name", golden.PRESENT[::7])
def test_other_operator_sets(name: str, opset: int) -> None:
    case = golden.CASES[name]
    given = golden.stored(case, "in")
    inputs = {item["name"]: given[item["name"]] for item in case["inputs"]}
    aux = {f"op_{item['name']}": given[item["name"]] for item in case["aux"]}
    assert furthest(golden.build(case), inputs, aux, opset) <= 1e-5


def at_rows(array: np.ndarray, rows: int) -> np.ndarray:
    random = np.random.default_rng(rows)
    return random.permutation(np.resize(array, (rows, *array.shape[1:])))


# In these cases a weight, another input or a cut has to do with the first axis.
FIX_THE_BATCH = {
    "BatchNorm fix_gamma=False axis=0 (2,)",
    "LayerNorm (1,)",
    "squeeze (3,)",
    "slice_axis axis=0 begin=1 end=None (2,)",
    "slice begin=(1, None) end=(3, None) (2,)",
    "SliceChannel num_outputs=2 axis=0 (2,)",
    "broadcast_axis axis=(0, 2) size=(2, 4) (3,)",
    "broadcast_like (2,)",
    "broadcast_like lhs_axes=0 rhs_axes=-1 (2,)",
    "dot transpose_a=True transpose_b=True (2,)",
    "broadcast_power (1, 2)",
    *(f"broadcast_{key} (1, 2, 1)" for key in gradients.TABLES[1].SMOOTH_PAIRS),
}


@pytest.mark.parametrize("case", gradients.CASES, ids=gradients.label_of)
def test_any_batch_size(case: dict[str, Any]) -> None:
    """A model with a free batch gives what the executor gives for 1, 3 and 64 rows."""
    net, inputs, aux = gradient_case(case, "float32")
    rows = next(iter(inputs.values())).shape[0]
    batched = {name for name, array in inputs.items() if array.shape[0] == rows}
    batched -= {"weight", "bias", "gamma", "beta", "a"}
    shapes = {n: (BATCH, *a.shape[1:]) if n in batched else a.shape for n, a in inputs.items()}
    if gradients.label_of(case) in FIX_THE_BATCH:
        with pytest.raises(FixedBatchError):
            convert(net, shapes, aux, 17)
        return
    session = Session(to_bytes(convert(net, shapes, aux, 17), 17, "", {}))
    for size in (1, 3, 64):
        given = {n: at_rows(a, size) if n in batched else a for n, a in inputs.items()}
        found = session.run(given)
        for one, other in zip(found, executed(net, given, aux), strict=True):
            assert difference(one, other) <= 1e-5, size


def test_random_numbers_in_inference_are_refused_with_the_node() -> None:
    net = sym.Dropout(sym.Variable("x"), p=0.5, mode="always", name="noise")
    with pytest.raises(ExportError, match=r"node 'noise' \(Dropout\): mode='always' draws"):
        converted(net, {"x": X}, {})
    assert furthest(sym.Dropout(sym.Variable("x"), p=0, mode="always"), {"x": X}) == 0


def test_types_without_a_kernel_are_refused_or_noted() -> None:
    truth = {"x": X > 0, "y": Y > 0}
    with pytest.raises(ExportError, match=r"node 'op' .*there is no Add of bool numbers"):
        converted(network("elemwise_add", 2), truth, {})
    graph = converted(network("erf", 1), {"x": X.astype("float64")}, {})
    assert graph.notes == [
        "node 'op' (erf) is computed in float32: onnxruntime has no Erf in float64"
    ]


@pytest.mark.parametrize("op", ["expm1", "log1p", "arcsinh", "cbrt", "sinh", "tanh", "sign"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ends_of_the_range(op: str, dtype: str) -> None:
    assert furthest(network(op, 1), {"x": EXTREME.astype(dtype)}) <= ALLOWED[dtype]


def test_an_index_outside_is_an_error_where_the_operator_says_so() -> None:
    net = sym.take(sym.Variable("a"), sym.Variable("i"), mode="raise")
    inputs = {"a": X, "i": np.array([0.0, -1.0], np.float32)}
    session = Session(to_bytes(converted(net, inputs, {}), 17, "", {}))
    with pytest.raises(MXNetError):
        executed(net, inputs, {})
    with pytest.raises(ExportError, match="cannot be run"):
        session.run(inputs)
