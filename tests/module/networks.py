"""Small networks, batches and bound modules for the tests of this folder."""

from __future__ import annotations

from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain import symbol as sym
from mxtrain.io import DataBatch, NDArrayIter
from mxtrain.module import Module

FEATURES, CLASSES = 5, 3


def mlp(hidden: int = 4, dropout: float = 0.0) -> sym.Symbol:
    """Return FullyConnected fc1 - tanh - (Dropout) - FullyConnected fc2 - SoftmaxOutput."""
    x = sym.FullyConnected(sym.Variable("data"), num_hidden=hidden, name="fc1")
    x = sym.Activation(x, act_type="tanh", name="act")
    if dropout:
        x = sym.Dropout(x, p=dropout, name="drop")
    x = sym.FullyConnected(x, num_hidden=CLASSES, name="fc2")
    return sym.SoftmaxOutput(x, name="softmax")


def rows(count: int, seed: int = 0, dtype: str = "float32") -> tuple[Any, Any]:
    """Return data and class labels of `count` rows."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(count, FEATURES))
    return nd.array(data, dtype=dtype), nd.array(rng.integers(0, CLASSES, count), dtype=dtype)


def batch(count: int, seed: int = 0, dtype: str = "float32") -> DataBatch:
    data, label = rows(count, seed, dtype)
    return DataBatch([data], [label])


def iterator(count: int, batch_size: int, **options: Any) -> NDArrayIter:
    data, label = rows(count)
    return NDArrayIter(data, label, batch_size, **options)


def initial(symbol: sym.Symbol, count: int = 8) -> dict[str, Any]:
    """Return the same values for the parameters of `symbol` every time."""
    shapes, _, _ = symbol.infer_shape(data=(count, FEATURES))
    rng = np.random.default_rng(1)
    return {
        name: nd.array(rng.normal(size=shape, scale=0.5))
        for name, shape in zip(symbol.list_arguments(), shapes, strict=True)
        if name not in ("data", "softmax_label")
    }


def bound(
    symbol: sym.Symbol | None = None, count: int = 8, bind: Any = None, **options: Any
) -> Module:
    """Return a module bound for `count` rows, its parameters initialized."""
    symbol = mlp() if symbol is None else symbol
    module = Module(symbol, **options)
    module.bind([("data", (count, FEATURES))], [("softmax_label", (count,))], **(bind or {}))
    module.init_params(None, initial(symbol, count), {})
    return module


def learner(name: str = "sgd", settings: Any = None, **options: Any) -> Module:
    """Return a bound module with an optimizer."""
    module = bound(**options)
    settings = {"learning_rate": 0.1, "momentum": 0.9} if settings is None else settings
    module.init_optimizer(optimizer=name, optimizer_params=settings)
    return module


def train(
    module: Module, steps: int, count: int = 8, first: int = 0, dtype: str = "float32"
) -> None:
    """Learn from `steps` batches, each different."""
    for step in range(first, first + steps):
        module.forward_backward(batch(count, step, dtype))
        module.update()


def values(module: Module) -> dict[str, np.ndarray]:
    arg_params, aux_params = module.get_params()
    return {name: array.asnumpy() for name, array in {**arg_params, **aux_params}.items()}


def assert_same_bits(one: Module, other: Module) -> None:
    mine, theirs = values(one), values(other)
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
