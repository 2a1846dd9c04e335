"""A step of a module allocates no arrays, once every kind of step has run."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from mxtrain import nd
from mxtrain import symbol as sym
from mxtrain.io import DataBatch
from mxtrain.module import Module

ROWS, SHORT, FEATURES, HIDDEN = 128, 100, 200, 200
# NumPy's own buffer for operands that are broadcast or cast has 32 KiB; activations of a layer have
# 78 KiB and more.
ALLOWED = 64 * 1024


def network() -> sym.Symbol:
    x = sym.Variable("data")
    for number in (1, 2):
        x = sym.FullyConnected(x, num_hidden=HIDDEN, name=f"fc{number}")
        x = sym.BatchNorm(x, name=f"bn{number}")
        x = sym.Dropout(sym.Activation(x, act_type="relu"), p=0.2)
    return sym.SoftmaxOutput(sym.FullyConnected(x, num_hidden=10, name="out"), name="softmax")


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("sgd", {}),
        ("sgd", {"momentum": 0.9, "wd": 1e-4, "clip_gradient": 1.0}),
        ("nag", {"momentum": 0.9}),
        ("adam", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("grad_req", ["write", "add"])
def test_a_step_allocates_no_arrays(optimizer: str, settings: Any, grad_req: str) -> None:
    module = Module(network())
    module.bind([("data", (ROWS, FEATURES))], [("softmax_label", (ROWS,))], grad_req=grad_req)
    module.init_params()
    module.init_optimizer(optimizer=optimizer, optimizer_params=settings)
    rng = np.random.default_rng(0)
    batches = [
        DataBatch(
            [nd.array(rng.normal(size=(rows, FEATURES)))], [nd.array(rng.integers(0, 10, rows))]
        )
        for rows in (ROWS, SHORT)
    ]

    def epoch() -> None:
        for batch in batches:  # a whole batch and a short one
            module.forward_backward(batch)
            module.update()
            module.forward(batch, is_train=False)

    epoch()
    epoch()
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            epoch()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before < ALLOWED
    assert after - before < ALLOWED // 8


def test_the_measurement_would_notice_an_array() -> None:
    tracemalloc.start()
    try:
        np.zeros((SHORT, HIDDEN), np.float32)
        assert tracemalloc.get_traced_memory()[1] > ALLOWED
    finally:
        tracemalloc.stop()
