"""The starter's data: points on three noisy spiral arms, one class per arm.

``python -m mxtrain.starter.spirals FOLDER`` writes ``train.csv`` and ``test.csv`` anew, which is
how the files beside this one were made. The data are synthetic and free of any licence.
"""

from __future__ import annotations

import sys
from pathlib import Path

CLASSES = ("blue", "orange", "green")
SEED = 20
FILES = {"train.csv": 150, "test.csv": 50}
"""Rows per class of each file."""


def rows(per_class: int, stream: int) -> list[str]:
    """Return `per_class` lines ``x,y,class`` for each class, in a shuffled order.

    `stream` makes the rows of one file independent of those of another.
    """
    import numpy as np

    random = np.random.default_rng([SEED, stream])
    lines = []
    for number, name in enumerate(CLASSES):
        along = random.uniform(0.1, 1.0, per_class)
        angle = 4.0 * along + 2 * np.pi * number / len(CLASSES)
        angle += random.normal(0, 0.12, per_class)
        x, y = along * np.cos(angle), along * np.sin(angle)
        lines += [f"{a:.4f},{b:.4f},{name}" for a, b in zip(x, y, strict=True)]
    return [lines[index] for index in random.permutation(len(lines))]


def write(folder: Path) -> None:
    """Write both files into `folder`."""
    for stream, (name, per_class) in enumerate(FILES.items()):
        text = "\n".join(["x,y,class", *rows(per_class, stream)]) + "\n"
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
