"""A made-up run for the tests of the console."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mxtrain.trainer.report import (
    EpochRow,
    LayerRow,
    ParameterRow,
    Progress,
    Reporter,
    RunInfo,
    RunResult,
)

NAMES = ("loss", "accuracy", "cross-entropy")
XAVIER = "xavier(rnd_type='gaussian', factor_type='in', magnitude=2)"
INFO = RunInfo(
    config="config.yaml",
    output="runs/0003",
    backend="numpy",
    seed=7,
    network="64 -> fc1 128 -> relu1 128 -> fc2 10 -> softmax 10",
    layers=(
        LayerRow("fc1", "FullyConnected", (64, 128), 8320),
        LayerRow("relu1", "Activation", (64, 128), 0),
        LayerRow("fc2", "FullyConnected", (64, 10), 1290),
        LayerRow("softmax", "SoftmaxOutput", (64, 10), 0),
    ),
    parameters=(
        ParameterRow("fc1_weight", (128, 64), XAVIER, 1, 1),
        ParameterRow("fc1_bias", (128,), "zero", 1, 0),
        ParameterRow("fc2_weight", (10, 128), XAVIER, 1, 1),
        ParameterRow("fc2_bias", (10,), "zero", 1, 0),
    ),
    num_parameters=9610,
    train_data="train.csv",
    eval_data="test.csv",
    train_rows=1437,
    eval_rows=360,
    batch_size=64,
    batches_per_epoch=23,
    num_epoch=20,
    begin_epoch=0,
    optimizer="sgd(learning_rate=0.1, momentum=0.9, wd=0.0001)",
    lr_scheduler="factor(step=100, factor=0.9)",
    rescale_grad=1 / 64,
    train_columns=NAMES,
    eval_columns=NAMES,
    wd=0.0001,
    classes={"softmax_label": tuple("0123456789")},
    notes=("biases are not decayed",),
)


def values(loss: float) -> dict[str, float]:
    return {"loss": loss, "accuracy": 1 - loss / 3, "cross-entropy": loss}


def row(epoch: int, **changes: Any) -> EpochRow:
    made = EpochRow(
        epoch=epoch,
        lr=0.1,
        train=values(1 / epoch),
        eval=values(1.1 / epoch),
        samples_per_second=38140.0,
        seconds=0.4,
    )
    return replace(made, **changes)


def running(epoch: int, batch: int = 10) -> Progress:
    return Progress(epoch, batch, 23, 0.1, values(1 / epoch), 38140.0, 0.2, 7.0)


def result(status: str = "done", epochs: int = 20, **changes: Any) -> RunResult:
    files = ("config.yaml", "metrics.csv", "model-symbol.json")
    files += tuple(f"model-{epoch:04}.params" for epoch in range(1, epochs + 1))
    made = RunResult(
        status=status,
        epochs=epochs,
        seconds=8.1,
        output="runs/0003",
        files=tuple(f"runs/0003/{name}" for name in files),
        best_epoch=epochs,
        best_metric="eval_accuracy",
        best_value=0.9778,
    )
    return replace(made, **changes)


def run(reporter: Reporter, epochs: int = 20, info: RunInfo = INFO) -> None:
    """Report a run of `epochs` epochs whose last one is the best."""
    reporter.start(replace(info, num_epoch=epochs))
    for epoch in range(1, epochs + 1):
        reporter.progress(running(epoch))
        reporter.epoch(row(epoch, best=epoch == epochs))
    reporter.finish(result(epochs=epochs))
