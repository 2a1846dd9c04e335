"""Every optimizer, schedule and metric goes on to the same bits, from every checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from resume_runs import NETWORK, compare_all, no_disk

from mxtrain import lr_scheduler, metric, optimizer

pytestmark = pytest.mark.usefixtures("no_disk")
__all__ = ["no_disk"]

# Settings that bring every state, count and correction into play.
OPTIMIZERS = {
    "adamw": ["{name: adamw, wd: 1e-2}"],
    "dcasgd": ["{name: dcasgd, momentum: 0.9}"],
    "lars": ["{name: lars, momentum: 0.9, wd: 1e-3}"],
    "lbsgd": [
        "{name: lbsgd, momentum: 0.9, batch_scale: 3}",
        "{name: lbsgd, batch_scale: 4, warmup_strategy: lars}",
    ],
    "nag": ["{name: nag, momentum: 0.9}"],
    "rmsprop": ["rmsprop", "{name: rmsprop, centered: true, wd: 1e-2}"],
    "sgd": ["sgd", "{name: sgd, momentum: 0.9, wd: 1e-3, clip_gradient: 0.05}"],
    "signum": ["{name: signum, momentum: 0.9, wd_lh: 1e-3}"],
}
NAMES = optimizer.registry.names()
CASES = [(name, setting) for name in NAMES for setting in OPTIMIZERS.get(name, [name])]
MATRICES_ONLY = """\
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 8, no_bias: true}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: Dropout, name: drop1, p: 0.2}
  - {op: FullyConnected, name: fc2, num_hidden: 3, no_bias: true}
  - {op: SoftmaxOutput, name: softmax}
"""
# In the middle of an epoch and between two: with half a sum of gradients, with none.
SOME = ("model-0001-batch-0005", "model-0002")


def with_network(nodes: str) -> str:
    start, end = NETWORK.index("symbol:"), NETWORK.index("optimizer:")
    return NETWORK[:start] + nodes + NETWORK[end:]


@pytest.mark.parametrize(("name", "setting"), CASES, ids=[setting for _, setting in CASES])
def test_every_optimizer(tmp_path: Path, name: str, setting: str) -> None:
    text = with_network(MATRICES_ONLY) if name == "groupadagrad" else NETWORK
    assert compare_all(tmp_path, f"optimizer={setting}", text=text, stems=SOME) == 2


@pytest.mark.parametrize("name", ["sgd", "lars", "nadam"])
def test_under_a_schedule_with_a_limit_on_the_gradient(tmp_path: Path, name: str) -> None:
    """LARS corrects its momentum when the rate changes."""
    schedule = "lr_scheduler={name: factor, step: 4, factor: 0.7, warmup_steps: 3}"
    changes = (f"optimizer={{name: {name}}}", schedule, "fit.clip_global_norm=0.1")
    assert compare_all(tmp_path, *changes) == 6


SCHEDULES = {
    "chainscheduler": (
        "schedules: [{name: factor, step: 3, factor: 0.5}, {name: cosinerestarts, period: 2}, "
        "constant], updates: [8, 5]"
    ),
    "cosinescheduler": "max_update: 15, final_lr: 0.001, warmup_steps: 4",
    "cosinerestartsscheduler": "period: 4",
    "exponentialscheduler": "factor: 0.9",
    "factorscheduler": "step: 3, factor: 0.5",
    "multifactorscheduler": "step: [4, 9], factor: 0.3",
    "onecyclescheduler": "max_update: 20",
    "polyscheduler": "max_update: 18",
    "warmupstabledecayscheduler": "max_update: 18, decay_steps: 8",
}


@pytest.mark.parametrize("name", lr_scheduler.registry.names())
def test_every_schedule(tmp_path: Path, name: str) -> None:
    schedule = f"lr_scheduler={{name: {name}, {SCHEDULES.get(name, '')}}}"
    assert compare_all(tmp_path, schedule, stems=SOME) == 2


METRICS = {
    "compositeevalmetric": "metrics: [acc, pcc, ce]",
    "perplexity": "ignore_label: null",
    "topkaccuracy": "top_k: 2",
}
OF_VALUES = ("mae", "mse", "rmse", "pearsoncorrelation")
OF_TWO_CLASSES = ("f1", "mcc")
# A function cannot be named in a config.
OF_CLASSES = sorted({*metric.registry.names()} - {*OF_VALUES, *OF_TWO_CLASSES, "custommetric"})


@pytest.mark.parametrize("name", OF_CLASSES)
def test_every_metric_of_classes(tmp_path: Path, name: str) -> None:
    metrics = f"fit.metrics=[{{name: {name}, {METRICS.get(name, '')}}}]"
    assert compare_all(tmp_path, metrics, stems=SOME) == 2


@pytest.mark.parametrize("name", OF_TWO_CLASSES)
def test_every_metric_of_two_classes(tmp_path: Path, name: str) -> None:
    kinds = ["a" if i * 7 % 11 > 5 else "b" for i in range(50)]
    rows = "".join(f"{i * 7 % 11},{i * 5 % 13},{kind}\n" for i, kind in enumerate(kinds))
    (tmp_path / "two.csv").write_text("x,y,kind\n" + rows)
    text = NETWORK.replace("hidden: 3", "hidden: 2").replace("path: test.csv", "fraction: 0.2")
    text = text.replace("train.csv", "two.csv").replace("[accuracy, ce]", f"[{name}]")
    assert compare_all(tmp_path, "fit.checkpoint.every_batches=3", text=text) == 6


@pytest.mark.parametrize("name", OF_VALUES)
def test_every_metric_of_values(tmp_path: Path, name: str) -> None:
    (tmp_path / "v.csv").write_text("x,y\n" + "".join(f"{i * 7 % 11},{i / 9}\n" for i in range(50)))
    text = with_network(
        "symbol:\n"
        "  - {op: FullyConnected, name: fc, num_hidden: 1}\n"
        "  - {op: LinearRegressionOutput, name: out}\n"
    )
    text = text.replace("train.csv, label: kind", "v.csv, label: y").replace("test.csv", "v.csv")
    text = text.replace("[accuracy, ce]", f"[{name}]").replace("0.1, m", "0.001, m")
    assert compare_all(tmp_path, text=text, stems=SOME) == 2
