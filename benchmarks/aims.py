"""What the figures are to show, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cases import DEEP, GPU_NETWORKS, LARGE, NETWORKS, Network
from options import Table
from shown import number
from sides import titles
from timing import Spread, median_of, ratio
from topics import gpu
from topics.step import BARE, bare_of, floor_of
from topics.updates import SHOWN, copies

FIRST, SECOND, THIRD, FOURTH = NETWORKS[:4]
# How many times PyTorch's speed on NumPy, by optimizer.
TORCH = {"sgd": (9.0, 4.5, 1.2, 1.1), "adam": (8.0, 4.0, 1.05, 1.1)}
# How many times the speed of JAX's scan on Numba.
SCAN = {FIRST: 1.5, SECOND: 1.5, THIRD: 0.95, FOURTH: 0.95, DEEP: 1.5}
FLOORS = {"floor": 0.9, "floor at peak": 0.9}
COPY = 0.8
UNBLOCKED = 2.0
FIT = {FIRST: 1.4, SECOND: 1.1, THIRD: 1.1, FOURTH: 1.1}
NUMBA_START_SECONDS = 1.5
# On a GPU: times the speed of PyTorch eager and of the best peer, share of the products and copies.
GPU_EAGER = {SECOND: 3.0, THIRD: 3.0}
GPU_BEST, GPU_PRODUCTS, GPU_COPY = 1.0, 0.9, 0.85
# Optimizers that look at norms, random numbers or whole matrices, or whose gradient is only summed.
NOT_ELEMENTWISE = ("groupadagrad", "lamb", "lars", "muon", "sgld")


@dataclass(frozen=True)
class Outcome:
    """An aim beside what came out; `most` where less is better."""

    text: str
    aim: float
    found: Spread
    most: bool = False

    @property
    def met(self) -> bool:
        """Whether the median reaches the aim."""
        return self.found.median <= self.aim if self.most else self.found.median >= self.aim


def outcomes(topics: Mapping[str, Any]) -> list[Outcome]:
    """Return every aim for which there are figures."""
    found: list[Outcome] = []
    found += _steps(topics.get("step", ()))
    found += _updates(topics.get("updates", ()))
    found += _fits(topics.get("fit", ()))
    found += _starts(topics.get("startup", ()))
    found += _on_gpu(topics.get("gpu") or {"steps": (), "updates": ()})
    return found


def _case(cases: Any, network: Network, optimizer: str) -> dict[str, list[float]]:
    for case in cases:
        if (case["label"], case["optimizer"]) == (network.label, optimizer):
            floors = {name: floor_of(case, name == "floor at peak") for name in FLOORS}
            return {**case["seconds"], **{name: floor for name, floor in floors.items() if floor}}
    return {}


def _steps(cases: Any) -> Iterator[Outcome]:
    for optimizer, aims in TORCH.items():
        for network, aim in zip(NETWORKS, aims, strict=False):
            seconds = _case(cases, network, optimizer)
            if "torch" in seconds and "numpy" in seconds:
                text = f"NumPy beside PyTorch eager, {network.label}, {optimizer}"
                yield Outcome(text, aim, ratio(seconds["torch"], seconds["numpy"]))
    for network, aim in SCAN.items():
        for optimizer in TORCH:
            seconds = _case(cases, network, optimizer)
            own = bare_of(seconds, "numba")
            if own and "jax_scan" in seconds:
                text = f"Numba beside JAX's scan, {network.label}, {optimizer}"
                yield Outcome(text, aim, ratio(seconds["jax_scan"], own))
    for network in (THIRD, FOURTH):
        for optimizer in TORCH:
            seconds = _case(cases, network, optimizer)
            both = [steps for steps in (bare_of(seconds, key) for key in BARE) if steps]
            for name in (name for name in FLOORS if both and name in seconds):
                text = f"{name} / step on the faster backend, {network.label}, {optimizer}"
                found = ratio(seconds[name], min(both, key=median_of))
                yield Outcome(text, FLOORS[name], found)


def _updates(cases: Any) -> Iterator[Outcome]:
    for case in cases:
        if case["size"] != SHOWN:
            continue
        name, seconds = case["optimizer"], case["seconds"]
        if "numba" in seconds and name not in NOT_ELEMENTWISE:
            text = f"Numba's update of {SHOWN:,} weights beside a copy, {name}"
            yield Outcome(text, COPY, ratio(copies(case), seconds["numba"]))
        if "unblocked" in seconds and "numpy" in seconds:
            text = f"NumPy's {name} in blocks beside the same without, {SHOWN:,} weights"
            yield Outcome(text, UNBLOCKED, ratio(seconds["unblocked"], seconds["numpy"]))


def _fits(cases: Any) -> Iterator[Outcome]:
    for network, aim in FIT.items():
        for optimizer in TORCH:
            seconds = _case(cases, network, optimizer)
            for backend in ("numpy", "numba"):
                whole = seconds.get(f"fit {backend}", [])
                for key in (key for key in BARE[backend] if whole and key in seconds):
                    text = f"fit / {titles()[key]}, {network.label}, {optimizer}"
                    yield Outcome(text, aim, ratio(whole, seconds[key]), most=True)


def _starts(cases: Any) -> Iterator[Outcome]:
    for case in cases:
        if case["aim"] is not None:
            text = f"{case['command']}, beside its imports"
            found = ratio(case["seconds"], case["imports"])
            yield Outcome(text, case["aim"], found, most=True)
        elif "kernels kept" in case["command"]:
            found = Spread.of(case["seconds"])
            yield Outcome(f"{case['command']}, seconds", NUMBA_START_SECONDS, found, most=True)


def _on_gpu(data: Any) -> Iterator[Outcome]:
    for network in GPU_NETWORKS:
        for optimizer in TORCH:
            seconds = _case(data["steps"], network, optimizer)
            own = gpu.best_of(seconds, gpu.OWN)
            if own is None:
                continue
            beside = f"{network.label}, {optimizer}"
            if network in GPU_EAGER and "torch_gpu" in seconds:
                found = ratio(seconds["torch_gpu"], own)
                yield Outcome(f"CuPy beside PyTorch eager, {beside}", GPU_EAGER[network], found)
            best = gpu.best_of(seconds, gpu.PEERS)
            if best:
                yield Outcome(f"CuPy beside the best peer, {beside}", GPU_BEST, ratio(best, own))
            if network == LARGE:
                found = ratio(seconds["products"], own)
                yield Outcome(f"cuBLAS's products / step, {beside}", GPU_PRODUCTS, found)
    for case in data["updates"]:
        name, seconds = case["optimizer"], case["seconds"]
        if len(seconds) == 2 and name not in NOT_ELEMENTWISE:
            text = f"CuPy's update of {case['size']:,} weights beside a copy, {name}"
            yield Outcome(text, GPU_COPY, ratio(seconds["copy"], seconds["cupy"]))


def table(topics: Mapping[str, Any]) -> Table:
    """Return all aims with what came out."""
    rows = []
    for outcome in outcomes(topics):
        sign = "at most" if outcome.most else "at least"
        found = outcome.found
        came_out = f"{number(found.median)} ({number(found.low)}-{number(found.high)})"
        verdict = "met" if outcome.met else "missed"
        rows.append([outcome.text, f"{sign} {outcome.aim:g}", came_out, verdict])
    return Table("Aims and outcomes", ["", "aim", "median (quartiles)", ""], rows)
