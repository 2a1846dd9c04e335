"""The demo on a CUDA device: the processor's numbers, the same bits again, files that move.

On the stand-in the tests themselves are tested; with a GPU they say what it does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from cuda_on_host import put_in_place
from host_device import COMPILER, HostDevice

import mxtrain as mx
from mxtrain import backend
from mxtrain.backend.cuda import device as devices
from mxtrain.backend.cuda.device import Repeated
from mxtrain.cli import command_line
from mxtrain.config import load
from mxtrain.console.quiet import QuietReporter
from mxtrain.errors import MXNetError
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.resume import find
from mxtrain.trainer.run import fit, fit_on

CONFIG = Path(__file__).parents[2] / "configs/digits_mlp.yaml"
ROWS = 360  # of the eval data


@pytest.fixture(params=["cupy_on_the_stand_in", "cupy_on_a_gpu"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have ``backend: cupy`` run on a GPU, or on what stands in for one."""
    if request.param == "cupy_on_a_gpu":
        reason = devices.problem()
        if reason:
            pytest.skip(reason)
    elif COMPILER is None:
        pytest.skip("no C++ compiler to stand in for a device")
    else:
        made = HostDevice()
        put_in_place(monkeypatch, lambda number: made)
    backend._get.cache_clear()
    yield request.param
    backend._get.cache_clear()


def trained(folder: Path, side: str, *changes: str) -> tuple[dict[str, np.ndarray], Any]:
    """Train into a folder; return the weights and the row of the last epoch."""
    changes = (f"backend={side}", "threads=1", *changes)
    result = fit(load(CONFIG, changes), QuietReporter(sys.stderr), output=folder)
    assert result.status == "done", result.reason
    return weights(folder, result.weights), rows(folder)[-1]


def weights(folder: Path, name: str) -> dict[str, np.ndarray]:
    found = mx.nd.load(str(folder / name))
    return {name: array.asnumpy() for name, array in found.items()}


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_an_epoch_gives_the_weights_of_the_processor(tmp_path: Path, device: str) -> None:
    mine, _ = trained(tmp_path / "mine", "cupy", "fit.num_epoch=1")
    theirs, _ = trained(tmp_path / "theirs", "numpy", "fit.num_epoch=1")
    for name, array in mine.items():
        np.testing.assert_allclose(array, theirs[name], rtol=0, atol=1e-4, err_msg=name)


def test_the_whole_run_reads_as_many_digits(tmp_path: Path, device: str) -> None:
    _, mine = trained(tmp_path / "mine", "cupy")
    _, theirs = trained(tmp_path / "theirs", "numpy")
    assert abs(mine["eval_accuracy"] - theirs["eval_accuracy"]) * ROWS < 2.5


def test_a_repeated_run_has_the_same_bits(tmp_path: Path, device: str) -> None:
    one, row = trained(tmp_path / "one", "cupy", "fit.num_epoch=2")
    other, again = trained(tmp_path / "other", "cupy", "fit.num_epoch=2")
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name
    assert row["train_loss"] == again["train_loss"]


@pytest.mark.parametrize("goes_on", ["cupy", "numpy"])
def test_a_checkpoint_moves_between_backends(tmp_path: Path, device: str, goes_on: str) -> None:
    keeping = "fit.checkpoint={every: 1, keep: null}"
    begins = "numpy" if goes_on == "cupy" else "cupy"
    whole, _ = trained(tmp_path / "whole", goes_on, "fit.num_epoch=2")
    trained(tmp_path / "run", begins, "fit.num_epoch=1", keeping)
    found = find(str(tmp_path / "run"))
    changes = (f"backend={goes_on}", "fit.num_epoch=2")
    resumed = fit_on(found, load(found.config, changes), QuietReporter(sys.stderr), force=True)
    assert resumed.status == "done", resumed.reason
    for name, array in weights(tmp_path / "run", resumed.weights).items():
        np.testing.assert_allclose(array, whole[name], rtol=0, atol=2e-3, err_msg=name)


def test_a_resumed_run_has_the_same_bits(tmp_path: Path, device: str) -> None:
    keeping = "fit.checkpoint={every_batches: 20, keep: null}"
    whole, _ = trained(tmp_path / "whole", "cupy", "fit.num_epoch=2", keeping)
    part = find(str(tmp_path / "whole/model-0001-batch-0020.safetensors"))
    resumed = fit_on(part, load(part.config), QuietReporter(sys.stderr))
    assert resumed.status == "done", resumed.reason
    for name, array in weights(tmp_path / "whole", resumed.weights).items():
        assert array.tobytes() == whole[name].tobytes(), name


def test_steps_are_captured(tmp_path: Path, device: str) -> None:
    built = build(load(CONFIG, ["backend=cupy"]))
    add_optimizer(built)
    loop = Loop(built)
    loop.train_epoch(0)
    steps = loop._ahead._steps
    assert steps is not None
    assert type(steps._step) is not Repeated  # which a device falls back to


def test_memory_there_is_not_is_named(device: str) -> None:
    made = backend.get("cupy")
    if not isinstance(made.device, devices.Device):
        pytest.skip("the stand-in takes the memory of this machine")
    shape = (1 << 30, 1 << 20)  # more than any address says
    with pytest.raises(MXNetError) as caught:
        made.empty(shape, np.float32)
    text = str(caught.value)
    assert f"{4 << 50:,} bytes" in text and str(shape) in text and "reduce data.batch_size" in text


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    given = ["fit", str(CONFIG), "--backend=cupy", "--device=99", "-o", str(tmp_path / "run")]
    done = CliRunner().invoke(command_line, given)
    assert done.exit_code == 2
    if not devices.problem():
        assert "there is no GPU 99" in done.output
    assert not (tmp_path / "run").exists()
