"""Writes ``train.csv`` and ``test.csv`` from an NPZ file of the whole data set.

``python data/digits/split.py digits.npz`` needs the arrays ``X`` (n, 64), grey values from 0 to 16
of 8x8 images, row by row, and ``y`` (n,), the digits.

Which rows are set aside for testing, and their order, is decided by a hash of the row itself. So
the files are the same bytes on every machine and with every version of Python and NumPy, in
whatever order the rows come.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

HEADER = ",".join([f"p{row}{column}" for row in range(8) for column in range(8)] + ["digit"])
SEED = 1
TEST_ROWS = 360


def split(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return (training, test) lines, both shuffled; every class has its share in both.

    Each of `lines` is a row of the table; what follows its last comma is the class.
    """
    shuffled = sorted(lines, key=_key)
    classes = defaultdict(list)
    for line in shuffled:
        classes[line.rpartition(",")[2]].append(line)
    counts = _shares({name: len(members) for name, members in classes.items()}, len(shuffled))
    chosen = {line for name, members in classes.items() for line in members[: counts[name]]}
    return (
        [line for line in shuffled if line not in chosen],
        [line for line in shuffled if line in chosen],
    )


def _key(line: str) -> bytes:
    return sha256(f"{SEED}:{line}".encode()).digest()


def _shares(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Deal out the test rows in proportion; what rounding leaves goes to the largest remainders."""
    counts = {name: size * TEST_ROWS // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(sizes[name] * TEST_ROWS % total), name))
    for name in by_remainder[: TEST_ROWS - sum(counts.values())]:
        counts[name] += 1
    return counts


def text_of(lines: list[str]) -> str:
    """Return the text of a file with these rows."""
    return "\n".join([HEADER, *lines]) + "\n"


def write(source: Path, folder: Path) -> None:
    """Read the NPZ file `source` and write both tables into `folder`."""
    import numpy as np

    with np.load(source) as arrays:
        rows = np.column_stack([arrays["X"], arrays["y"]]).astype(int).tolist()
    lines = [",".join(map(str, row)) for row in rows]
    for name, part in zip(("train.csv", "test.csv"), split(lines), strict=True):
        (folder / name).write_text(text_of(part), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(__file__).parent)
