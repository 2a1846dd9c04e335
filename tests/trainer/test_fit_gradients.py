"""What fit does to gradients: class weights, a limited norm, rescaling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, Notes, train, write_config

from mxtrain.config import load
from mxtrain.io.errors import DataError
from mxtrain.trainer.batches import Batch
from mxtrain.trainer.build import Built, add_optimizer, build
from mxtrain.trainer.loop import Loop

KINDS = ("ash", "elm", "oak")


def looped(config: Path, *changes: str) -> tuple[Built, Loop]:
    built = build(load(config, ["optimizer={name: sgd, learning_rate: 1}", *changes]))
    add_optimizer(built)
    return built, Loop(built)


def step(config: Path, *changes: str) -> tuple[dict[str, Any], dict[str, Any], Any]:
    """Train on the first eight rows; return gradients, the change of the weights, the labels."""
    built, loop = looped(config, *changes)
    module = built.module
    before = {name: array.copy() for name, array in module.executor.arg_dict.items()}
    loop.train_batch(Batch(np.arange(8)))
    executor = module.executor
    grads = {n: np.array(g) for n, g in executor.grad_dict.items() if g is not None}
    moved = {name: np.array(executor.arg_dict[name]) - before[name] for name in grads}
    return grads, moved, np.array(executor.arg_dict["softmax_label"]).astype(int)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def rows_of_gradient(config: Path) -> tuple[Any, Any]:
    """The gradient of fc2's bias is the sum over rows of (p - target): return its terms."""
    _, loop = looped(config)
    bound = loop.bound(8)
    loop._train_loader.fill(np.arange(8), bound.data, bound.labels)
    bound.forward()
    label = bound.labels[0].astype(int)
    return bound.outputs[0] - np.eye(3)[label], label


def test_class_weights_scale_the_rows_of_the_gradient(config: Path) -> None:
    terms, label = rows_of_gradient(config)
    grads, _, _ = step(config, "data.class_weight={oak: 3, ash: 0.5}")
    factors = np.array([0.5, 1.0, 3.0])[label]
    expected = (terms * factors[:, None]).sum(0)
    np.testing.assert_allclose(grads["fc2_bias"], expected, rtol=1e-5, atol=1e-6)


def test_balanced_weights_give_every_class_the_same_total(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    rows = ["x,y,kind", *["0,1,oak"] * 12, *["1,0,ash"] * 6, *["1,1,elm"] * 2]
    (tmp_path / "train.csv").write_text("\n".join(rows) + "\n")
    built, _ = looped(config, "data.class_weight=balanced")
    (weights,) = built.data.class_weights("balanced").values()
    counts = np.array([6, 2, 12])
    np.testing.assert_allclose(weights * counts, 20 / 3, rtol=1e-6)
    assert (weights * counts).sum() == pytest.approx(20)


def test_class_weights_leave_graph_and_loss_as_they_are(config: Path) -> None:
    plain, weighted = Notes(), Notes()
    one = train(config, "optimizer.learning_rate=0", output=config.parent / "one", notes=plain)
    two = train(
        config,
        "optimizer.learning_rate=0",
        "data.class_weight=balanced",
        output=config.parent / "two",
        notes=weighted,
    )
    graphs = [Path(run.output, "model-symbol.json").read_bytes() for run in (one, two)]
    assert graphs[0] == graphs[1]
    assert plain.rows[0].train == weighted.rows[0].train
    assert weighted.info is not None
    assert any(note.startswith("factors on the gradients") for note in weighted.info.notes)


def test_class_weights_hold_for_a_short_last_batch(config: Path) -> None:
    """The last batch of two rows has a plan of its own."""
    _, loop = looped(config, "data.class_weight={oak: 5, ash: 5, elm: 5}")
    _, plain = looped(config)
    found = []
    for one in (loop, plain):
        one.train_batch(Batch(np.arange(2)))
        found.append(np.array(one.bound(2).executor.grad_dict["fc2_bias"]))
    np.testing.assert_allclose(found[0], 5 * found[1], rtol=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{oka: 2}", "data.class_weight names 'oka', which is no class; .*: ash, elm, oak"),
        ("balanced", "needs one label with classes"),
    ],
)
def test_class_weights_that_cannot_be(tmp_path: Path, weights: str, message: str) -> None:
    text = CONFIG
    if weights == "balanced":
        text = text.replace("label: kind", "label: x").replace("metrics: [accuracy, ce]", "")
        text = text.replace("num_hidden: 3", "num_hidden: 1")
        text = text.replace("SoftmaxOutput", "LinearRegressionOutput")
        text = text.replace("  batch_size", "  ignore: [kind]\n  batch_size")
    config = write_config(tmp_path, text)
    with pytest.raises(DataError, match=message):
        looped(config, f"data.class_weight={weights}")


def total_norm(arrays: dict[str, Any]) -> float:
    squares = [np.square(np.asarray(a, np.float64)).sum() for a in arrays.values()]
    return float(np.sqrt(np.sum(squares)))


@pytest.mark.parametrize("limit", [1e-3, 0.05])
def test_the_rescaled_gradient_is_no_longer_than_its_limit(config: Path, limit: float) -> None:
    plain, free, _ = step(config)
    assert total_norm(plain) / 8 > limit
    clipped, moved, _ = step(config, f"fit.clip_global_norm={limit}")
    assert total_norm(clipped) / 8 == pytest.approx(limit, rel=1e-5)
    # learning rate 1 and rescale_grad 1/8: the weights move by the limited gradient
    assert total_norm(moved) == pytest.approx(limit, rel=1e-3)
    factor = limit / (total_norm(plain) / 8)
    for name, array in free.items():
        np.testing.assert_allclose(moved[name], array * factor, rtol=1e-2, atol=1e-7)


def test_a_short_gradient_is_left_as_it_is(config: Path) -> None:
    plain, _, _ = step(config)
    clipped, _, _ = step(config, "fit.clip_global_norm=1000")
    assert all(np.array_equal(plain[name], clipped[name]) for name in plain)


def test_rescale_grad_is_one_over_the_batch_and_shown(config: Path) -> None:
    notes = Notes()
    train(config, notes=notes)
    assert notes.info is not None
    assert notes.info.rescale_grad == 1 / 8
    train(config, "optimizer.rescale_grad=0.5", output=config.parent / "two", notes=notes)
    assert notes.info.rescale_grad == 0.5


def test_changes_of_the_rate_are_reported(config: Path) -> None:
    notes = Notes()
    schedule = "lr_scheduler={name: factor, step: 10, factor: 0.5}"
    result = train(config, schedule, notes=notes)  # seven updates an epoch
    assert [row.lr_changes for row in notes.rows] == [(), ((11, 0.05),), ((21, 0.025),)]
    assert [row.lr for row in notes.rows] == [0.1, 0.05, 0.025]
    assert "lr becomes 0.05 at update 11" in Path(result.output, "log.txt").read_text()
    rows = Path(result.output, "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["lr"] for row in rows] == [0.1, 0.05, 0.025]


def test_a_rate_that_always_moves_is_not_listed(config: Path) -> None:
    notes = Notes()
    train(config, "data.batch_size=5", "lr_scheduler={name: poly, max_update: 60}", notes=notes)
    assert all(row.lr_changes == () for row in notes.rows)
    assert notes.rows[0].lr > notes.rows[1].lr > notes.rows[2].lr
