"""Training takes no further memory: no arrays in a step, and no growth over thousands of them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mxtrain import backend
from mxtrain.config import load
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.loop import Loop

BATCH, SHORT, COLUMNS, WIDTH = 256, 200, 300, 200
TRAIN, EVAL = 2 * BATCH + SHORT, BATCH + 100
NETWORK = f"""\
seed: 1
data:
  train: {{path: train.npz, label: label}}
  eval: {{path: eval.npz}}
  batch_size: {BATCH}
symbol:
  - {{op: FullyConnected, name: fc1, num_hidden: {WIDTH}}}
  - {{op: BatchNorm, name: bn1}}
  - {{op: Activation, name: act1, act_type: relu}}
  - {{op: Dropout, name: drop1, p: 0.2}}
  - {{op: FullyConnected, name: fc2, num_hidden: 10}}
  - {{op: SoftmaxOutput, name: softmax}}
fit: {{num_epoch: 1, metrics: [accuracy, ce, {{name: top_k_accuracy, top_k: 3}}]}}
"""
SMALLEST = """\
seed: 1
data:
  train: {path: train.npz, label: label}
  batch_size: 16
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 16}
  - {op: Activation, name: act1, act_type: relu}
  - {op: FullyConnected, name: fc2, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
fit: {num_epoch: 1, metrics: [accuracy]}
lr_scheduler: {name: factor, step: 100, factor: 0.99}
"""
# NumPy's own buffer for operands that are broadcast or cast has 32 KiB; the smallest array that a
# step could allocate by mistake, a batch of inputs as bytes, has 58 KiB.
ALLOWED = 48 * 1024
# Measuring what has been collected takes a few numbers per row, and now and then only.
PER_ROW = 160


def write_rows(folder: Path, name: str, rows: int, columns: int, dtype: type, classes: int) -> None:
    rng = np.random.default_rng(rows)
    data = rng.integers(0, 256, (rows, columns)).astype(dtype)
    np.savez(folder / f"{name}.npz", data=data, label=rng.integers(0, classes, rows))


def loop_of(folder: Path, text: str, *changes: str) -> Loop:
    (folder / "config.yaml").write_text(text)
    built = build(load(folder / "config.yaml", changes))
    add_optimizer(built)
    return Loop(built)


def traced(function: Callable[[], object]) -> tuple[int, int]:
    """Return how much more memory there is after a call, and at most within it.

    The least of three calls each: what grows does so in all of them, and what Python does beside
    them, freeing what an earlier test left say, does not.
    """
    grown, peaks = [], []
    tracemalloc.start()
    try:
        function()  # tracing has its own first time
        for _ in range(3):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            function()
            after, peak = tracemalloc.get_traced_memory()
            grown.append(after - before)
            peaks.append(peak - before)
    finally:
        tracemalloc.stop()
    return min(grown), min(peaks)


@pytest.mark.parametrize("backend_name", backend.installed())
@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        (np.float32, ["optimizer={name: sgd, momentum: 0.9, wd: 0.001}"]),
        (np.float32, ["optimizer=adam", "fit.clip_global_norm=0.1", "data.class_weight=balanced"]),
        (np.float32, ["optimizer=lamb", "data.last_batch=pad"]),
        (np.uint8, ["optimizer=nag"]),
        (np.uint8, ["optimizer=adam", "data.features.scale=standard"]),
    ],
    ids=["sgd", "clip and class weights", "lamb, padded", "bytes", "bytes, scaled"],
)
def test_steps_allocate_no_arrays(
    tmp_path: Path, dtype: type, changes: list[str], backend_name: str
) -> None:
    write_rows(tmp_path, "train", TRAIN, COLUMNS, dtype, 10)
    write_rows(tmp_path, "eval", EVAL, COLUMNS, dtype, 10)
    loop = loop_of(tmp_path, NETWORK, *changes, f"backend={backend_name}")
    for epoch in (0, 1):
        loop.train_epoch(epoch)
        loop.evaluate()
    batches = list(loop.batches.epoch(2))
    assert len({len(batch.rows) for batch in batches}) == (1 if "pad" in str(changes) else 2)

    def some_steps() -> None:
        loop.begin(2)
        for batch in batches:
            loop.train_batch(batch)

    with np.errstate(all="ignore"):
        more, most = traced(some_steps)
    assert most < ALLOWED
    assert more < 2048

    more, most = traced(lambda: (loop.train_epoch(3), loop.evaluate()))
    assert most < ALLOWED + TRAIN * PER_ROW
    assert more < 4096


@pytest.mark.parametrize("backend_name", backend.installed())
def test_thousands_of_steps_do_not_grow(tmp_path: Path, backend_name: str) -> None:
    write_rows(tmp_path, "train", 16 * 1000, 20, np.float32, 2)
    loop = loop_of(tmp_path, SMALLEST, "optimizer=adam", f"backend={backend_name}")
    only_arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    held = []
    loop.train_epoch(0)
    tracemalloc.start()
    try:
        for epoch in range(1, 6):
            loop.train_epoch(epoch)
            if epoch in (1, 5):
                every = tracemalloc.take_snapshot()
                arrays = every.filter_traces([only_arrays]).statistics("filename")
                total = tracemalloc.get_traced_memory()[0]
                held.append((sum(each.size for each in arrays), total))
    finally:
        tracemalloc.stop()
    assert loop.built.module.optimizer.num_update == 6000
    (arrays_before, before), (arrays_after, after) = held
    assert arrays_after - arrays_before < 1024
    # Python keeps up to 2000 used tuples of each length; an object lost per step would be more.
    assert after - before < 4000 * 40


def test_the_measurement_would_notice_an_array() -> None:
    _, most = traced(lambda: np.zeros((SHORT, COLUMNS), np.uint8))
    assert most > ALLOWED
