"""One operator, or a small network, through onnxruntime and through the executor."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain import symbol as sym
from mxtrain.export.graph import OnnxGraph, convert
from mxtrain.export.proto import DEFAULT_OPSET, to_bytes
from mxtrain.export.runtime import Session
from mxtrain.export.verify import difference

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

# The tables of cases of the operators' own tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "op"))
golden = importlib.import_module("test_golden_ops")
gradients = importlib.import_module("test_gradients")


def executed(net: Any, inputs: Arrays, aux: Arrays) -> list[Array]:
    """The outputs of the executor in inference."""
    given = {name: inputs[name].copy() for name in net.list_arguments()}
    executor = net.bind(None, given, None, "null", {k: v.copy() for k, v in aux.items()})
    return [out.asnumpy() for out in executor.forward(is_train=False)]


def converted(
    net: Any, inputs: Arrays, aux: Arrays, opset: int = DEFAULT_OPSET, **more: Any
) -> OnnxGraph:
    """The model with all arguments as inputs of fixed shapes."""
    shapes = {name: array.shape for name, array in inputs.items()}
    types = {name: array.dtype.name for name, array in inputs.items()}
    return convert(net, shapes, aux, opset, **{"batch": 1, "types": types, **more})


def furthest(
    net: Any, inputs: Arrays, aux: Arrays | None = None, opset: int = DEFAULT_OPSET
) -> float:
    """The largest difference between model and executor, of shapes and types as well."""
    graph = converted(net, inputs, aux or {}, opset)
    found = Session(to_bytes(graph, opset, "", {})).run(inputs)
    wanted = executed(net, inputs, aux or {})
    assert len(found) == len(wanted)
    return max(difference(one, other) for one, other in zip(found, wanted, strict=True))


def gradient_case(case: dict[str, Any], dtype: str) -> tuple[Any, dict[str, Array], Arrays]:
    """A case of the gradient tests as (network, inputs, auxiliary arrays) of an element type."""
    random = np.random.default_rng(7)
    attrs = dict(case["attrs"])
    if case["op"] == "Embedding":
        attrs["dtype"] = dtype
    inputs = {
        name: gradients.numbers(value, random).astype(dtype)
        for name, value in case["inputs"].items()
    }
    if case["op"] == "BatchNorm" and dtype == "float16":
        inputs = {k: v if k == "data" else v.astype("float32") for k, v in inputs.items()}
    net = getattr(sym, case["op"])(*map(sym.Variable, inputs), name="op", **attrs)
    _, _, shapes = net.infer_shape(**{name: array.shape for name, array in inputs.items()})
    statistics = "float32" if dtype == "float16" else dtype
    aux = {
        name: np.asarray(
            case.get("aux", {}).get(name.removeprefix("op_"), random.uniform(0.5, 1.5, shape)),
            statistics,
        )
        for name, shape in zip(net.list_auxiliary_states(), shapes, strict=True)
    }
    return net, inputs, aux
