"""Every eval row counts exactly once, whatever the batch size; and training rows likewise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trainer_runs import CONFIG, Notes, train, write_config

from mxtrain.config import load
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.loop import Loop

METRICS = "fit.metrics=[accuracy, ce, {name: top_k_accuracy, top_k: 2}, rmse, pcc]"


def evaluated(config: Path, batch_size: int) -> dict[str, float]:
    """Metrics of the initial weights over the 23 eval rows."""
    built = build(load(config, [f"data.batch_size={batch_size}", METRICS]))
    add_optimizer(built)
    return Loop(built).evaluate()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("rows"), train=50, test=23)


@pytest.mark.parametrize("batch_size", [1, 7, 22, 24, 50])
def test_metrics_do_not_depend_on_the_batch_size(config: Path, batch_size: int) -> None:
    whole, cut = evaluated(config, 23), evaluated(config, batch_size)
    assert list(cut) == list(whole)
    # The matrix product of another number of rows may round its last bit differently.
    for name, value in whole.items():
        assert cut[name] == pytest.approx(value, rel=2e-6), name
    assert cut["accuracy"] * 23 == pytest.approx(round(cut["accuracy"] * 23), abs=1e-9)


def test_metrics_are_those_of_all_rows_at_once(config: Path) -> None:
    built = build(load(config, [METRICS]))
    add_optimizer(built)
    loop = Loop(built)
    found = loop.evaluate()
    rows = built.data.eval
    assert rows is not None
    executor = built.module.executor_for(23)
    outputs = executor.forward(is_train=False, data=rows.data, softmax_label=rows.labels[0])
    probability = np.asarray(outputs[0], np.float64)
    label = rows.labels[0].astype(int)
    chosen = probability[np.arange(23), label]
    assert found["loss"] == pytest.approx(-np.log(chosen).mean(), rel=1e-6)
    assert found["accuracy"] == (probability.argmax(1) == label).mean()


@pytest.mark.parametrize(("last", "rows"), [("keep", 50), ("pad", 50), ("discard", 48)])
def test_training_counts_no_row_twice(config: Path, tmp_path: Path, last: str, rows: int) -> None:
    notes = Notes()
    changes = (f"data.last_batch={last}", "optimizer.learning_rate=0", "fit.num_epoch=1")
    train(config, *changes, output=tmp_path / "run", notes=notes)
    hits = notes.rows[0].train["accuracy"] * rows
    assert hits == pytest.approx(round(hits), abs=1e-9)
    if rows == 50:  # every row once: what an evaluation of the training rows gives
        built = build(load(config, ["data.eval={path: train.csv}"]))
        add_optimizer(built)
        assert Loop(built).evaluate()["loss"] == pytest.approx(notes.rows[0].train["loss"])


def test_shuffling_is_off_when_it_is_off(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG)
    built = build(load(config, ["data.shuffle=false"]))
    add_optimizer(built)
    order = np.concatenate([batch.rows for batch in Loop(built).batches.epoch(0)])
    assert order.tolist() == list(range(50))
