"""Whole `mxtrain fit` beside the bare steps of the same backend."""

from __future__ import annotations

from typing import Any

from cases import NETWORKS, RULES, Task
from fitting import fit_contenders
from measuring import present, trained
from options import Bench, Table, Topic
from shown import micros, times
from sides import SIDES, titles
from timing import Contender, in_turns, ratio

from topics.step import BARE, OWN

# Steps of an epoch: long enough that its end does not count for more than it does for a user.
STEPS = (2000, 500, 60, 6, 500)


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure `fit` and bare steps in turns."""
    entries = present(bench, [entry for entry in SIDES if entry.key in OWN])
    found = []
    for network, steps in zip(bench.options.fewer(NETWORKS), STEPS, strict=False):
        for rule in RULES:
            task = Task(network, rule)
            bench.progress(f"  fit, {task.label}")
            losses: dict[str, list[float]] = {}
            bare = [trained(bench, task, entry, losses) for entry in entries]
            whole = fit_contenders(bench, task, steps)
            for contender in whole:
                contender.key = f"fit {contender.key}"
            contenders: list[Contender] = [*(c for c in bare if c is not None), *whole]
            in_turns(contenders, bench.options.rounds, bench.options.block)
            bench.workers.drop_all()
            seconds = {contender.key: contender.seconds for contender in contenders}
            found.append(
                {
                    "label": network.label,
                    "optimizer": rule.name,
                    "steps": steps,
                    "seconds": seconds,
                }
            )
    return found


def tables(data: list[dict[str, Any]]) -> list[Table]:
    """Return `fit` beside each kind of bare steps of its backend."""
    rows = []
    for case in data:
        seconds = case["seconds"]
        for backend, keys in BARE.items():
            whole = seconds.get(f"fit {backend}")
            for key in (key for key in keys if whole and key in seconds):
                name = f"{case['label']}, {case['optimizer']}"
                cells = [micros(seconds[key]), micros(whole), times(ratio(whole, seconds[key]))]
                rows.append([name, str(case["steps"]), titles()[key], *cells])
    note = (
        "`fit` shuffles, gathers rows of the whole data set, looks at every loss, measures "
        "accuracy and cross-entropy, follows a schedule, draws the live table and writes metrics "
        "and log after each epoch."
    )
    header = ["case", "steps per epoch", "beside bare steps of", "bare", "fit", "fit / bare"]
    title = "mxtrain fit beside bare steps: microseconds per step, median (quartiles)"
    return [Table(title, header, rows, note)]


TOPIC = Topic("fit", "Whole fit", measure, tables)
