"""The memory that ``mxtrain summary`` states is what a run takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, train, write_config

from mxtrain.config import load
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.memory import free_memory
from mxtrain.trainer.preview import summary

FOLDER = Path(__file__).parent
CONFIGS = FOLDER.parent.parent / "configs"
DATA = """\
seed: 1
data:
  train: {path: train.npz, label: label}
  eval: {path: test.npz}
"""
LAYER = "  - {{op: FullyConnected, name: fc{0}, num_hidden: {1}}}\n"
END = "  - {op: SoftmaxOutput, name: softmax}\nfit: {num_epoch: 2, metrics: [accuracy]}\n"
# Weights take most of the memory of this network, ...
WIDE = (
    DATA
    + "  batch_size: 32\nsymbol:\n"
    + LAYER.format(1, 1500)
    + "  - {op: Activation, name: act1, act_type: relu}\n"
    + LAYER.format(2, 1200)
    + LAYER.format(3, 10)
    + END
    + "optimizer: {name: adam, learning_rate: 0.001}\n"
)
# ... and activations of this one.
LONG = (
    DATA
    + "  batch_size: 256\nsymbol:\n"
    + "".join(
        LAYER.format(number, width)
        + f"  - {{op: BatchNorm, name: bn{number}}}\n"
        + f"  - {{op: LeakyReLU, name: act{number}, act_type: gelu}}\n"
        + f"  - {{op: Dropout, name: drop{number}, p: 0.1}}\n"
        for number, width in enumerate([2000, 30] * 4)
    )
    + LAYER.format("", 10)
    + END
)
# Weights of two bytes, with masters and moments of four.
HALF = (
    WIDE.replace("symbol:\n", "symbol:\n  - {op: Cast, name: half, dtype: float16}\n")
    .replace(
        "  - {op: SoftmaxOutput",
        "  - {op: Cast, name: single, dtype: float32}\n  - {op: SoftmaxOutput",
    )
    .replace("name: adam,", "name: adam, multi_precision: true,")
)
# Prints how much more memory there is at the end of the first epoch, and at most.
ARRAYS = """\
import json, sys, tracemalloc
import numpy as np
from pathlib import Path
from mxtrain.config import load
from mxtrain.trainer.run import fit
sys.path.insert(0, sys.argv[1])
from trainer_runs import Notes

def arrays():
    only = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    found = tracemalloc.take_snapshot().filter_traces([only]).statistics("filename")
    return sum(each.size for each in found)

class Watch(Notes):
    def epoch(self, row):
        super().epoch(row)
        if len(self.rows) == 1:
            self.held = arrays() - before
            tracemalloc.reset_peak()
            self.at = tracemalloc.get_traced_memory()[0]
    def finish(self, result):
        more = tracemalloc.get_traced_memory()[1] - self.at
        print(json.dumps({"held": self.held, "more": more}))

spec = load(Path(sys.argv[2]), sys.argv[4:])
tracemalloc.start()
before = arrays()
result = fit(spec, Watch(), output=Path(sys.argv[3]))
assert result.status == "done"
"""
RESIDENT = """\
import json, sys
import numpy as np
from pathlib import Path
from mxtrain.config import load
from mxtrain.trainer.run import fit
sys.path.insert(0, sys.argv[1])
from trainer_runs import Notes

def kilobytes(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))

spec = load(Path(sys.argv[2]), ["threads=1"])
fit(load(Path(sys.argv[4])), Notes(), output=Path(sys.argv[3] + "-small"))  # the program itself
np.ones((600, 600), np.float32) @ np.ones((600, 600), np.float32)  # BLAS's own buffers
before = kilobytes("VmRSS")
fit(spec, Notes(), output=Path(sys.argv[3]))
print(json.dumps({"resident": 1024 * (kilobytes("VmHWM") - before)}))
"""


def measured(program: str, config: Path, output: Path, *changes: str) -> dict[str, int]:
    command = [sys.executable, "-c", program, str(FOLDER), str(config), str(output), *changes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def stated(config: Path, *changes: str) -> int:
    return sum(size for _, size in summary(load(config, changes)).memory)


@pytest.fixture(params=["wide", "long", "half"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    # NumPy multiplies halves without a BLAS: no more rows of them than it takes.
    train, test = (70, 40) if request.param == "half" else (300, 90)
    for name, rows in (("train", train), ("test", test)):
        data = rng.normal(size=(rows, 40)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", data=data, label=rng.integers(0, 10, rows))
    path = tmp_path / "config.yaml"
    path.write_text({"wide": WIDE, "long": LONG, "half": HALF}[request.param])
    return path


def test_what_large_networks_hold(config: Path, tmp_path: Path) -> None:
    total = stated(config)
    assert total > 35e6
    found = measured(ARRAYS, config, tmp_path / "run")
    assert found["held"] == pytest.approx(total, rel=0.005)
    assert found["held"] + found["more"] == pytest.approx(total, rel=0.05)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_how_far_the_process_grows(config: Path, tmp_path: Path) -> None:
    small = write_config(tmp_path / "small")
    found = measured(RESIDENT, config, tmp_path / "run", str(small))
    assert found["resident"] == pytest.approx(stated(config), rel=0.05)


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("fit.clip_global_norm=1", "optimizer=lamb", "data.last_batch=pad"),
    ],
    ids=["as it is", "clip and pad"],
)
def test_what_the_demo_holds(tmp_path: Path, changes: tuple[str, ...]) -> None:
    demo = CONFIGS / "digits_mlp.yaml"
    found = measured(ARRAYS, demo, tmp_path / "run", "fit.num_epoch=2", *changes)
    assert found["held"] == pytest.approx(stated(demo, *changes), rel=0.05)


def test_images_take_a_byte_each(tmp_path: Path) -> None:
    rows = {"data": np.zeros((64, 9, 9), np.uint8), "label": np.arange(64) % 3}
    rows["data"][1:] += 5
    text = CONFIG.replace("train.csv, label: kind", "rows.npz, label: label")
    path = write_config(tmp_path, text.replace("  eval: {path: test.csv}\n", ""))
    np.savez(tmp_path / "rows.npz", **rows)
    memory = dict(summary(load(path, ["data.features.scale=minmax"])).memory)
    assert memory["rows in memory"] == 64 * 81 + 64 * 4


def test_weights_it_started_from_are_counted(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    run = Path(train(path).output)
    memory = dict(summary(load(path, [f"weights={{file: {run}}}"])).memory)
    assert memory["weights they started from"] == memory["parameters"] == 51 * 4


def test_eval_batches_of_another_size_keep_nothing(tmp_path: Path) -> None:
    built = build(load(write_config(tmp_path, train=50, test=20)))
    add_optimizer(built)
    loop = Loop(built)
    loop.train_epoch(0)
    loop.evaluate()
    reuses = {n: b.executor.plan.reuses for n, b in (loop._bound | loop._only_predicting).items()}
    assert reuses == {8: False, 2: False, 4: True}
    assert built.module.executor.plan.reuses is False


def test_the_best_weights_are_put_in_place_without_copies(tmp_path: Path) -> None:
    spec = load(write_config(tmp_path))
    built = build(spec)
    module = built.module
    best = Best(spec.fit, [], has_eval=False)
    best.keep(module)

    def values() -> list[Any]:
        return [np.array(array) for array in module.parameter_arrays()]

    kept = values()
    for array in module.parameter_arrays():
        array += 1
    running = values()
    with best.in_place(module):
        inside, shown = values(), dict(module.get_params()[0])
        assert all(map(np.array_equal, inside, kept))
        assert np.array_equal(shown["fc1_weight"], kept[0])
    assert all(map(np.array_equal, values(), running))
    best.restore(module)
    assert all(map(np.array_equal, values(), kept))


# -- what cannot fit -------------------------------------------------------------------------------


def test_a_network_that_memory_cannot_hold_is_refused_before_it_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["symbol.fc1.num_hidden=100000", "optimizer={name: adam}"]
    spec = load(write_config(tmp_path, CONFIG), changes)
    free = [2**20]
    monkeypatch.setattr("mxtrain.trainer.build.free_memory", lambda: free.pop())
    with pytest.raises(SetupError, match=r"takes .* or more, and 1\.0 MiB .* for weights; .*units"):
        summary(spec)
    free += [2**22, 2**30]
    with pytest.raises(SetupError, match=r"takes .* more, and 4\.0 MiB .* for optimizer states, "):
        summary(spec)
    monkeypatch.setattr("mxtrain.trainer.build.free_memory", lambda: None)
    assert summary(spec).num_parameters > 10**5


@pytest.mark.parametrize(
    ("limit", "free"), [(None, 7 * 2**20), ("max\n", 7 * 2**20), (f"{2**20}\n", 2**20)]
)
def test_free_memory_is_what_the_system_and_the_container_leave(
    tmp_path: Path, limit: str | None, free: int
) -> None:
    assert free_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemAvailable: 5120 kB\nSwapFree: 2048 kB\nOdd: 1\n")
    if limit is not None:
        (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
        (tmp_path / "sys/fs/cgroup/memory.max").write_text(limit)
    assert free_memory(tmp_path) == free
    (tmp_path / "proc/meminfo").write_text("MemAvailable:\n")
    assert free_memory(tmp_path) is None
