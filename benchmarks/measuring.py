"""Measuring the sides on a task, after showing that all of them train the same thing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from cases import BATCHES, Task
from floors import copy_arguments
from options import Bench
from sides import SIDES, Entry, titles
from timing import Contender, in_turns
from workers import WorkerError

TOLERANCE = 1e-4
Floors = Callable[[Bench, Task], list[Contender]]


def present(bench: Bench, entries: Sequence[Entry] = SIDES) -> list[Entry]:
    """Return the sides whose packages are installed; a notice for every other one."""
    return [
        entry for entry in entries if all(installed(bench, p, entry.title) for p in entry.packages)
    ]


def installed(bench: Bench, package: str, title: str) -> bool:
    """Whether a package is installed; a notice where it is not."""
    found = find_spec(package) is not None
    if not found:
        bench.notice(f"{title}: skipped, {package} is not installed")
    return found


def measured(
    bench: Bench, task: Task, entries: Sequence[Entry], floors: Floors | None = None
) -> dict[str, Any]:
    """Return losses, and seconds per step of every round, of the sides that train the task.

    `floors` makes what is measured beside them.
    """
    bench.progress(f"  {task.label}")
    losses: dict[str, list[float]] = {}
    contenders: list[Contender] = []
    for entry in entries:
        contender = trained(bench, task, entry, losses)
        if contender is not None:
            contenders.append(contender)
    if floors is not None:
        contenders += floors(bench, task)
    in_turns(contenders, bench.options.rounds, bench.options.block)
    for contender in contenders:
        if contender.key in losses:
            _check_still_finite(bench, task, contender)
    bench.workers.drop_all()
    return {
        "network": list(task.network.sizes),
        "label": task.network.label,
        "batch": task.network.batch,
        "optimizer": task.rule.name,
        "operations": task.network.operations,
        "parameters": task.network.parameters,
        "losses": losses,
        "seconds": {contender.key: contender.seconds for contender in contenders},
    }


def trained(
    bench: Bench, task: Task, entry: Entry, losses: dict[str, list[float]]
) -> Contender | None:
    """Return a side that has shown that it trains the task as the first one does, or None.

    Its losses are added to those of the sides before it.
    """
    worker = bench.workers.get(entry.target)
    try:
        refusal = worker.make(task)
        if refusal:
            bench.notice(f"{entry.title}: {refusal}")
            return None
        losses[entry.key] = worker.call("losses", task.compared)
    except WorkerError as error:
        bench.failure(f"{entry.title}, {task.label}: {error}")
        bench.workers.lose(entry.target)
        return None
    difference = disagreement(losses, entry.key, task.compared)
    if difference:
        bench.failure(f"{entry.title}, {task.label}: {difference}; not measured")
        return None
    return Contender(entry.key, worker)


def disagreement(losses: dict[str, list[float]], key: str, compared: int) -> str:
    """Return, in words, how losses differ too much from those of the first side, or nothing."""
    found = losses[key]
    if not all(map(math.isfinite, found)) or len(found) != compared:
        return f"losses are not finite: {found}"
    if found[BATCHES] >= found[0]:
        return f"the loss of a batch does not fall: {found[0]:.4f}, then {found[BATCHES]:.4f}"
    gap = largest_gap(losses, key)
    if gap > TOLERANCE:
        first = titles()[next(iter(losses))]
        return f"losses differ by {gap:.0e} from those of {first} (at most {TOLERANCE})"
    return ""


def largest_gap(losses: dict[str, list[float]], key: str) -> float:
    """Return how far losses are from those of the first side, as a share of the first of them."""
    reference = next(iter(losses.values()))
    return max(abs(a - b) for a, b in zip(losses[key], reference, strict=True)) / reference[0]


def host_floors(bench: Bench, task: Task) -> list[Contender]:
    """Return the floors of a task on the processor, to be measured beside the sides."""
    products, square = map(bench.workers.get, ("floors:Products", "floors:SquareProduct"))
    products.make(task)
    square.make()
    found = [Contender("products", products), Contender("square", square)]
    for arguments in copy_arguments(task):
        threads = arguments[-1]
        worker = bench.workers.get("floors:Copy", str(threads))
        worker.make(*arguments)
        found.append(Contender(f"copy/{threads}", worker))
    return found


def _check_still_finite(bench: Bench, task: Task, contender: Contender) -> None:
    (loss,) = contender.worker.call("losses", 1)
    if not math.isfinite(loss):
        bench.failure(f"{contender.key}, {task.label}: the loss was not finite in the end")
