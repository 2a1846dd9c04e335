"""The monitor: what it looks at, when, and over which executors."""

from __future__ import annotations

import logging
from math import sqrt

import numpy as np
import pytest

import mxtrain as mx
from mxtrain.io import NDArrayIter
from mxtrain.monitor import Monitor


def classifier() -> mx.sym.Symbol:
    layer = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    layer = mx.sym.BatchNorm(layer, name="bn")
    return mx.sym.SoftmaxOutput(layer, name="softmax")


def watched(**options: object) -> tuple[Monitor, mx.mod.Module]:
    module = mx.mod.Module(classifier())
    module.bind([("data", (4, 2))], [("softmax_label", (4,))])
    module.init_params(mx.init.One())
    monitor = Monitor(**{"interval": 1, **options})
    module.install_monitor(monitor)
    return monitor, module


def batch(rows: int = 4) -> mx.io.DataBatch:
    return mx.io.DataBatch([mx.nd.ones((rows, 2))], [mx.nd.zeros((rows,))])


NODES = ["fc_output", "bn_output", "softmax_output"]
ARGUMENTS = ["data", "fc_weight", "fc_bias", "bn_gamma", "bn_beta", "softmax_label"]
GRADIENTS = ["fc_weight_grad", "fc_bias_grad", "bn_gamma_grad", "bn_beta_grad"]
STATES = ["bn_moving_mean", "bn_moving_var"]


def test_it_sees_outputs_arguments_gradients_and_states() -> None:
    monitor, module = watched()
    monitor.tic()
    module.forward_backward(batch())
    seen = monitor.toc()
    assert [name for _, name, _ in seen] == [*NODES, *ARGUMENTS, *GRADIENTS, *STATES]
    statistics = {name: float(text) for _, name, text in seen}
    assert statistics["fc_weight"] == pytest.approx(1)
    assert statistics["softmax_output"] == pytest.approx(1 / 3)
    assert {step for step, _, _ in seen} == {1}


def test_the_statistic_is_the_root_mean_square() -> None:
    assert mx.monitor.mean_magnitude(np.array([3.0, 4.0])) == pytest.approx(5 / sqrt(2))
    assert mx.monitor.mean_magnitude(np.zeros((0, 2))) == 0
    assert mx.monitor.mean_magnitude(np.array([np.inf, 1])) == np.inf
    assert mx.monitor.mean_magnitude(np.full(4, 1e38, np.float32)) == np.inf


def test_it_looks_every_so_many_batches() -> None:
    monitor, module = watched(interval=3, pattern="softmax_output")
    looked = []
    for _ in range(7):
        monitor.tic()
        module.forward(batch())
        looked.append([step for step, _, _ in monitor.toc()])
    assert looked == [[1], [], [], [4], [], [], [7]]


def test_names_are_filtered_and_sorted() -> None:
    monitor, module = watched(pattern="fc_.*|softmax_output", sort=True)
    monitor.tic()
    module.forward_backward(batch())
    assert [name for _, name, _ in monitor.toc()] == [
        "fc_bias",
        "fc_bias_grad",
        "fc_output",
        "fc_weight",
        "fc_weight_grad",
        "softmax_output",
    ]


def test_a_statistic_of_one_s_own() -> None:
    monitor, module = watched(stat_func=np.max, pattern="fc_weight$")
    monitor.tic()
    module.forward(batch())
    assert monitor.toc() == [(1, "fc_weight", "1.0")]


def test_inputs_are_shown_before_they_are_used() -> None:
    monitor, module = watched(monitor_all=True, pattern="data|fc_output")
    monitor.tic()
    module.forward(batch())
    assert [name for _, name, _ in monitor.toc()] == ["data", "fc_output", "data"]


def test_batches_of_other_sizes_are_watched_and_only_those_that_ran() -> None:
    monitor, module = watched(pattern="data|fc_output", stat_func=lambda a: a.shape[0])
    for rows in (2, 4, 2):
        monitor.tic()
        module.forward(batch(rows))
        assert monitor.toc() == [(monitor.step, name, f"{rows}") for name in ("fc_output", "data")]


def test_installing_twice_is_installing_once() -> None:
    monitor, module = watched()
    module.install_monitor(monitor)
    assert monitor.exes == [module.executor]
    monitor.tic()
    module.forward(batch())
    names = [name for _, name, _ in monitor.toc()]
    assert len(names) == len(set(names))


def test_nothing_is_seen_outside_of_tic_and_toc() -> None:
    monitor, module = watched()
    module.forward(batch())
    assert monitor.toc() == []
    monitor.tic()
    assert "fc_weight" in [name for _, name, _ in monitor.toc()]


def test_fit_with_a_monitor_logs_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    module = mx.mod.Module(classifier())
    data = NDArrayIter(np.ones((8, 2)), np.zeros(8), 4)
    monitor = Monitor(2, pattern="softmax_output|fc_bias_grad")
    with caplog.at_level(logging.INFO):
        module.fit(data, num_epoch=1, monitor=monitor)
    lines = [text for text in caplog.messages if text.startswith("Batch:")]
    assert [line.split()[1:3] for line in lines] == [["1", "softmax_output"], ["1", "fc_bias_grad"]]
    assert lines[0].startswith("Batch:       1                 softmax_output 0.33333")
