"""The data in data/ are what their recipes and READMEs say."""

from __future__ import annotations

import math
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[1] / "data"
DIGITS = DATA / "digits"
SPLIT = runpy.run_path(str(DIGITS / "split.py"))
PENDULUM = runpy.run_path(str(DATA / "pendulum" / "make.py"))


def rows(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[1:]


def test_digits_are_split_four_to_one() -> None:
    train, test = rows(DIGITS / "train.csv"), rows(DIGITS / "test.csv")
    assert (len(train), len(test)) == (1437, 360)
    assert not {*train} & {*test}
    of_train, of_test = (Counter(row.rpartition(",")[2] for row in part) for part in (train, test))
    assert len(of_train) == 10
    for digit, count in of_test.items():
        assert abs(count - (count + of_train[digit]) * 360 / 1797) < 1


@pytest.mark.parametrize("order", ["as they are", "backwards"])
def test_split_of_all_digits_makes_the_same_bytes(order: str) -> None:
    lines = rows(DIGITS / "train.csv") + rows(DIGITS / "test.csv")
    parts = SPLIT["split"](lines if order == "as they are" else lines[::-1])
    for name, part in zip(("train.csv", "test.csv"), parts, strict=True):
        assert SPLIT["text_of"](part).encode() == (DIGITS / name).read_bytes()


def test_split_from_an_npz_file(tmp_path: Path) -> None:
    both = [rows(DIGITS / name) for name in ("train.csv", "test.csv")]
    table = np.array([row.split(",") for part in both for row in part], dtype=np.int64)
    np.savez(tmp_path / "digits.npz", X=table[:, :64].astype(np.uint8), y=table[:, 64])
    SPLIT["write"](tmp_path / "digits.npz", tmp_path)
    for name in ("train.csv", "test.csv"):
        assert (tmp_path / name).read_bytes() == (DIGITS / name).read_bytes()


def test_pixels_are_what_the_readme_says() -> None:
    table = np.loadtxt(DIGITS / "train.csv", delimiter=",", skiprows=1)
    assert table.shape == (1437, 65)
    assert table[:, :64].min() == 0
    assert table[:, :64].max() == 16
    header = (DIGITS / "train.csv").read_text(encoding="utf-8").split("\n", 1)[0].split(",")
    assert (header[0], header[1], header[8], header[63], header[64]) == (
        ("p00", "p01", "p10", "p77", "digit")
    )


def test_pendulums_are_made_again(tmp_path: Path) -> None:
    PENDULUM["write"](tmp_path)
    for name, count in PENDULUM["FILES"].items():
        assert (tmp_path / name).read_bytes() == (DATA / "pendulum" / name).read_bytes()
        assert len(rows(tmp_path / name)) == count


@pytest.mark.parametrize("angle", [1e-6, 30.0, 90.0, 150.0])
def test_period_is_the_elliptic_integral(angle: float) -> None:
    k, term, total = math.sin(math.radians(angle) / 2), 1.0, 0.0
    for i in range(1000):
        total += term**2 * k ** (2 * i)
        term *= (2 * i + 1) / (2 * i + 2)
    assert PENDULUM["period"](1.0, angle) == pytest.approx(2 * math.pi / 9.81**0.5 * total)


def test_stopwatch_is_all_that_separates_a_row_from_the_formula() -> None:
    table = np.loadtxt(DATA / "pendulum" / "train.csv", delimiter=",", skiprows=1)
    exact = [PENDULUM["period"](length, angle) for length, angle in table[:, :2]]
    errors = table[:, 3] - exact
    assert abs(errors.mean()) < 0.003
    assert 0.018 < errors.std() < 0.022
