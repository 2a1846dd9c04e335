"""TF32: what asks for it, which products it changes, and who refuses it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from host_device import COMPILER, HostDevice

from mxtrain import backend
from mxtrain.backend.cuda import device as devices
from mxtrain.backend.numpy import run
from mxtrain.cli import command_line
from mxtrain.config import load

CONFIG = """\
data: {train: {path: rows.csv, label: y}, batch_size: 2}
symbol: [{op: FullyConnected, num_hidden: 2}, {op: SoftmaxOutput, name: softmax}]
fit: {num_epoch: 1, checkpoint: {every: 1}}
"""
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the stand-in")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rows.csv").write_text("x,y\n1,a\n2,b\n3,a\n4,b\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mxtrain(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, arguments)


def test_the_config_names_the_backend(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "problem", lambda number=0: "")
    plain, single, fast = (
        load(folder / "config.yaml", ["backend=cupy", "device=1", *more]).runs_on
        for more in ([], ["math=float32"], ["math=tf32"])
    )
    assert (plain, single, fast) == ("cupy:1", "cupy:1", "cupy:1:tf32")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_only_products_of_single_precision_change(device: HostDevice, dtype: str) -> None:
    random = np.random.default_rng(0)
    left, right = (device.copied(random.random((9, 9)).astype(dtype)) for _ in range(2))
    found = []
    for name in ("cupy", "cupy:0:tf32"):
        out = device.empty((9, 9), np.dtype(dtype))
        run(backend.get(name).join([(np.dot, (left, right, out))])[0])
        found.append(out)
    single, fast = found
    assert (single.tobytes() == fast.tobytes()) == (dtype != "float32")
    np.testing.assert_allclose(fast, single, rtol=2e-3)


def test_element_wise_lines_do_not_change(device: HostDevice) -> None:
    a, out = device.copied(np.full(3, 1 + 2.0**-20, "f")), device.empty((3,), np.dtype("f"))
    run(backend.get("cupy:0:tf32").join([(np.multiply, (a, a, out))])[0])
    np.testing.assert_array_equal(out, a * a)


@pytest.mark.parametrize("arguments", [[], ["--backend=numba"], ["--backend=numpy"]])
def test_other_backends_refuse_it(folder: Path, arguments: list[str]) -> None:
    result = mxtrain("validate", *arguments, "--math=tf32")
    assert result.exit_code == 2
    assert "tf32 is arithmetic of a GPU, and the backend is num" in result.output
    assert "add backend: cupy" in result.output
    assert mxtrain("validate", *arguments, "--math=float32").exit_code == 0


def test_other_arithmetic_is_unknown(folder: Path) -> None:
    result = mxtrain("validate", "--set", "math=tf64")
    assert result.exit_code == 2 and "tf32" in result.output


@needs_compiler
def test_a_run_goes_on_with_the_same_arithmetic_or_by_force(
    folder: Path, device: HostDevice
) -> None:
    assert mxtrain("fit", "--backend=cupy", "--math=tf32", "-o", "run", "-q").exit_code == 0
    again = ("fit", "--resume", "run", "--set=fit.num_epoch=2")
    refused = mxtrain(*again, "--math=float32")
    assert refused.exit_code != 0 and "math: tf32 -> float32" in refused.output
    assert "backend cupy:0:tf32" in (folder / "run" / "log.txt").read_text()
    assert mxtrain(*again, "--math=float32", "--force", "-q").exit_code == 0
