"""Metrics against the recorded values of MXNet 1.9.1."""

from __future__ import annotations

import builtins
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import metric, nd
from mxtrain.errors import CallError
from mxtrain.settings import settings

FOLDER = Path(__file__).parent / "golden" / "metrics"
GOLDEN = json.loads((FOLDER / "metrics.json").read_text())
EXTRA = GOLDEN["extra"]
ARRAYS = dict(np.load(FOLDER / "metrics.npz"))

DIFFERS_ON_PURPOSE = {
    "m03": "the shown name 'cross-entropy' is understood as a name",
    "m06": "the shown name 'nll-loss' is understood as a name",
    "m55": "micro pearsonr: the reference's global value stays 0 and reset_local clears nothing",
}
AGREE = {"rel": 1e-6, "abs": 1e-7}


def numbers(value: Any) -> Any:
    """Read a recorded value: "nan" is text in the file."""
    if isinstance(value, list | tuple):
        return [numbers(item) for item in value]
    return math.nan if value == "nan" else value


def same(ours: Any, recorded: Any) -> bool:
    recorded = numbers(recorded)
    if isinstance(recorded, list):
        return len(ours) == len(recorded) and all(map(same, ours, recorded))
    if isinstance(recorded, str):
        return bool(ours == recorded)
    return isinstance(ours, float) and ours == pytest.approx(recorded, nan_ok=True, **AGREE)


def batch_of(case: dict[str, Any], number: int) -> tuple[list[Any], list[Any]]:
    def arrays(kind: str) -> list[Any]:
        count = case[f"{kind}s_per_batch"][number]
        return [nd.array(ARRAYS[f"{case['id']}/{number}/{kind}{i}"]) for i in range(count)]

    return arrays("label"), arrays("pred")


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    made = metric.create(case["create"], **case["kwargs"])
    seen: dict[str, Any] = {"str_name": made.name, "empty": made.get(), "after_each_batch": []}
    for number in range(case["batches"]):
        made.update(*batch_of(case, number))
        seen["after_each_batch"].append(made.get())
    seen["name_value"] = made.get_name_value()
    seen["global_name_value"] = made.get_global_name_value()
    made.reset_local()
    seen["after_reset_local"] = made.get()
    seen["global_after_reset_local"] = made.get_global()
    made.update(*batch_of(case, 0))
    seen["first_batch_again"] = made.get()
    seen["global_first_batch_again"] = made.get_global()
    made.reset()
    seen["after_reset"] = made.get()
    return seen


@pytest.mark.parametrize(
    "case",
    [c for c in GOLDEN["metrics"] if c["id"] not in DIFFERS_ON_PURPOSE],
    ids=lambda c: c["id"],
)
def test_recorded_case(case: dict[str, Any]) -> None:
    if "error" in case:
        kind = getattr(builtins, case["error"], None) or getattr(np.exceptions, case["error"])
        with pytest.raises(kind) as caught:
            run_case(case)
        assert len(str(caught.value)) > 20, "the message must say what is wrong"
        return
    for what, ours in run_case(case).items():
        assert same(ours, case[what]), f"{what}: ours {ours}, recorded {case[what]}"


def test_number_of_recorded_cases(say_counts: Any) -> None:
    assert len(GOLDEN["metrics"]) == 66
    differing = ", ".join(sorted(DIFFERS_ON_PURPOSE))
    matched = len(GOLDEN["metrics"]) - len(DIFFERS_ON_PURPOSE)
    say_counts("metrics", f"{matched} of 66 cases match, differ on purpose: {differing}")
    assert set(DIFFERS_ON_PURPOSE) <= {case["id"] for case in GOLDEN["metrics"]}


@pytest.mark.parametrize(("number", "equal"), [("m03", "m04"), ("m06", "m07")])
def test_shown_names_are_names(number: str, equal: str) -> None:
    by_id = {case["id"]: case for case in GOLDEN["metrics"]}
    assert by_id[number]["error"] == "AssertionError"
    for what, ours in run_case(by_id[equal] | {"create": by_id[number]["create"]}).items():
        assert same(ours, by_id[equal][what])


def test_micro_pearson_keeps_its_global_value_and_clears_its_local_one() -> None:
    case = next(case for case in GOLDEN["metrics"] if case["id"] == "m55")
    ours = run_case(case)
    for what in ("str_name", "empty", "after_each_batch", "name_value", "after_reset"):
        assert same(ours[what], case[what])
    assert ours["global_name_value"] == ours["name_value"]
    assert ours["global_after_reset_local"] == ours["global_name_value"][0]
    assert same(ours["first_batch_again"], case["after_each_batch"][0])
    assert same(ours["global_first_batch_again"], case["first_batch_again"])


def test_recorded_custom_functions() -> None:
    label, pred = ARRAYS["custom/label"], ARRAYS["custom/pred"]

    def my(label: Any, pred: Any) -> Any:
        assert type(label) is np.ndarray
        return np.abs(label - pred).sum()

    def pair(label: Any, pred: Any) -> Any:
        return np.abs(label - pred).sum(), label.size

    for made, key in [
        (metric.create(my), "custom_sum_abs"),
        (metric.CustomMetric(pair), "custom_sum_abs_and_count"),
        (metric.np(my), "metric_np"),
    ]:
        made.update([nd.array(label)], [nd.array(pred)])
        assert same(made.get(), EXTRA[key])
        assert same(made.get_global(), EXTRA[key])
    assert metric.create(lambda label, pred: 0).name == EXTRA["lambda_name"]


DICT_LABELS = {"softmax_label": ARRAYS["dict/label"], "reg_label": ARRAYS["dict/label2"]}
DICT_PREDS = {"softmax_output": ARRAYS["dict/pred"], "reg_output": ARRAYS["dict/pred2"]}
ACC = ("acc", ["softmax_output"], ["softmax_label"])
MSE = ("mse", ["reg_output"], ["reg_label"])


def named(name: str, outputs: list[str], labels: list[str]) -> metric.EvalMetric:
    return metric.create(name, output_names=outputs, label_names=labels)


@pytest.mark.parametrize("key", EXTRA["update_dict"])
def test_recorded_update_dict(key: str) -> None:
    made = {
        "acc softmax_output": lambda: named(*ACC),
        "mse reg_output": lambda: named(*MSE),
        "mse nothere": lambda: named("mse", ["nothere"], ["reg_label"]),
        "composite": lambda: metric.create([named(*ACC), named(*MSE)]),
    }[key]()
    expected = EXTRA["update_dict"][key]
    if isinstance(expected, dict):
        with pytest.raises(getattr(builtins, expected["error"]), match="no output named 'nothere'"):
            made.update_dict(DICT_LABELS, DICT_PREDS)
        return
    made.update_dict(DICT_LABELS, DICT_PREDS)
    assert same(made.get(), expected)


@pytest.mark.parametrize("name", EXTRA["config"])
def test_recorded_configuration(name: str) -> None:
    arguments = {"top_k": 3} if name == "top_k_accuracy" else {}
    made = metric.create(name, **arguments)
    assert made.get_config() == EXTRA["config"][name]
    again = metric.create(**made.get_config())
    assert again.get_config() == made.get_config()


def test_recorded_names_text_and_composite() -> None:
    assert set(EXTRA["registered_names"]) <= set(metric.registry.spellings())
    assert str(metric.create("acc")) == EXTRA["str"]
    composite = metric.CompositeEvalMetric(["acc"])
    composite.add("mse")
    assert composite.get()[0] == EXTRA["composite_names"]
    assert isinstance(composite.get_metric(1), metric.MSE)


def test_composite_raises_where_the_reference_returns_the_error() -> None:
    assert EXTRA["composite_get_metric_out_of_range"] == "ValueError returned, not raised"
    with pytest.raises(ValueError, match="has 1 metrics, there is no number 5"):
        metric.CompositeEvalMetric(["acc"]).get_metric(5)


def test_composite_configuration_makes_an_equal_composite() -> None:
    made = metric.create(["acc", ["mse", "f1"]], count="rows")
    again = metric.create(**made.get_config())
    assert again.get_config() == made.get_config()
    assert [m.count for m in again._children] == ["rows", "rows"]


def test_composite_names_choose_before_the_children() -> None:
    made = metric.CompositeEvalMetric(
        ["acc"], output_names=["softmax_output"], label_names=["softmax_label"]
    )
    made.update_dict(DICT_LABELS, DICT_PREDS)
    assert same(made.get(), [["accuracy"], [EXTRA["update_dict"]["acc softmax_output"][1]]])


LABEL, SCORES = np.array([0.0, 1.0]), np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
ERRORS: dict[str, tuple[type[Exception], str, Any]] = {
    "unknown": (CallError, "did you mean 'accuracy'", lambda: metric.create("acuracy")),
    "unknown argument": (TypeError, "no argument 'axes'", lambda: metric.create("acc", axes=1)),
    "unknown argument 2": (
        TypeError,
        "no argument 'topk'",
        lambda: metric.create("top_k_acc", topk=2, top_k=2),
    ),
    "no metric": (CallError, "got 5", lambda: metric.create(5)),
    "count": (ValueError, "got 'row'", lambda: metric.create("mae", count="row")),
    "average": (ValueError, "got 'mikro'", lambda: metric.create("f1", average="mikro")),
    "average 2": (ValueError, "got 'mean'", lambda: metric.create("pearsonr", average="mean")),
    "instance": (
        CallError,
        "exists already",
        lambda: metric.create(metric.create("acc"), count="rows"),
    ),
    "label above": (
        IndexError,
        "label 2 is outside the classes 0 to 1",
        lambda: metric.create("ce").update(np.array([0, 2]), SCORES),
    ),
    "label below": (
        IndexError,
        "label -1 is outside",
        lambda: metric.create("ce").update(np.array([-1, 1]), SCORES),
    ),
    "ce shapes": (
        CallError,
        r"label \(3,\) and prediction \(2, 2\)",
        lambda: metric.create("ce").update(np.zeros(3), SCORES),
    ),
    "perplexity shapes": (
        CallError,
        r"label \(3,\) and prediction \(2, 2\)",
        lambda: metric.create("perplexity", ignore_label=None).update(np.zeros(3), SCORES),
    ),
    "perplexity label": (
        IndexError,
        "label 2 is outside",
        lambda: metric.create("perplexity", ignore_label=None).update(np.array([0, 2]), SCORES),
    ),
    "top_k one axis": (
        ValueError,
        "at least 2 classes",
        lambda: metric.create("top_k_acc", top_k=2).update(LABEL, np.zeros(2)),
    ),
    "accuracy axis": (
        ValueError,
        "no axis 1",
        lambda: metric.create("acc").update(LABEL, np.zeros(5)),
    ),
    "top_k axes": (
        CallError,
        r"got \(1, 2, 2\)",
        lambda: metric.create("top_k_acc", top_k=2).update(LABEL, SCORES[None]),
    ),
    "top_k rows": (
        ValueError,
        "one label per row",
        lambda: metric.create("top_k_acc", top_k=2).update(np.zeros(3), SCORES),
    ),
    "f1 rows": (
        ValueError,
        "one label per row",
        lambda: metric.create("f1").update(np.zeros(3), SCORES),
    ),
    "mae rows": (
        ValueError,
        "same number of rows, got 3 and 2",
        lambda: metric.create("mae").update(np.zeros(3), np.zeros(2)),
    ),
    "pcc rows": (
        ValueError,
        "one label per prediction",
        lambda: metric.create("pcc").update(np.zeros(3), SCORES),
    ),
    "pcc axis": (ValueError, "scores", lambda: metric.create("pcc").update(LABEL, np.zeros(3))),
    "pcc negative": (
        ValueError,
        "must not be negative, got -1",
        lambda: metric.create("pcc").update(-LABEL, SCORES),
    ),
    "no update": (
        NotImplementedError,
        "has no update",
        lambda: metric.EvalMetric("mine").update([], []),
    ),
    "custom config": (
        NotImplementedError,
        "Python function",
        lambda: metric.np(lambda label, pred: 0).get_config(),
    ),
}


@pytest.mark.parametrize(("kind", "text", "program"), ERRORS.values(), ids=ERRORS.keys())
def test_errors_say_what_was_received(kind: type[Exception], text: str, program: Any) -> None:
    with pytest.raises(kind, match=text):
        program()


class Classic(metric.EvalMetric):
    """A user's metric as written for MXNet: its own constructor, local sums only."""

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__("classic", threshold=threshold)
        self.threshold = threshold

    def update(self, labels: Any, preds: Any) -> None:
        for pred in preds:
            self.sum_metric += int((pred > self.threshold).sum())
            self.num_inst += pred.size


def test_classic_user_metric() -> None:
    made = Classic(0.25)
    made.update([], [np.array([0.1, 0.3, 0.4, 0.2])])
    assert made.get_name_value() == made.get_global_name_value() == [("classic", 0.5)]
    assert made.get_config()["threshold"] == 0.25
    rows = metric.create(Classic, count="rows")
    assert rows.count == "rows"
    assert [s.name for s in settings(Classic)] == ["threshold"]


def test_positional_arguments_are_in_the_order_of_mxnet() -> None:
    made: Any = metric.Accuracy(2, "a", ["o"], ["l"])
    assert (made.axis, made.name, made.output_names, made.label_names) == (2, "a", ["o"], ["l"])
    made = metric.F1("f", None, None, "micro")
    assert (made.name, made.average) == ("f", "micro")
    made = metric.Perplexity(0, 1, "p")
    assert (made.ignore_label, made.axis, made.name) == (0, 1, "p")
    assert metric.TopKAccuracy(3, "best").name == "best_3"
    with pytest.raises(TypeError):
        metric.MAE("m", None, None, "rows")


@pytest.mark.parametrize("name", metric.registry.names())
def test_every_setting_says_what_it_means(name: str) -> None:
    found = settings(metric.registry.get(name))
    assert {"name", "output_names", "label_names", "count"} <= {s.name for s in found}
    assert all(s.meaning for s in found)


def test_direction_of_every_metric() -> None:
    better = {n for n in metric.registry.names() if metric.registry.get(n).higher_is_better}
    assert better == {"accuracy", "topkaccuracy", "f1", "mcc", "pcc", "pearsoncorrelation"}


def test_import_needs_no_numpy() -> None:
    program = "import sys, mxtrain.metric; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
