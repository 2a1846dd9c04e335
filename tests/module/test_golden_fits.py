"""Every training run of golden/fits by id, but for the few that need what is not there."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from golden_fits import (
    RUNS,
    Repeated,
    initial,
    iterators,
    label_names,
    metric_of,
    missing,
    optimizer_params,
    symbol_of,
    weights,
)

from mxtrain import backend, nd, optimizer
from mxtrain.module import Module
from mxtrain.optimizer import get_updater

DIFFERS_ON_PURPOSE = {
    "hyper06_lbsgd": "the reference's first sum of gradients refers to the module's buffer, so it "
    "has the second gradient in place of the first; here gradients are copied",
}
# What each of these needs is not registered; one that can run must leave this list.
CANNOT_RUN = {
    "bigru_adam": ["RNN", "SequenceLast"],
    "conv_adam_discard": ["Convolution", "Pooling"],
    "conv_sgd": ["Convolution", "Pooling"],
    "default_test": ["test"],  # an optimizer that the reference has for its own tests
    "lstm_sgd": ["RNN", "SequenceLast"],
}
RUNNABLE = [name for name in RUNS if name not in CANNOT_RUN]
PRESENT = [name for name in RUNNABLE if name not in DIFFERS_ON_PURPOSE]
DOUBLE = [name for name in PRESENT if "float64_metrics" in RUNS[name]]
ADAM = [name for name in DOUBLE if RUNS[name]["optimizer"] == "adam"]


def repeated(name: str, dtype: str = "float32") -> Repeated:
    return repeated_on(backend.default(), name, dtype)


@functools.cache
def repeated_on(backend_name: str, name: str, dtype: str) -> Repeated:
    return Repeated(RUNS[name], dtype)


def assert_pairs(got: Any, want: Any, tolerance: float) -> None:
    assert [name for name, _ in got] == [name for name, _ in want]
    np.testing.assert_allclose(
        [value for _, value in got], [value for _, value in want], rtol=tolerance, atol=tolerance
    )


@pytest.mark.also_on_host
@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("name", PRESENT)
def test_weights_after_every_epoch(name: str) -> None:
    run, done = RUNS[name], repeated(name)
    epochs = range(run["begin_epoch"], run["num_epoch"])
    assert len(done.weights) == len(epochs)
    for epoch, got in zip(epochs, done.weights, strict=True):
        prefix = f"{name}/epoch{epoch}/"
        want = {k.removeprefix(prefix): v for k, v in weights().items() if k.startswith(prefix)}
        assert got.keys() == want.keys()
        for parameter, array in want.items():
            assert got[parameter].dtype == np.float32
            np.testing.assert_allclose(
                got[parameter],
                array,
                rtol=0,
                atol=1e-5,
                err_msg=f"{parameter} after epoch {epoch}",
            )


@pytest.mark.also_on_host
@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("name", PRESENT)
def test_metrics(name: str) -> None:
    run, done = RUNS[name], repeated(name)
    for got, want in (
        *zip(done.train, run["train"], strict=True),
        *zip(done.validation, run["validation"], strict=True),
        (done.score_again, run["validation_score_again"]),
    ):
        assert_pairs(got, want, 1e-5)


@pytest.mark.parametrize("name", RUNNABLE)
def test_counts_and_rates(name: str) -> None:
    run, done = RUNS[name], repeated(name)
    used = done.module.optimizer
    assert done.num_update == run["num_update"]
    assert [len(rates) for rates in done.lr_per_batch] == run["batches_per_epoch"]
    for got, want in zip(done.lr_per_batch, run["lr_per_batch"], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=0)
    assert used.rescale_grad == run["rescale_grad"]
    assert {str(index): name for index, name in used.idx2name.items()} == run["idx2name"]
    assert used.lr_mult == run["final_lr_mult"]
    assert used.wd_mult == run["final_wd_mult"]


@pytest.mark.parametrize("name", PRESENT)
def test_predictions(name: str) -> None:
    outputs = repeated(name).module.predict(repeated(name).held_out, always_output_list=True)
    recorded = [k for k in weights() if k.startswith(f"{name}/predict/")]
    assert len(outputs) == len(recorded)
    for number, output in enumerate(outputs):
        want = weights()[f"{name}/predict/{number}"]
        np.testing.assert_allclose(output, want, rtol=0, atol=1e-5)


class SinglePrecisionAdam(optimizer.Adam):
    """Adam whose coefficients are rounded to float32 even for float64 weights, as in 1.9.1."""

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        own = {name: getattr(self, name) for name in ("beta1", "beta2", "epsilon", "rescale_grad")}
        values = {**own, "wd": wd, **super().scalars(lr, wd, t)}
        return {name: float(np.float32(value)) for name, value in values.items()}


def assert_double_precision(name: str, done: Repeated, tolerance: float) -> None:
    run = RUNS[name]
    prefix = f"{name}/float64_epoch{run['num_epoch'] - 1}/"
    want = {k.removeprefix(prefix): v for k, v in weights().items() if k.startswith(prefix)}
    assert want.keys() == done.weights[-1].keys()
    for parameter, array in want.items():
        got = done.weights[-1][parameter]
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, array, rtol=tolerance, atol=tolerance, err_msg=parameter)
    for got, recorded in (
        *zip(done.train, run["float64_metrics"]["train"], strict=True),
        *zip(done.validation, run["float64_metrics"]["validation"], strict=True),
    ):
        assert_pairs(got, recorded, tolerance)


@pytest.mark.also_on_host
@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("name", DOUBLE)
def test_double_precision(name: str) -> None:
    """Adam's 1 - beta2 is 0.001 here and 0.00100002 in the reference; the next test adopts that."""
    tolerance = 1e-5 if name in ADAM else 1e-6
    assert_double_precision(name, repeated(name, "float64"), tolerance)


@pytest.mark.parametrize("name", ADAM)
def test_double_precision_with_coefficients_in_single_precision(name: str) -> None:
    done = Repeated(RUNS[name], "float64", SinglePrecisionAdam)
    assert_double_precision(name, done, 2e-7)


def trained_with_lbsgd(second_first: bool) -> list[dict[str, np.ndarray]]:
    """Repeat ``hyper06_lbsgd``, the very first batch replaced by the second where asked to."""
    run = RUNS["hyper06_lbsgd"]
    module = Module(symbol_of(run))
    train, _ = iterators(run)
    module.bind(train.provide_data, train.provide_label)
    module.init_params(None, *initial(run, module.symbol))
    module.init_optimizer(optimizer="lbsgd", optimizer_params=optimizer_params(run))
    after_epochs = []
    for epoch in range(run["num_epoch"]):
        train.reset()
        batches = list(train)
        if second_first and epoch == 0:
            batches[0] = batches[1]
        for batch in batches:
            module.forward_backward(batch)
            module.update()
        named = module.get_params()[0]
        after_epochs.append({name: array.asnumpy() for name, array in named.items()})
    return after_epochs


def test_first_sum_of_lbsgd_has_the_first_gradient() -> None:
    """With the second batch in place of the first, the weights are the reference's."""
    as_recorded, ours = trained_with_lbsgd(True), trained_with_lbsgd(False)
    for epoch, got in enumerate(as_recorded):
        for name, array in got.items():
            want = weights()[f"hyper06_lbsgd/epoch{epoch}/{name}"]
            np.testing.assert_allclose(array, want, rtol=0, atol=1e-5)
        assert np.abs(ours[epoch]["fc1_weight"] - got["fc1_weight"]).max() > 1e-3
        recorded = repeated("hyper06_lbsgd").weights[epoch]
        np.testing.assert_array_equal(ours[epoch]["fc1_weight"], recorded["fc1_weight"])


def trained_on_loose_arrays(run: dict[str, Any]) -> dict[str, np.ndarray]:
    """Repeat a run without a module: an executor, and an updater on arrays that lie anywhere."""
    symbol = symbol_of(run)
    train, _ = iterators(run)
    shapes = {desc.name: desc.shape for desc in [*train.provide_data, *train.provide_label]}
    executor = symbol.simple_bind(None, **shapes)
    executor.copy_params_from(*initial(run, symbol))
    names = [name for name in symbol.list_arguments() if name not in ("data", *label_names(run))]
    made = optimizer.create(
        run["optimizer"],
        sym=symbol,
        param_idx2name=dict(enumerate(names)),
        **{"rescale_grad": 1 / run["batch_size"], **optimizer_params(run)},
    )
    updater = get_updater(made)
    for _ in range(run["num_epoch"]):
        train.reset()
        for batch in train:
            labels = zip(label_names(run), batch.label, strict=True)
            executor.forward(True, data=batch.data[0], **dict(labels))
            executor.backward()
            for index, name in enumerate(names):
                updater(index, nd.array(executor.grad_dict[name]), executor.arg_dict[name])
    return {name: executor.arg_dict[name].asnumpy() for name in names}


@pytest.mark.parametrize(
    "name",
    ["hyper00_sgd", "hyper02_nag", "hyper09_adam", "multipliers", "batch64_pad", "bn_sgd"],
)
def test_arena_and_loose_arrays_give_the_same_bits(name: str) -> None:
    last = repeated(name).weights[-1]
    loose = trained_on_loose_arrays(RUNS[name])
    assert loose.keys() <= last.keys()
    for parameter, array in loose.items():
        np.testing.assert_array_equal(array, last[parameter], err_msg=parameter)


def test_metrics_of_runs_are_understood() -> None:
    for run in RUNS.values():
        assert [name for name, _ in metric_of(run).get_name_value()] == [
            name for name, _ in run["validation_score_again"]
        ]


def test_count(say_counts: Any) -> None:
    counts = f"{len(PRESENT)} of {len(RUNS)} runs match, {len(DOUBLE)} in float64 too"
    counts += f"; differs on purpose: {', '.join(DIFFERS_ON_PURPOSE)}"
    say_counts("fits", f"{counts}; not yet there: {', '.join(CANNOT_RUN)}")
    absent = {name: needs for name, run in RUNS.items() if (needs := missing(run))}
    assert absent == CANNOT_RUN
    assert (len(RUNS), len(PRESENT), len(DOUBLE), len(ADAM)) == (66, 60, 51, 7)
    used = {RUNS[name]["optimizer"] for name in PRESENT}
    recorded = {run["optimizer"] for run in RUNS.values()}
    assert used == recorded - {"test"}
