"""What a row costs in batches of different sizes."""

from __future__ import annotations

from typing import Any

from cases import SGD, Network, Task
from measuring import measured, present
from options import Bench, Curve, Plot, Table, Topic
from shown import micros
from sides import SIDES, titles
from timing import Spread

SIZES = (1, 4, 16, 64, 256, 1024)
SHAPES = ((64, 128, 64, 10), (784, 512, 256, 10))


def measure(bench: Bench) -> list[dict[str, Any]]:
    """Measure the step of two networks at several batch sizes."""
    entries = present(bench, [entry for entry in SIDES if not entry.compiles_long])
    shapes, sizes = bench.options.fewer(SHAPES, 1), bench.options.fewer(SIZES)
    networks = [Network(shape, size) for shape in shapes for size in sizes]
    return [measured(bench, Task(network, SGD), entries) for network in networks]


def _groups(data: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in data:
        groups.setdefault("-".join(map(str, case["network"])), []).append(case)
    return groups


def _per_row(case: dict[str, Any], key: str) -> list[float] | None:
    seconds = case["seconds"].get(key)
    return [value / case["batch"] for value in seconds] if seconds else None


def tables(data: list[dict[str, Any]]) -> list[Table]:
    """Return microseconds per row by batch size, a table for each network."""
    found = []
    for network, cases in _groups(data).items():
        keys = [key for key in titles() if any(key in case["seconds"] for case in cases)]
        rows = [[titles()[k], *(micros(_per_row(case, k)) for case in cases)] for k in keys]
        header = ["side", *(f"batch {case['batch']}" for case in cases)]
        title = f"{network}, SGD with momentum: microseconds per row, median (quartiles)"
        found.append(Table(title, header, rows))
    return found


def plots(data: list[dict[str, Any]]) -> list[Plot]:
    """Return a plot for each network."""
    found = []
    for number, (network, cases) in enumerate(_groups(data).items(), 1):
        curves = []
        for key, title in titles().items():
            points = [(c["batch"], _per_row(c, key)) for c in cases if key in c["seconds"]]
            y = [Spread.of(values).median * 1e6 for _, values in points if values]
            if y:
                curves.append(Curve(title, [batch for batch, _ in points], y))
        name, title = f"batch{number}", f"{network}, SGD with momentum"
        found.append(Plot(name, title, "batch size", "microseconds per row", curves))
    return found


TOPIC = Topic("batch", "Batch size", measure, tables, plots)
