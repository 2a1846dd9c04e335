"""Metrics by rule: independent restatements, and counting every row exactly once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain import metric

KWARGS: dict[str, dict[str, Any]] = {
    "topkaccuracy": {"top_k": 2},
    "perplexity": {"ignore_label": 0},
}
BINARY = ("f1", "mcc")
VALUES = ("mae", "mse", "rmse", "pearsoncorrelation", "loss", "torch", "caffe")
NOT_BY_NAME = {"compositeevalmetric", "custommetric"}
NAMES = [name for name in metric.registry.names() if name not in NOT_BY_NAME]


def rows_of(name: str, n: int, seed: int) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    if name in VALUES:
        return draw.normal(3, 2, (n, 3)), draw.normal(3, 1, (n, 3))
    classes = 2 if name in BINARY else 4
    scores = draw.random((n, classes))
    return draw.integers(0, classes, n), scores / scores.sum(1, keepdims=True)


def value_of(name: str, batches: list[tuple[Any, Any]], **kwargs: Any) -> float:
    made = metric.create(name, **KWARGS.get(name, {}), **kwargs)
    for label, pred in batches:
        made.update([label], [pred])
    np.testing.assert_equal(made.get_global(), made.get())  # NaN equals NaN here
    return float(made.get()[1])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40)
@given(
    n=st.integers(2, 40),
    cuts=st.lists(st.integers(0, 40), max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_rows_count_once_however_they_are_split(
    name: str, n: int, cuts: list[int], seed: int
) -> None:
    label, pred = rows_of(name, n, seed)
    edges = [0, *sorted(c for c in cuts if c < n), n]
    pieces = [
        (label[a:b], pred[a:b]) for a, b in pairwise(edges)
    ]  # an empty piece is an empty batch, which must not matter either
    whole = value_of(name, [(label, pred)], count="rows")
    split = value_of(name, pieces, count="rows")
    assert split == pytest.approx(whole, rel=1e-9, abs=1e-12, nan_ok=True)


def test_custom_function_counts_rows_as_well() -> None:
    def error(label: Any, pred: Any) -> Any:
        return np.abs(label - pred).mean()

    label, pred = rows_of("mae", 10, 1)
    whole = metric.CustomMetric(error, count="rows")
    whole.update([label], [pred])
    split = metric.create(error, count="rows")
    for part in (slice(0, 7), slice(7, 10)):
        split.update([label[part]], [pred[part]])
    assert split.get()[1] == pytest.approx(whole.get()[1], rel=1e-12)
    assert split.num_inst == 10


def macro(score: Any, batches: list[tuple[Any, Any]]) -> float:
    return float(np.mean([score(label, pred) for label, pred in batches]))


def pooled(score: Any, batches: list[tuple[Any, Any]]) -> float:
    labels, preds = zip(*batches, strict=True)
    return float(score(np.concatenate(labels), np.concatenate(preds)))


def f1(label: Any, pred: Any) -> float:
    guess = pred[:, 1] > pred[:, 0]
    return 2 * np.sum(guess & (label == 1)) / (np.sum(guess) + np.sum(label == 1))


def correlation(label: Any, pred: Any) -> float:
    return float(np.corrcoef(np.ravel(label), np.ravel(pred))[0, 1])


def mcc(label: Any, pred: Any) -> float:
    return correlation(label == 1, pred.argmax(1) == 1)


def pcc(label: Any, pred: Any) -> float:
    """Sum over the covariances of the one-hot columns (Gorodkin's definition)."""
    x, y = np.eye(4)[pred.argmax(1)], np.eye(4)[label]
    x, y = x - x.mean(0), y - y.mean(0)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def cross_entropy(label: Any, pred: Any) -> float:
    return float(np.mean([-np.log(row[k]) for k, row in zip(label, pred, strict=True)]))


def top_2(label: Any, pred: Any) -> float:
    best = [np.argsort(row)[-2:] for row in pred]
    return float(np.mean([k in two for k, two in zip(label, best, strict=True)]))


def perplexity(label: Any, pred: Any) -> float:
    return float(np.exp(cross_entropy(label[label != 0], pred[label != 0])))


def mae(label: Any, pred: Any) -> float:
    return float(np.mean(np.abs(label - pred)))


def rmse(label: Any, pred: Any) -> float:
    return float(np.sqrt(np.mean((label - pred) ** 2)))


RESTATED: dict[str, tuple[Any, bool]] = {  # the value of rows, and whether batches are averaged
    "accuracy": (lambda y, p: np.mean(p.argmax(1) == y), False),
    "topkaccuracy": (top_2, False),
    "crossentropy": (cross_entropy, False),
    "negativeloglikelihood": (cross_entropy, False),
    "perplexity": (perplexity, False),
    "f1": (f1, True),
    "mcc": (mcc, True),
    "pcc": (pcc, False),
    "pearsoncorrelation": (correlation, True),
    "mae": (mae, True),
    "mse": (lambda y, p: rmse(y, p) ** 2, True),
    "rmse": (rmse, True),
    "loss": (lambda y, p: p.mean(), False),
    "torch": (lambda y, p: p.mean(), False),
    "caffe": (lambda y, p: p.mean(), False),
}


def test_every_metric_is_restated() -> None:
    missing = set(NAMES) - set(RESTATED)
    assert not missing, f"restate {missing} in RESTATED above"
    assert set(RESTATED) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(50,), (40, 12), (30, 30, 7)], ids=str)
def test_independent_restatement(name: str, sizes: tuple[int, ...]) -> None:
    score, averaged = RESTATED[name]
    batches = [rows_of(name, n, seed) for seed, n in enumerate(sizes)]
    by_batch = (macro if averaged else pooled)(score, batches)
    assert value_of(name, batches) == pytest.approx(by_batch, rel=1e-9)
    assert value_of(name, batches, count="rows") == pytest.approx(pooled(score, batches), rel=1e-9)


@pytest.mark.parametrize("name", ["f1", "mcc", "pearsoncorrelation"])
def test_micro_average_is_that_of_all_rows(name: str) -> None:
    batches = [rows_of(name, n, seed) for seed, n in enumerate((40, 12))]
    expected = pooled(RESTATED[name][0], batches)
    assert value_of(name, batches, average="micro") == pytest.approx(expected, rel=1e-9)


def test_top_k_with_equal_scores_prefers_the_lower_class() -> None:
    made = metric.create("top_k_acc", top_k=2)
    made.update([np.array([0, 1, 2])], [np.full((3, 3), 0.25)])
    assert made.get()[1] == pytest.approx(2 / 3)
    made.reset()
    made.update([np.array([0, 0])], [np.array([[np.nan, 0.1, 0.2], [0.5, np.nan, 0.2]])])
    assert made.get()[1] == 0.5


def test_perplexity_takes_classes_along_another_axis() -> None:
    draw = np.random.default_rng(0)
    scores, label = draw.random((3, 4, 5)), draw.integers(0, 4, (3, 5))
    first, last = (metric.Perplexity(None, axis) for axis in (1, -1))
    first.update([label], [scores])
    last.update([label], [np.moveaxis(scores, 1, 2).reshape(15, 4)])
    assert first.get() == last.get()


@pytest.mark.parametrize("name", ["f1", "mcc"])
def test_column_labels_are_flattened(name: str) -> None:
    label, pred = rows_of(name, 12, 0)
    assert value_of(name, [(label[:, None], pred)]) == value_of(name, [(label, pred)])


@pytest.mark.parametrize("count", ["batch", "rows"])
def test_constant_predictions_have_no_correlation(count: str) -> None:
    made = metric.create("pearsonr", count=count)
    made.update([np.arange(3.0)], [np.full(3, 0.1)])
    assert np.isnan(made.get()[1])
    pcc = metric.create("pcc", count=count)
    pcc.update([np.array([0, 1])], [np.array([1, 1])])
    assert np.isnan(pcc.get()[1])


def test_pearson_counting_rows_takes_a_column_for_a_vector() -> None:
    made = metric.create("pearsonr", count="rows")
    made.update([np.arange(3.0)], [np.array([[1.0], [2.0], [4.0]])])
    assert made.get()[1] == pytest.approx(correlation([0, 1, 2], [1, 2, 4]))


def test_large_means_do_not_spoil_a_pooled_correlation() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=600)
    y = x + draw.normal(size=600)
    made = metric.create("pearsonr", average="micro")
    for part in np.split(np.arange(600), 20):
        made.update([x[part] + 1e7], [y[part] - 1e7])
    assert made.get()[1] == pytest.approx(correlation(x, y), rel=1e-7)


def test_arrays_of_other_kinds_are_taken() -> None:
    class Foreign:
        def asnumpy(self) -> Any:
            return np.array([0.0, 2.0])

    made = metric.create("mae")
    made.update(Foreign(), [[1.0, 2.0]])
    assert made.get() == ("mae", 0.5)


def test_updates_are_vectorised() -> None:
    """A big batch costs one update no more Python than a small one."""
    import sys

    def lines(name: str, n: int) -> int:
        label, pred = rows_of(name, n, 0)
        made, count = metric.create(name, count="rows", **KWARGS.get(name, {})), 0

        def trace(frame: Any, event: str, _: Any) -> Any:
            nonlocal count
            count += event == "line" and "mxtrain" in frame.f_code.co_filename
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            made.update([label], [pred])
        finally:
            sys.settrace(before)
        return count

    for name in NAMES:
        lines(name, 8)  # imports happen in the first call
        assert lines(name, 4000) == lines(name, 8) > 0, name
