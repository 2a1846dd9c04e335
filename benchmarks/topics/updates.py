"""Every optimizer's update beside a copy of the bytes it must move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from machine import available_memory, usable_cores
from measuring import installed
from options import Bench, Curve, Plot, Table, Topic
from shown import number, percent
from timing import Contender, Spread, in_turns, median_of, ratio
from workers import WorkerError

from topics.step import copy_title

SIZES = (10**3, 10**4, 10**5, 10**6, 10**7, 2 * 10**7, 10**8)
SHOWN = 2 * 10**7
# An update that would take longer is left out; so are sizes after the one in which that shows.
LONGEST_SECONDS = 2.0
UNBLOCKED = "adam"
QUICK = ("sgd", "adam", "muon")
TITLES = {
    "numpy": "mxtrain, NumPy",
    "numba": "mxtrain, Numba",
    "unblocked": "NumPy without blocks",
    "torch": "PyTorch, fused where it can be",
}


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure every optimizer at every size."""
    from optimizer_updates import states_of

    from mxtrain import optimizer

    names = QUICK if bench.options.quick else optimizer.registry.names()
    sizes = bench.options.fewer(SIZES[::2], 3) if bench.options.quick else SIZES
    return [case for name in names for case in _optimizer(bench, name, states_of(name), sizes)]


def _optimizer(bench: Bench, name: str, states: int, sizes: Any) -> Iterator[dict[str, Any]]:
    bench.progress(f"  update of {name}")
    slow: dict[str, float] = {}  # seconds per weight of each side at the size before
    for size in sizes:
        contenders = list(_contenders(bench, name, states, size, slow))
        if contenders:
            in_turns(contenders, bench.options.rounds, bench.options.block / 2)
        bench.workers.drop_all()
        seconds = {contender.key: contender.seconds for contender in contenders}
        slow = {key: Spread.of(values).median / size for key, values in seconds.items()}
        if seconds:
            yield {
                "optimizer": name,
                "size": size,
                "bytes": 4 * size * (3 + 2 * states),
                "seconds": seconds,
            }


def _contenders(
    bench: Bench, name: str, states: int, size: int, slow: dict[str, float]
) -> Iterator[Contender]:
    candidates: dict[str, tuple[str, str, tuple[Any, ...]]] = {
        "numpy": ("optimizer_updates:Update", "numpy", (name, size, "numpy"))
    }
    if installed(bench, "numba", "updates by Numba"):
        candidates["numba"] = ("optimizer_updates:Update", "numba", (name, size, "numba"))
    if name == UNBLOCKED:
        candidates["unblocked"] = ("optimizer_updates:WithoutBlocks", "", (name, size))
    if installed(bench, "torch", "updates by PyTorch"):
        candidates["torch"] = ("optimizer_updates:TorchUpdate", "", (name, size))
    for threads in sorted({1, usable_cores()}):
        arguments = (size, states, 3 + 2 * states, threads)
        candidates[f"copy/{threads}"] = ("floors:Copy", str(threads), arguments)
    # One array more than weight, gradient and states: some rules have noise, or a step to scale.
    wanted = len(candidates) * 4 * size * (3 + states)
    if wanted > available_memory():
        bench.notice(f"updates of {size:,} weights with {states} states: too little memory")
        return
    for key, (target, slot, arguments) in candidates.items():
        if slow.get(key, 0.0) * size > LONGEST_SECONDS:
            bench.notice(f"update of {name}, {size:,} weights, {key}: left out, it takes too long")
            continue
        worker = bench.workers.get(target, slot)
        try:
            if not worker.make(*arguments):
                yield Contender(key, worker)
        except WorkerError as error:
            bench.failure(f"update of {name}, {size:,} weights, {key}: {error}")
            bench.workers.lose(target, slot)


def copies(case: dict[str, Any]) -> list[float]:
    """Return the copy, on one thread or all, whose median is the smaller."""
    found = [values for key, values in case["seconds"].items() if key.startswith("copy/")]
    return min(found, key=median_of)


def _speed(case: dict[str, Any], key: str) -> str:
    seconds = case["seconds"].get(key)
    if not seconds:
        return ""
    return number(Spread.of(case["bytes"] / value / 1e9 for value in seconds).median)


def tables(data: list[dict[str, Any]]) -> list[Table]:
    """Return GB/s by size for each side, and the shares of copy speed at one size."""
    sizes = sorted({case["size"] for case in data})
    by_place = {(case["optimizer"], case["size"]): case for case in data}
    names = sorted({case["optimizer"] for case in data})
    keys = [key for key in TITLES if any(key in case["seconds"] for case in data)]
    keys += sorted({k for case in data for k in case["seconds"] if k.startswith("copy/")})
    found = []
    for key in keys:
        rows = [[n, *(_speed(by_place.get((n, s), EMPTY), key) for s in sizes)] for n in names]
        rows = [row for row in rows if any(row[1:])]
        title = f"Updates, {title_of(key)}: GB/s, median"
        header = ["optimizer", *(f"{size:,}" for size in sizes)]
        found.append(Table(title, header, rows, BYTES))
    shown = SHOWN if SHOWN in sizes else sizes[-1]
    rows = []
    for name in names:
        case = by_place.get((name, shown))
        if case is not None:
            rows.append([name, *(_share(case, key) for key in ("numpy", "numba", "torch"))])
    title = f"Updates of {shown:,} weights: speed beside the faster copy, median (quartiles)"
    return [*found, Table(title, ["optimizer", *list(TITLES.values())[:2], TITLES["torch"]], rows)]


EMPTY: dict[str, Any] = {"seconds": {}}
BYTES = (
    "Bytes: the gradient is read once, weight and states are read and written once. A copy of an "
    "update's bytes uses as much memory as the update."
)


def title_of(key: str) -> str:
    """Return the title of a side or a copy."""
    return TITLES.get(key) or f"{copy_title(key)}, of the same bytes"


def _share(case: dict[str, Any], key: str) -> str:
    seconds = case["seconds"].get(key)
    return percent(ratio(copies(case), seconds)) if seconds else ""


def plots(data: list[dict[str, Any]]) -> list[Plot]:
    """Return GB/s over the number of weights for SGD and Adam."""
    found = []
    for name in ("sgd", "adam"):
        cases = [case for case in data if case["optimizer"] == name]
        keys = list(dict.fromkeys(key for case in cases for key in case["seconds"]))
        curves = []
        for key in keys:
            there = [case for case in cases if key in case["seconds"]]
            y = [case["bytes"] / Spread.of(case["seconds"][key]).median / 1e9 for case in there]
            curves.append(Curve(title_of(key), [case["size"] for case in there], y))
        if curves:
            found.append(Plot(f"updates-{name}", f"Update of {name}", "weights", "GB/s", curves))
    return found


TOPIC = Topic("updates", "Update rules", measure, tables, plots)
