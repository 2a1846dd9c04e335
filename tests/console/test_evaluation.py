"""An evaluation as tables: how classes are recognized, and which are taken for which."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mxtrain.console.evaluation import show_evaluation
from mxtrain.trainer.confusion import Confusion
from mxtrain.trainer.evaluate import Evaluation


def shown(classes: tuple[str, ...], counts: list[list[int]]) -> list[str]:
    confusion = Confusion("out", classes, tuple(map(tuple, counts)))
    stream = io.StringIO()
    values = {"loss": 0.25, "accuracy": float("nan")}
    show_evaluation(Evaluation("m-0003.params", 3, "a.csv", 1200, values, (confusion,)), stream)
    return stream.getvalue().splitlines()


def test_a_small_matrix_is_shown_whole() -> None:
    lines = shown(("oak", "ash"), [[3, 1], [0, 1000]])
    assert lines[:2] == ["model  m-0003.params, epoch 3", "data   a.csv, 1,200 rows"]
    assert ["loss", "0.25"] in [line.split() for line in lines]
    assert ["accuracy", "nan"] in [line.split() for line in lines]
    assert lines[-3:] == ["class  oak    ash", "oak      3      1", "ash      .  1,000"]


@pytest.mark.parametrize(
    "classes",
    [tuple(f"{n} of many names" for n in range(14)), ("a class of oaks", "a class of ash trees")],
    ids=["too wide", "names that look alike"],
)
def test_else_the_most_frequent_mistakes_are_listed(classes: tuple[str, ...]) -> None:
    counts = np.full((len(classes), len(classes)), 2)
    counts[1, 0] = 4100
    lines = shown(classes, counts.tolist())
    assert max(map(len, lines)) <= 80
    title = lines.index("the most frequent mistakes")
    assert lines[title + 2].split() == f"{classes[1]} {classes[0]} 4,100".split()
    assert len(lines) - title - 2 == min(12, len(classes) ** 2 - len(classes))


def test_no_mistakes_are_told_too() -> None:
    names = tuple(f"a long name {n}" for n in range(3))
    assert "no mistakes" in shown(names, np.diag([1, 2, 3]).tolist())
