"""Networks on the stand-in for a CUDA device: NumPy's numbers, captured steps, the host's part."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from host_device import COMPILER, HostDevice

import mxtrain as mx
from mxtrain import backend
from mxtrain.backend import cupy
from mxtrain.backend.cuda import device as devices
from mxtrain.backend.cuda import steps
from mxtrain.backend.cuda.device import Launch
from mxtrain.backend.cuda.reading import read_line
from mxtrain.backend.numpy import Taken
from mxtrain.cli import command_line
from mxtrain.config import load
from mxtrain.errors import MXNetError
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.errors import NotFiniteError
from mxtrain.trainer.loop import Loop

NONE = Taken(0, False)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the stand-in")
NETWORK = """\
seed: 3
backend: BACKEND
data: {train: {path: rows.npz, label: label}, batch_size: 8}
symbol:
  - {op: FullyConnected, num_hidden: 6, no_bias: true}
  - {op: BatchNorm, fix_gamma: false}
  - {op: Activation, act_type: relu}
  - {op: FullyConnected, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: adam, learning_rate: 0.05}
fit: {num_epoch: 3, metrics: [accuracy, ce]}
"""


def loop_of(folder: Path, name: str, *overrides: str, text: str = NETWORK) -> Loop:
    random = np.random.default_rng(0)
    data = random.standard_normal((100, 5)).astype("f")
    np.savez(folder / "rows.npz", data=data, label=np.arange(100) % 3)
    path = folder / f"{name}.yaml"
    path.write_text(text.replace("BACKEND", name))
    built = build(load(path, overrides))
    add_optimizer(built)
    return Loop(built)


def trained(loop: Loop, epochs: int = 3) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    values = []
    for epoch in range(epochs):
        loop.train_epoch(epoch)
        values.append(loop.train_measure.values())
    arrays = [*loop.built.module.parameter_arrays(), *loop.built.module.auxiliary_arrays()]
    return [np.array(array) for array in arrays], values


@needs_compiler
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("data.last_batch=pad",),
        ("optimizer={name: sgd, momentum: 0.9}", "lr_scheduler={name: factor, step: 5}"),
        ("fit.clip_global_norm=0.5",),
        ("symbol[2]={op: Dropout, p: 0.5}",),
        ("data.class_weight=balanced",),
    ],
)
def test_training_gives_numpys_numbers(
    tmp_path: Path, device: HostDevice, overrides: tuple[str, ...]
) -> None:
    weights, values = trained(loop_of(tmp_path, "cupy", *overrides))
    numpys, theirs = trained(loop_of(tmp_path, "numpy", *overrides))
    for array, wanted in zip(weights, numpys, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-3, atol=1e-4)
    for value, wanted_value in zip(values, theirs, strict=True):
        assert value == pytest.approx(wanted_value, rel=1e-3)
    again, _ = trained(loop_of(tmp_path, "cupy", *overrides))
    for array, first in zip(again, weights, strict=True):
        assert array.tobytes() == first.tobytes()


@needs_compiler
def test_captured_steps_give_the_bits_of_single_ones(
    tmp_path: Path, device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    captured = loop_of(tmp_path, "cupy")
    weights, values = trained(captured)
    one, several = sorted(set(device.replays))
    assert several == steps.TOGETHER * one
    assert device.replays.count(several) == 3  # twelve full batches an epoch: one of 8, four of 1
    with monkeypatch.context() as patch:
        patch.setattr("mxtrain.trainer.ahead.Ahead.run", lambda self, batches: NONE)
        singly, values_singly = trained(loop_of(tmp_path, "cupy"))
    for array, wanted in zip(weights, singly, strict=True):
        assert array.tobytes() == wanted.tobytes()
    assert values == values_singly


@needs_compiler
@pytest.mark.parametrize("scale", ["none", "standard"])
def test_rows_the_device_has_no_room_for_are_gathered_by_the_host(
    tmp_path: Path, device: HostDevice, scale: str
) -> None:
    loops, results = [], []
    for left in (2 * 100 * 6 * 4, 2 * 100 * 6 * 4 - 1):  # as much again stays free
        device.left = left
        loops.append(loop_of(tmp_path, "cupy", f"data.features.scale={scale}"))
        results.append(trained(loops[-1]))
    here, there = ({len(rows) for rows in loop._ahead._steps._sources} for loop in loops)
    assert here == {100}
    assert there <= {8 * batches for batches in range(1, 13)}
    (weights, values), (others, others_values) = results
    for array, wanted in zip(others, weights, strict=True):
        assert array.tobytes() == wanted.tobytes()
    assert others_values == values


HALF = """\
symbol:
  - {op: Cast, dtype: float16}
  - {op: FullyConnected, num_hidden: 6}
  - {op: Activation, act_type: relu}
  - {op: FullyConnected, num_hidden: 3}
  - {op: Cast, dtype: float32}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: adam, learning_rate: 0.05, multi_precision: true}
fit: {num_epoch: 3, loss_scale: dynamic}
"""


@needs_compiler
def test_half_precision_with_masters_and_a_scale_is_captured(
    tmp_path: Path, device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = NETWORK[: NETWORK.index("symbol:")] + HALF
    loop = loop_of(tmp_path, "cupy", text=text)
    weights, values = trained(loop)
    assert device.replays
    numpys, theirs = trained(loop_of(tmp_path, "numpy", text=text))
    for array, wanted in zip(weights, numpys, strict=True):
        assert array.dtype == wanted.dtype == np.float16
        np.testing.assert_allclose(array, wanted, rtol=5e-2, atol=2e-2)
    assert values[-1]["loss"] == pytest.approx(theirs[-1]["loss"], rel=2e-2)
    with monkeypatch.context() as patch:
        patch.setattr("mxtrain.trainer.ahead.Ahead.run", lambda self, batches: NONE)
        singly, values_singly = trained(loop_of(tmp_path, "cupy", text=text))
    for array, wanted in zip(weights, singly, strict=True):
        assert array.tobytes() == wanted.tobytes()
    assert values == values_singly


@needs_compiler
def test_after_a_loss_that_is_not_finite_nothing_changes(
    tmp_path: Path, device: HostDevice
) -> None:
    text = NETWORK.replace("batch_size: 8", "batch_size: 8, shuffle: false")
    loop = loop_of(tmp_path, "cupy", text=text)
    loop.built.data.train.data[20, 0] = np.nan  # in the third batch
    with pytest.raises(NotFiniteError, match="epoch 1, batch 3"):
        loop.train_epoch(0)
    other = loop_of(tmp_path, "cupy", text=text)
    coming = other.batches.epoch(0)
    with np.errstate(all="ignore"):
        for _ in range(2):
            other.train_batch(next(coming))
    for array, wanted in zip(
        loop.built.module.parameter_arrays(), other.built.module.parameter_arrays(), strict=True
    ):
        assert np.array(array).tobytes() == np.array(wanted).tobytes()


@needs_compiler
def test_bytes_are_scaled_where_they_are_gathered(device: HostDevice) -> None:
    source = np.arange(48, dtype=np.uint8).reshape(6, 8)
    numbers = device.copied(np.array([4, 0, 5, 1], np.int64))
    counter = device.copied(np.array([1], np.int64))
    place = steps.address_of
    halt = place(device.zero)
    plain, scaled = (device.empty((2, 8), np.dtype("f")) for _ in range(2))
    here = device.copied(source)
    device.launch(steps.gather(here, plain, place(numbers), place(counter)), halt)()
    np.testing.assert_array_equal(plain, source[[5, 1]].astype("f"))
    offset, factor = (device.copied(np.linspace(a, 3, 8)) for a in (0.5, 0.1))
    pair = (offset, factor)
    device.launch(steps.gather(here, scaled, place(numbers), place(counter), pair), halt)()
    np.testing.assert_array_equal(scaled, ((source[[5, 1]] - offset) * factor).astype("f"))


@needs_compiler
def test_dropout_draws_the_numbers_of_other_backends(tmp_path: Path, device: HostDevice) -> None:
    dropout = "symbol[2]={op: Dropout, name: drop, p: 0.5}"
    loops = [loop_of(tmp_path, name, dropout) for name in ("cupy", "numpy")]
    for loop in loops:
        for epoch in range(2):
            loop.train_epoch(epoch)
    assert device.replays
    outputs = [loop.bound(8) for loop in loops]
    zeros = []
    for bound in outputs:
        bound.data[:] = 1
        bound.forward()
        dropped = bound.executor.plan.output_of(
            next(node for node in bound.executor.plan.order if node.name == "drop")
        )
        zeros.append(np.array(dropped) == 0)
    np.testing.assert_array_equal(*zeros)
    assert 0 < zeros[0].mean() < 1


@needs_compiler
def test_what_has_no_kernel_is_the_hosts_part(
    tmp_path: Path, device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        cupy, "read_line", lambda line: None if line[0] is np.tanh else read_line(line)
    )
    layer = "symbol[2]={op: Activation, act_type: tanh}"
    loop = loop_of(tmp_path, "cupy", layer)
    kernels = [kernel for kernel, _ in loop.bound(8).executor.plan.forward(True).lines]
    assert np.tanh in kernels and Launch in map(type, kernels)
    with pytest.warns(
        UserWarning, match=r"not captured, since the host has a part.*\(tanh\)"
    ) as told:
        weights, _ = trained(loop)
    assert len(told) == 1
    assert not device.replays
    for array, wanted in zip(weights, trained(loop_of(tmp_path, "numpy", layer))[0], strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-3, atol=1e-4)


@needs_compiler
def test_a_module_on_a_gpu(device: HostDevice) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    module = mx.mod.Module(net, label_names=None, context=mx.gpu())
    module.bind([("data", (4, 3))], for_training=False)
    module.init_params(mx.init.One())
    module.forward(mx.io.DataBatch([mx.nd.ones((4, 3))]))
    assert isinstance(module.executor.plan.forward(False).lines[0][0], devices.Multiply)
    np.testing.assert_array_equal(module.get_outputs()[0].asnumpy(), np.full((4, 2), 3.0))


@needs_compiler
@pytest.mark.parametrize(("context", "copies"), [(mx.cpu(), 1), (mx.gpu(), 0)])
def test_small_weights_are_turned_around_for_a_processor_only(
    device: HostDevice, context: mx.Context, copies: int
) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=32, no_bias=True)
    module = mx.mod.Module(net, label_names=None, context=context)
    module.bind([("data", (16, 32))], for_training=False)
    step = module.executor.plan.forward(False).steps[-1]
    assert [kernel for kernel, _ in step.lines] == [np.copyto] * copies + [np.dot]


# -- without a device ----------------------------------------------------------------------------


def a_driver_with(count: int | None) -> Any:
    class CUDARuntimeError(Exception):
        pass

    def devices_found() -> int:
        if count is None:
            raise CUDARuntimeError("cudaErrorInsufficientDriver")
        return count

    runtime = SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=devices_found)
    return SimpleNamespace(cuda=SimpleNamespace(runtime=runtime))


@pytest.mark.parametrize(
    ("count", "number", "text"),
    [
        (None, 0, "backend 'cupy' finds no NVIDIA driver that it can use (cudaErrorInsufficient"),
        (1, 1, "there is no GPU 1: 1 found, numbered from 0"),
        (1, 0, ""),
    ],
)
def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, count: int | None, number: int, text: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", a_driver_with(count))
    monkeypatch.setattr(devices, "find_spec", lambda name: object())
    devices.problem.cache_clear()
    try:
        found = devices.problem(number)
        assert found.startswith(text) and bool(found) == bool(text)
        assert "\n" not in found
        if text:
            with pytest.raises(MXNetError):
                devices.open_device(number)
    finally:
        devices.problem.cache_clear()


def test_without_cupy_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    devices.problem.cache_clear()
    try:
        assert "pip install 'mxtrain[cupy]'" in backend.problem("cupy")
        with pytest.raises(MXNetError, match="needs a package that is not installed"):
            mx.mod.Module(mx.sym.Variable("data"), label_names=None, context=mx.gpu()).bind(
                [("data", (1, 1))]
            )
    finally:
        devices.problem.cache_clear()


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rows.csv").write_text("x,y\n1,a\n2,b\n")
    (tmp_path / "c.yaml").write_text(
        "data: {train: {path: rows.csv, label: y}}\n"
        "symbol: [{op: FullyConnected, num_hidden: 2}, {op: SoftmaxOutput, name: softmax}]\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "problem", lambda number=0: f"there is no GPU {number}")
    result = CliRunner().invoke(command_line, ["fit", "c.yaml", "--backend=cupy", "--device=2"])
    assert result.exit_code == 2
    assert result.output.splitlines() == ["--set backend: there is no GPU 2"]
    alone = CliRunner().invoke(command_line, ["fit", "c.yaml", "--device=2"])
    assert alone.exit_code == 2 and "add backend: cupy" in alone.output


@pytest.mark.parametrize(
    "name", ["cupy:x", "cupy:", "numpy:1", "cuda", "cupy:0:tf33", "cupy:0:tf32:", "numba:0:tf32"]
)
def test_names_that_mean_nothing(name: str) -> None:
    with pytest.raises(ValueError, match="unknown backend"):
        backend.problem(name)


def in_float16(context: mx.Context) -> mx.mod.Module:
    """A module with layers in float16 between casts, and 8 rows in it."""
    net = mx.sym.Cast(mx.sym.Variable("data"), dtype="float16")
    net = mx.sym.FullyConnected(net, num_hidden=16, name="fc1")
    net = mx.sym.Activation(net, act_type="relu")
    net = mx.sym.FullyConnected(net, num_hidden=5, name="fc2")
    net = mx.sym.SoftmaxOutput(mx.sym.Cast(net, dtype="float32"), name="softmax")
    module = mx.mod.Module(net, context=context)
    module.bind([("data", (8, 12))], [("softmax_label", (8,))])
    mx.random.seed(1)
    module.init_params(mx.init.Xavier())
    rows = np.random.default_rng(0).standard_normal((8, 12)).astype("f")
    batch = mx.io.DataBatch([mx.nd.array(rows)], [mx.nd.array(np.arange(8) % 5)])
    module.forward(batch, is_train=True)
    module.backward()
    return module


@needs_compiler
def test_layers_in_float16_run_on_the_device(device: HostDevice) -> None:
    here, there = in_float16(mx.cpu()), in_float16(mx.gpu())
    plan = there.executor.plan
    lines = [*plan.forward(True).lines, *plan.backward(True)[0].lines]
    kinds = {type(kernel) for kernel, _ in lines if kernel != device.synchronize}
    assert kinds == {Launch, devices.Multiply}  # the host has no part in it
    wanted, found = here.get_outputs()[0].asnumpy(), there.get_outputs()[0].asnumpy()
    np.testing.assert_allclose(found, wanted, atol=2e-3)
    gradients = here.executor.grad_dict
    for name, gradient in there.executor.grad_dict.items():
        if gradient is not None:
            assert gradient.dtype == np.float16
            np.testing.assert_allclose(
                gradient.asnumpy(), gradients[name].asnumpy(), rtol=1e-2, atol=4e-3, err_msg=name
            )
