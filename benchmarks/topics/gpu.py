"""Training steps and updates on a GPU, beside the peers on the same one and beside its floors."""

from __future__ import annotations

from typing import Any

from cases import GPU_NETWORKS, RULES, Rule, Task
from measuring import measured, present
from options import Bench, Table, Topic
from shown import micros, number, percent, times
from sides import GPU_SIDES, titles
from timing import Contender, Spread, in_turns, median_of, ratio
from workers import WorkerError

from topics.step import agreement, cases_of, times_table

WEIGHTS, FEW_WEIGHTS = 10**8, 10**6
OWN = ("cupy_call", "cupy")
PEERS = tuple(entry.key for entry in GPU_SIDES if entry.key not in OWN)
PRODUCTS, COPY = "gpu_floors:Products", "gpu_floors:Copy"


def measure(bench: Bench) -> dict[str, Any]:
    """Measure every side on every network, and every optimizer; nothing where no GPU is."""
    from mxtrain import backend

    reason = backend.problem("cupy")
    if reason:
        bench.notice(f"GPU: skipped, {reason}")
        return {}
    copy = bench.workers.get(COPY)
    copy.make(1, 1, 5)
    facts = copy.call("facts")
    networks = bench.options.fewer(GPU_NETWORKS)
    tasks = [Task(network, rule) for network in networks for rule in RULES]
    entries = present(bench, GPU_SIDES)
    steps = [measured(bench, task, entries, _floors) for task in tasks]
    updates = _updates(bench, FEW_WEIGHTS if bench.options.quick else WEIGHTS)
    return {"facts": facts, "steps": steps, "updates": updates}


def _floors(bench: Bench, task: Task) -> list[Contender]:
    products, copy = map(bench.workers.get, (PRODUCTS, COPY))
    products.make(task)
    copy.make(task.network.parameters, task.rule.states, task.rule.words)
    return [Contender("products", products), Contender("copy", copy)]


def _updates(bench: Bench, size: int) -> list[dict[str, Any]]:
    """Measure the update of so many weights by every optimizer that is a formula."""
    from optimizer_updates import created, states_of

    from mxtrain import optimizer

    found = []
    for name in optimizer.registry.names():
        if not created(name).has_rule:
            continue
        bench.progress(f"  update of {name}")
        states = states_of(name)
        candidates: dict[str, tuple[str, tuple[Any, ...]]] = {
            "cupy": ("optimizer_updates:Update", (name, size, "cupy")),
            "copy": (COPY, (size, states, 3 + 2 * states)),
        }
        contenders = []
        for key, (target, arguments) in candidates.items():
            worker = bench.workers.get(target, key)
            try:
                if not worker.make(*arguments):
                    contenders.append(Contender(key, worker))
            except WorkerError as error:
                bench.failure(f"update of {name}, {size:,} weights, {key}: {error}")
                bench.workers.lose(target, key)
        in_turns(contenders, bench.options.rounds, bench.options.block)
        bench.workers.drop_all()
        seconds = {contender.key: contender.seconds for contender in contenders}
        found.append({"optimizer": name, "size": size, "states": states, "seconds": seconds})
    return found


def best_of(seconds: dict[str, list[float]], keys: tuple[str, ...]) -> list[float] | None:
    """Return the times of the side whose median is the smallest."""
    there = [seconds[key] for key in keys if key in seconds]
    return min(there, key=median_of) if there else None


def tables(data: dict[str, Any]) -> list[Table]:
    """Return what it was measured on, the times, the ratios, the floors and the updates."""
    steps = data["steps"]
    found = [_facts(data["facts"])]
    for rule in RULES:
        found += [times_table(steps, rule, GPU_SIDES), _ratios(steps, rule)]
    return [*found, _shares(steps), agreement(steps, GPU_SIDES), _update_table(data["updates"])]


def _facts(facts: dict[str, Any]) -> Table:
    rows = [[name.replace("_", " "), str(value)] for name, value in facts.items()]
    note = "All float32; JAX and PyTorch are told not to round factors, as mxtrain does not."
    return Table("The device", ["", ""], rows, note)


def _ratios(data: list[dict[str, Any]], rule: Rule) -> Table:
    cases = cases_of(data, rule)
    rows = []
    for peer in PEERS:
        cells = []
        for case in cases:
            seconds = case["seconds"]
            own = best_of(seconds, OWN)
            cells.append(times(ratio(seconds[peer], own)) if own and peer in seconds else "")
        if any(cells):
            rows.append([f"{titles()[peer]} / mxtrain", *cells])
    return Table(
        f"How many times as long the peers take, {rule.title}: median of the rounds (quartiles)",
        ["time of / time of", *(case["label"] for case in cases)],
        rows,
        "The faster of single steps and of many in a call.",
    )


def _shares(data: list[dict[str, Any]]) -> Table:
    rows = []
    for case in data:
        seconds, own = case["seconds"], best_of(case["seconds"], OWN)
        floors = [seconds["products"], seconds["copy"]]
        shares = [percent(ratio(floor, own)) if own else "" for floor in floors]
        rows.append([f"{case['label']}, {case['optimizer']}", *map(micros, floors), *shares])
    return Table(
        "The products by cuBLAS and a copy of the update's bytes, microseconds; their share of the "
        "step",
        ["case", "products", "copy", "products / step", "copy / step"],
        rows,
        "Products of small matrices are launched one by one here, and take longer than in a "
        "captured step.",
    )


def _update_table(data: list[dict[str, Any]]) -> Table:
    rows = []
    for case in data:
        seconds, size = case["seconds"], case["size"]
        moved = 4 * size * (3 + 2 * case["states"]) / 1e9
        cells = [
            number(Spread.of(moved / value for value in seconds[key]).median)
            if key in seconds
            else ""
            for key in ("cupy", "copy")
        ]
        both = len(seconds) == len(cells)
        share = percent(ratio(seconds["copy"], seconds["cupy"])) if both else ""
        rows.append([f"{case['optimizer']}, {size:,} weights", *cells, share])
    return Table(
        "Updates: GB/s, median; speed beside a copy (quartiles)",
        ["optimizer", "mxtrain, CuPy", "copy of the same bytes", "share"],
        rows,
    )


TOPIC = Topic("gpu", "On a GPU", measure, tables)
