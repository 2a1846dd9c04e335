"""The bare training step beside the peers and beside its floors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cases import NETWORKS, RULES, Rule, Task
from floors import SQUARE, SQUARE_OPERATIONS
from measuring import host_floors, largest_gap, measured, present
from options import Bench, Table, Topic
from shown import micros, percent, times
from sides import SIDES, Entry, titles
from timing import median_of, ratio

# The bare steps of each backend: by the executor, and as many in a call as it can take.
BARE = {"numpy": ("numpy",), "numba": ("numba", "numba_call")}
OWN = [key for keys in BARE.values() for key in keys]
Rounds = dict[str, list[float]]


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure every side on every network with every optimizer."""
    networks = bench.options.fewer(NETWORKS)
    tasks = [Task(network, rule) for network in networks for rule in RULES]
    entries = present(bench)
    return [measured(bench, task, entries, host_floors) for task in tasks]


def tables(data: list[dict[str, Any]]) -> list[Table]:
    """Return the times by optimizer, the ratios, the floors and how well the sides agree."""
    by_rule = [make(data, rule) for make in (times_table, _ratios) for rule in RULES]
    return [*by_rule, _floors(data), agreement(data)]


def cases_of(data: list[dict[str, Any]], rule: Rule) -> list[dict[str, Any]]:
    """Return the cases with an optimizer."""
    return [case for case in data if case["optimizer"] == rule.name]


def times_table(data: list[dict[str, Any]], rule: Rule, sides: Sequence[Entry] = SIDES) -> Table:
    """Return the times of a step with an optimizer, a row for each side."""
    cases = cases_of(data, rule)
    rows = [
        [entry.title, *(micros(case["seconds"].get(entry.key)) for case in cases)]
        for entry in sides
        if any(entry.key in case["seconds"] for case in cases)
    ]
    return Table(
        f"Training step, {rule.title}: microseconds, median (quartiles)",
        ["side", *(case["label"] for case in cases)],
        rows,
        "A step copies or gathers a batch, runs forward and backward and updates the weights.",
    )


def _ratios(data: list[dict[str, Any]], rule: Rule) -> Table:
    cases, names = cases_of(data, rule), titles()
    rows = []
    for peer in (entry.key for entry in SIDES if entry.key not in OWN):
        for backend in BARE:
            cells = [_ratio(case["seconds"], peer, backend) for case in cases]
            if any(cells):
                rows.append([f"{names[peer]} / mxtrain on {backend}", *cells])
    return Table(
        f"How many times as long the peers take, {rule.title}: median of the rounds (quartiles)",
        ["time of / time of", *(case["label"] for case in cases)],
        rows,
        "On Numba the faster of single steps and of many in a call.",
    )


def _ratio(seconds: Rounds, peer: str, backend: str) -> str:
    own = bare_of(seconds, backend)
    return times(ratio(seconds[peer], own)) if own and peer in seconds else ""


def bare_of(seconds: Rounds, backend: str) -> list[float] | None:
    """Return the bare steps of a backend, of the kind whose median is the smaller."""
    there = [seconds[key] for key in BARE[backend] if key in seconds]
    return min(there, key=median_of) if there else None


def floor_of(case: dict[str, Any], at_peak: bool = False) -> list[float] | None:
    """Return, for each round, the products and the faster copy of the update's bytes.

    The products alone as they were measured, or as fast as a large product of the same round.
    """
    seconds = case["seconds"]
    copied = [values for key, values in seconds.items() if key.startswith("copy/")]
    if "products" not in seconds or not copied:
        return None
    copy = min(copied, key=median_of)
    products = at_peak_of(case) if at_peak else seconds["products"]
    return [sum(parts) for parts in zip(products, copy, strict=True)]


def at_peak_of(case: dict[str, Any]) -> list[float]:
    """Return the seconds of the products of a step at the speed of a large product."""
    share: float = case["operations"] / SQUARE_OPERATIONS
    return [share * value for value in case["seconds"]["square"]]


def _floors(data: list[dict[str, Any]]) -> Table:
    copies = sorted({k for case in data for k in case["seconds"] if k.startswith("copy/")})
    rows = []
    for case in (case for case in data if floor_of(case)):
        seconds = case["seconds"]
        parts = [seconds["products"], at_peak_of(case), *(seconds[key] for key in copies)]
        shares = [
            _share(floor_of(case, at_peak), bare_of(seconds, backend))
            for backend in BARE
            for at_peak in (False, True)
        ]
        rows.append([f"{case['label']}, {case['optimizer']}", *map(micros, parts), *shares])
    shares = [f"{floor} / {own}" for own in BARE for floor in ("floor", "floor at peak")]
    return Table(
        "The floor: matrix products alone and the update's bytes at copy speed, microseconds; its "
        "share of the step",
        ["case", "products", "products at peak", *map(copy_title, copies), *shares],
        rows,
        "The floor is the products by the same BLAS, called from Python, and the faster copy; at "
        f"peak the products are as fast as one of {SQUARE} x {SQUARE} in the same round. Compiled "
        "steps of tiny networks can be below it: they call no BLAS.",
    )


def copy_title(key: str) -> str:
    """Return the title of a copy by its key, ``copy/threads``."""
    count = key.partition("/")[2]
    return f"copy, {count} thread{'s' * (count != '1')}"


def _share(floor: list[float] | None, own: list[float] | None) -> str:
    return percent(ratio(floor, own)) if floor and own else ""


def agreement(data: list[dict[str, Any]], sides: Sequence[Entry] = SIDES) -> Table:
    """Return how far the losses of the sides are from those of the first one."""
    keys = [entry.key for entry in sides if any(entry.key in case["losses"] for case in data)]
    rows = []
    for case in data:
        losses = case["losses"]
        gaps = [f"{largest_gap(losses, key):.0e}" if key in losses else "" for key in keys[1:]]
        some = next(iter(losses.values()), None)
        fall = f"{some[0]:.4f}, {some[8]:.4f}" if some else ""
        rows.append([f"{case['label']}, {case['optimizer']}", fall, *gaps])
    return Table(
        f"All sides train the same thing: largest difference of a loss to {titles()[keys[0]]}",
        ["case", "loss of the first batch, twice", *(titles()[k] for k in keys[1:])],
        rows,
        "All begin with the same weights and see the same batches in the same order; the first "
        "comes again after eight. Differences are shares of the first loss.",
    )  # fmt: skip


TOPIC = Topic("step", "Training step", measure, tables)
