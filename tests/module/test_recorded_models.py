"""Models that MXNet saved: they predict what it predicted, and are saved as it saved them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mxtrain as mx
from mxtrain.op import registry

FOLDER = Path(__file__).parents[1] / "golden/files"
MODELS = {m["prefix"]: m for m in json.loads((FOLDER / "manifest.json").read_text())["models"]}


def missing_operators(prefix: str) -> list[str]:
    nodes = json.loads((FOLDER / f"{prefix}-symbol.json").read_text())["nodes"]
    return sorted({n["op"] for n in nodes if n["op"] != "null" and n["op"] not in registry})


def recorded(prefix: str) -> tuple[dict[str, Any], list[Any]]:
    """Inputs by name, and the outputs in their order."""
    with np.load(FOLDER / f"{prefix}-io.npz") as found:
        inputs = {name: found[f"in/{name}"] for name in MODELS[prefix]["data_names"]}
        return inputs, [found[f"out/{name}"] for name in MODELS[prefix]["outputs"]]


def labels(prefix: str) -> list[str]:
    return [name for name in MODELS[prefix]["arguments"] if name.endswith("_label")]


def with_module(prefix: str, inputs: dict[str, Any], folder: Path) -> list[Any]:
    """Load a checkpoint as a module, which saves it again."""
    epoch = MODELS[prefix]["epoch"]
    module = mx.mod.Module.load(
        str(FOLDER / prefix), epoch, data_names=list(inputs), label_names=labels(prefix)
    )
    rows = len(next(iter(inputs.values())))
    module.bind(
        [(name, array.shape) for name, array in inputs.items()],
        [(name, (rows,)) for name in labels(prefix)] or None,
        for_training=False,
    )
    module.forward(mx.io.DataBatch([mx.nd.array(array) for array in inputs.values()]))
    module.save_checkpoint(str(folder / prefix), epoch)
    return list(module.get_outputs())


def with_executor(prefix: str, inputs: dict[str, Any], folder: Path) -> list[Any]:
    """Bind the arrays of a checkpoint, which is saved again."""
    epoch = MODELS[prefix]["epoch"]
    net, args, auxs = mx.model.load_checkpoint(str(FOLDER / prefix), epoch)
    mx.model.save_checkpoint(str(folder / prefix), epoch, net, args, auxs)
    executor = net.simple_bind(
        mx.cpu(), grad_req="null", **{name: array.shape for name, array in inputs.items()}
    )
    executor.copy_params_from(args, auxs)
    return list(executor.forward(is_train=False, **inputs))


@pytest.mark.parametrize("way", [with_module, with_executor])
@pytest.mark.parametrize("prefix", MODELS)
def test_recorded_predictions(prefix: str, way: Any, tmp_path: Path) -> None:
    inputs, expected = recorded(prefix)
    missing = missing_operators(prefix)
    if missing:
        with pytest.raises(mx.MXNetError) as caught:
            way(prefix, inputs, tmp_path)
        assert all(f" {op} (" in str(caught.value) for op in missing)
        return
    for output, value in zip(way(prefix, inputs, tmp_path), expected, strict=True):
        assert output.dtype == value.dtype
        np.testing.assert_allclose(output, value, rtol=0, atol=1e-6)
    for file in (f"{prefix}-symbol.json", f"{prefix}-{MODELS[prefix]['epoch']:04d}.params"):
        assert (tmp_path / file).read_bytes() == (FOLDER / file).read_bytes()


def test_every_recorded_model(say_counts: Any) -> None:
    there = [prefix for prefix in MODELS if not missing_operators(prefix)]
    others = sorted({op for prefix in MODELS for op in missing_operators(prefix)})
    names = f", the others wait for {', '.join(others)}" if others else ""
    say_counts("models", f"{len(there)} of {len(MODELS)} predict the recorded outputs{names}")
    assert len(MODELS) == len(list(FOLDER.glob("*-io.npz")))
