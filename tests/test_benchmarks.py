"""The benchmarks run: their own sides train alike, and a report is made of results."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from host_device import COMPILER

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SIDES = """
import json, sys
sys.path.insert(0, sys.argv[1])
from cases import NETWORKS, RULES, Task
from sides.mxtrain_call import NumbaCall
from sides.mxtrain_step import NumbaStep, NumpyStep
found = []
for rule in RULES:
    task = Task(NETWORKS[0], rule)
    for side in (NumpyStep, NumbaStep, NumbaCall):
        made = side(task)
        losses = made.losses(task.compared)
        found.append([rule.name, losses, made.measure(2 * made.stride), made.losses(1)[0]])
print(json.dumps(found))
"""
ON_A_GPU = """
import json, sys
from types import SimpleNamespace
sys.path[:0] = sys.argv[1:]
import numpy as np
import pytest
from cuda_on_host import put_in_place
put_in_place(pytest.MonkeyPatch())

class Device:
    id = 0
    def synchronize(self):
        pass

properties = {"name": b"a device", "totalGlobalMem": 80 * 2**30}
runtime = SimpleNamespace(
    getDeviceProperties=lambda number: properties,
    driverGetVersion=lambda: 13000, runtimeGetVersion=lambda: 12090,
)
sys.modules["cupy"] = SimpleNamespace(
    __spec__=True, dot=np.dot, asarray=np.asarray, ones=np.ones, zeros=np.zeros,
    copyto=np.copyto, cuda=SimpleNamespace(Device=Device, runtime=runtime),
)
import workers
from cases import NETWORKS, RULES, Network
from options import Bench, Options
from topics import gpu

class Worker:
    def __init__(self, target):
        self.target, self.held = target, []
    def make(self, *arguments):
        return workers._answer(self.held, self.target, "make", arguments)
    def call(self, method, *arguments):
        return workers._answer(self.held, self.target, method, arguments)
    def drop(self):
        self.held.clear()

workers.Worker = Worker  # in this process, where there is a stand-in for a device
Network.call = lambda self, operations=0: 6  # the stand-in is slow
gpu.GPU_NETWORKS, gpu.FEW_WEIGHTS = NETWORKS[:1], 1000
bench = Bench(Options(rounds=2, block=1e-4, quick=True), workers.Workers())
data = gpu.measure(bench)
print(json.dumps([data, bench.notices, bench.failures]))
"""
SECONDS = {
    "numpy": [3e-5, 2e-5, 4e-5],
    "numba": [2e-5, 1e-5, 1.5e-5],
    "torch": [3e-4, 2.8e-4, 3.2e-4],
    "products": [3e-6, 4e-6, 2e-6],
    "square": [0.1, 0.1, 0.2],
    "copy/1": [1e-6, 1e-6, 1e-6],
    "copy/2": [3e-5, 4e-5, 3e-5],
}
RESULTS = {
    "machine": {
        "date": "2026-01-01",
        "processor": "some processor",
        "cores": 2,
        "memory_gib": 8,
        "system": "Linux",
        "python": "3.11.0",
        "versions": {"numpy": "2.0"},
        "blas": "openblas",
        "load": 0.1,
        "threads": {},
    },
    "rounds": 3,
    "block": 0.1,
    "quick": False,
    "notices": ["thinc: skipped, thinc is not installed"],
    "failures": [],
    "topics": {
        "step": [
            {
                "network": [20, 16, 2],
                "label": "20-16-2 / 16",
                "batch": 16,
                "optimizer": "sgd",
                "operations": 23_552,
                "parameters": 370,
                "losses": {"numpy": [0.7] * 17, "numba": [0.7] * 17, "torch": [0.70001] * 17},
                "seconds": SECONDS,
            }
        ]
    },
}


@pytest.mark.skipif(find_spec("numba") is None, reason="Numba is not installed")
def test_own_sides_train_alike() -> None:
    command = [sys.executable, "-c", SIDES, str(BENCHMARKS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    sides = json.loads(done.stdout)
    assert len(sides) == 6
    reference = {name: losses for name, losses, *_ in sides[::3]}
    for name, losses, seconds, last in sides:
        assert losses == pytest.approx(reference[name], rel=1e-5)
        assert losses[8] < losses[0]  # the same batch
        assert 0 < last < losses[0]
        assert seconds > 0


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
def test_own_sides_train_alike_on_a_stand_in_for_a_gpu(tmp_path: Path) -> None:
    folders = [str(BENCHMARKS), str(Path(__file__).parent / "backend")]
    command = [sys.executable, "-c", ON_A_GPU, *folders]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data, _, failures = json.loads(done.stdout)
    assert not failures
    assert data["facts"]["device"] == "a device"
    for case in data["steps"]:
        assert {"cupy_call", "cupy", "products", "copy"} <= set(case["seconds"])
        assert set(case["losses"]) == {"cupy_call", "cupy"}
    names = {case["optimizer"] for case in data["updates"]}
    assert {"adam", "sgd", "ftrl"} <= names and "muon" not in names
    path = tmp_path / "results.json"
    path.write_text(json.dumps({**RESULTS, "topics": {"gpu": data}}))
    subprocess.run([sys.executable, BENCHMARKS / "bench.py", "--again", path], check=True)
    text = path.with_suffix(".md").read_text()
    assert "| device | a device |" in text
    assert "CuPy's update of 1,000 weights beside a copy, adam | at least 0.85" in text
    assert "| mxtrain, CuPy, epoch in a call |" in text


def test_report_of_results(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(RESULTS))
    command = [sys.executable, str(BENCHMARKS / "bench.py"), "--again", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads(path.read_text()) == RESULTS
    text = (tmp_path / "results.md").read_text()
    assert "| mxtrain, NumPy | 30.0 (25.0-35.0) |" in text
    assert "thinc: skipped" in text
    # rounds: 3e-4 / 3e-5, 2.8e-4 / 2e-5, 3.2e-4 / 4e-5
    aim = "| NumPy beside PyTorch eager, 20-16-2 / 16, sgd | at least 9 | 10.0 (9.00-12.0) | met |"
    assert aim in text


@pytest.mark.parametrize("wrong", [["steps"], ["--rounds", "0"]])
def test_refuses_what_it_does_not_know(wrong: list[str]) -> None:
    command = [sys.executable, str(BENCHMARKS / "bench.py"), *wrong]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert wrong[-1] in done.stderr
