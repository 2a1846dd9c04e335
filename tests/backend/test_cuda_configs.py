"""Which configs of configs/ a device trains on without the host, on the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cuda_on_host import stand_in_for_a_gpu
from host_device import COMPILER, HostDevice

from mxtrain.backend.cuda.device import BeginStep, Launch, Multiply
from mxtrain.config import load
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.loop import Loop

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the stand-in")
FOLDER = Path(__file__).parents[2] / "configs"
CONFIGS = sorted(FOLDER.rglob("*.yaml"))

LOOKS = "the optimizer looks at weights and gradients between backward and update"
PRODUCT = "its scalars hold a product over all parameters and updates before"
NO_RULE = "it has no rule: NumPy computes the update"
NOISE = "noise is drawn on the host for each update"
# What is not captured, and why. Their networks have no line of the host either.
STEP_BY_STEP = {
    "digits_adam_early_stopping": "batches of classes with weights are weighed one by one",
    "groupadagrad": NO_RULE,
    "lamb": LOOKS,
    "lars": LOOKS,
    "lbsgd": LOOKS,
    "muon": NO_RULE,
    "nadam": PRODUCT,
    "sgld": NOISE,
}


def built_loop(path: Path, *overrides: str) -> Loop:
    built = build(load(path, overrides))
    add_optimizer(built)
    return Loop(built)


def on_the_host(loop: Loop, device: HostDevice) -> list[str]:
    """The kernels of a training step that no device has."""
    plan = loop.bound(loop.built.spec.data.batch_size).executor.plan
    return [
        str(kernel)
        for program in (plan.forward(True), plan.backward(True)[0])
        for kernel, _ in program.lines
        if not isinstance(kernel, Launch | Multiply | BeginStep) and kernel != device.synchronize
    ]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_network_is_computed_by_the_device(path: Path) -> None:
    """And captured whole, but where the table says otherwise."""
    with stand_in_for_a_gpu() as device:
        loop = built_loop(path, "backend=cupy")
        assert on_the_host(loop, device) == []
        loop.train_epoch(0)
        assert bool(device.replays) == (path.stem not in STEP_BY_STEP)


TOKENS = """\
seed: 3
backend: BACKEND
data: {train: {path: rows.npz, label: label}, batch_size: 8}
symbol:
  - {op: Embedding, name: rows, input_dim: 7, output_dim: 4}
  - {op: batch_dot, name: alike, inputs: [rows, rows], transpose_b: true}
  - {op: softmax, axis: 1}
  - {op: mean, axis: [2]}
  - {op: FullyConnected, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: adam, learning_rate: 0.05}
fit: {num_epoch: 3, metrics: [accuracy, ce]}
"""


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_tokens_are_learned_from_without_the_host(tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    tokens = random.integers(-1, 9, (100, 5)).astype(dtype)  # some beyond both ends of the table
    np.savez(tmp_path / "rows.npz", data=tokens, label=tokens[:, 0] % 3)
    found = []
    with stand_in_for_a_gpu() as device:
        for name in ("numpy", "cupy"):
            (tmp_path / "tokens.yaml").write_text(TOKENS.replace("BACKEND", name))
            loop = built_loop(tmp_path / "tokens.yaml")
            loop.train_epoch(0)
            found.append([np.array(array) for array in loop.built.module.parameter_arrays()])
        assert on_the_host(loop, device) == []
        assert device.replays
    for array, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-5)


def test_the_table_names_configs() -> None:
    assert set(STEP_BY_STEP) <= {path.stem for path in CONFIGS}
