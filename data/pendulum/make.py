"""Writes ``train.csv`` and ``test.csv``: periods of pendulums, taken with a stopwatch.

``python data/pendulum/make.py`` writes them beside this file.

A pendulum of length ``l`` let go at the angle ``a`` has the period ``2 pi sqrt(l / g) / agm(1,
cos(a / 2))``, whatever its mass; ``agm`` is the arithmetic-geometric mean. The error of the
stopwatch is added.
"""

from __future__ import annotations

from math import cos, pi, radians, sqrt
from pathlib import Path
from random import Random
from statistics import NormalDist

HEADER = "length_m,angle_deg,mass_kg,period_s"
FILES = {"train.csv": 600, "test.csv": 200}
"""Rows of each file."""
GRAVITY = 9.81
STOPWATCH = NormalDist(0, 0.02)
"""Error of a measurement, in seconds."""


def period(length: float, angle: float) -> float:
    """Return the period, in seconds, for a length in metres and an angle in degrees."""
    a, b = 1.0, cos(radians(angle) / 2)
    while a - b > 1e-12:
        a, b = (a + b) / 2, sqrt(a * b)
    return 2 * pi * sqrt(length / GRAVITY) / a


def lines(name: str) -> list[str]:
    """Return the rows of the file `name`; its name seeds them."""
    random = Random(name)
    made = []
    for _ in range(FILES[name]):
        length = round(0.1 + 1.9 * random.random(), 3)
        angle = round(2 + 148 * random.random(), 1)
        mass = round(0.05 + 0.95 * random.random(), 3)
        # random() alone is promised to give the same numbers in every version of Python
        measured = period(length, angle) + STOPWATCH.inv_cdf(random.random())
        made.append(f"{length:.3f},{angle:.1f},{mass:.3f},{measured:.3f}")
    return made


def write(folder: Path) -> None:
    """Write both files into `folder`."""
    for name in FILES:
        text = "\n".join([HEADER, *lines(name)]) + "\n"
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(__file__).parent)
