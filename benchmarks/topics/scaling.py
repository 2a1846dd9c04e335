"""How the cost of a step grows with width and depth, and that of `fit` with the training rows."""

from __future__ import annotations

import math
from typing import Any

from cases import SGD, Network, Task
from fitting import per_step
from measuring import measured, present
from options import Bench, Curve, Plot, Table, Topic
from shown import micros
from sides import SIDES, titles
from timing import Spread

WIDTHS = (16, 64, 256, 1024, 4096)
DEPTHS = (1, 2, 4, 8, 16, 32)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
KEYS = ("numpy", "numba", "numba_call", "torch", "jax_scan")


def measure(bench: Bench) -> dict[str, Any]:
    """Measure each series."""
    entries = present(bench, [entry for entry in SIDES if entry.key in KEYS])
    fewer = bench.options.fewer
    networks = {
        "width": [(n, Network((n, n, n, 10), 64)) for n in fewer(WIDTHS)],
        "depth": [(n, Network((*[64] * (n + 1), 10), 32)) for n in fewer(DEPTHS)],
    }
    found: dict[str, Any] = {
        name: [{"x": n, **measured(bench, Task(network, SGD), entries)} for n, network in series]
        for name, series in networks.items()
    }
    network = Network((64, 128, 64, 10), 32)
    found["rows"] = [
        {"x": rows, "seconds": per_step(bench, Task(network, SGD), rows // network.batch)}
        for rows in fewer(ROWS)
    ]
    return found


TITLES = {
    "width": ("Width: n-n-n-10 / 64", "width", titles()),
    "depth": ("Depth: n layers of 64 and one of 10 / 32", "layers", titles()),
    "rows": (
        "Training rows: mxtrain fit, 64-128-64-10 / 32",
        "training rows",
        {"numpy": "mxtrain fit, NumPy", "numba": "mxtrain fit, Numba"},
    ),
}


def slope(points: list[tuple[float, float]]) -> str:
    """Return the exponent of the growth between the last two points."""
    if len(points) < 2:
        return ""
    (x1, y1), (x2, y2) = points[-2:]
    return f"{math.log(y2 / y1) / math.log(x2 / x1):.2f}"


def _points(series: list[dict[str, Any]], key: str) -> list[tuple[float, float]]:
    return [(c["x"], Spread.of(c["seconds"][key]).median) for c in series if key in c["seconds"]]


def tables(data: dict[str, Any]) -> list[Table]:
    """Return a table for each series."""
    found = []
    for name, series in data.items():
        title, unit, sides = TITLES[name]
        rows = [
            [
                side,
                *(micros(case["seconds"].get(key)) for case in series),
                slope(_points(series, key)),
            ]
            for key, side in sides.items()
            if _points(series, key)
        ]
        header = ["side", *(f"{case['x']:,} {unit}" for case in series), "last exponent"]
        found.append(
            Table(f"{title}, SGD with momentum, microseconds per step, median (quartiles)", header,
                  rows, f"The exponent says how the time grows with the {unit} at the end.")
        )  # fmt: skip
    return found


def plots(data: dict[str, Any]) -> list[Plot]:
    """Return a plot for each series."""
    found = []
    for name, series in data.items():
        title, unit, sides = TITLES[name]
        curves = [
            Curve(side, *zip(*((x, y * 1e6) for x, y in _points(series, key)), strict=True))
            for key, side in sides.items()
            if _points(series, key)
        ]
        found.append(Plot(f"scaling-{name}", title, unit, "microseconds per step", curves))
    return found


TOPIC = Topic("scaling", "Scaling", measure, tables, plots)
