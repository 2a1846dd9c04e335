"""What the curves show, and the SVG they become."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.config import Component
from mxtrain.trainer.compare.curves import COLORS, DASHES, panels_of
from mxtrain.trainer.compare.report import Ending, Goal, Point, Trial
from mxtrain.trainer.compare.scores import Scores
from mxtrain.trainer.compare.svg import PLOT_HEIGHT, draw, epoch_ticks, linear_ticks, log_ticks

numbers = st.floats(-1e12, 1e12, allow_subnormal=False)


def scores(curves: list[list[float]], name: str = "accuracy", higher: bool = True) -> Scores:
    """Trials with these eval values over the epochs, and a loss of 2 minus them."""
    trials = [Trial(f"rule<{n}>", Component("sgd"), 0.1 * (n + 1)) for n in range(len(curves))]
    made = Scores(trials, Goal("eval", name, higher), max(*map(len, curves), 1), 10)
    for number, values in enumerate(curves):
        for epoch, value in enumerate(values, start=1):
            both = {"loss": 2 - value, name: value}
            made.receive(number, Point(epoch, both, both, 0.1, 40))
    return made


@given(numbers, numbers)
def test_linear_ticks_enclose_the_range_evenly(a: float, b: float) -> None:
    low, high = sorted((a, b))
    ticks = linear_ticks(low, high)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return  # closer together than the ticks are exact
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + 1e-6 * step
    assert ticks[-1] >= high - 1e-6 * step
    assert 3 <= len(ticks) <= 9
    assert all(later - earlier == pytest.approx(step) for earlier, later in pairwise(ticks))


@given(st.floats(1e-30, 1e30), st.floats(1, 1e30))
def test_log_ticks_enclose_the_range(low: float, factor: float) -> None:
    high = low * factor
    ticks = log_ticks(low, high)
    assert ticks[0] <= low * (1 + 1e-9)
    assert ticks[-1] >= high * (1 - 1e-9)
    assert ticks == sorted(ticks)
    assert len(ticks) <= 20


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_epochs_are_labelled_within_the_plot(first: int, more: int) -> None:
    ticks = epoch_ticks(first, first + more)
    assert ticks[0] == first
    assert ticks == sorted(set(ticks))
    assert ticks[-1] <= first + more


def test_no_epochs_are_no_panels() -> None:
    assert panels_of(scores([[], []])) == []


def test_panels_have_the_metric_and_both_losses_the_best_first() -> None:
    panels = panels_of(scores([[0.1, 0.2], [0.3, 0.4]]))
    assert [panel.title for panel in panels] == ["eval accuracy", "eval loss", "train loss"]
    assert [line.key for line in panels[0].lines] == ["rule<1>", "rule<0>"]


def test_many_trials_look_different() -> None:
    curves = [[0.5 + n / 100, 0.6] for n in range(len(COLORS) * len(DASHES))]
    lines = panels_of(scores(curves))[0].lines
    assert len({(line.color, line.dash) for line in lines}) == len(curves)


def test_the_worst_values_do_not_squeeze_the_others() -> None:
    good = [[0.9 + n / 100 + e / 1000 for e in range(10)] for n in range(9)]
    panel = panels_of(scores([*good, [0.1] * 10]))[0]
    assert panel.low >= 0.9
    assert "worst 20% of the values not shown" in panel.title
    assert panels_of(scores(good))[0].title == "eval accuracy"


def test_worst_is_high_where_lower_is_better() -> None:
    good = [[0.9 + n / 100 + e / 1000 for e in range(10)] for n in range(9)]
    panel = panels_of(scores([*good, [1.9] * 10], "rmse", higher=False))[0]
    assert panel.high < 1.1
    assert panel.low == 0.9


def test_a_loss_of_many_decades_is_logarithmic() -> None:
    panels = panels_of(scores([[-998.0, 1.0], [0.0, 1.9]]))
    assert [panel.log for panel in panels] == [False, True, True]
    svg = draw(panels)
    assert ">1000</text>" in svg


def test_nan_leaves_a_curve_out_and_a_failure_has_a_cross() -> None:
    made = scores([[0.1, math.nan], [0.3, 0.4], [math.nan]])
    made.receive(0, Ending("diverged", "too fast"))
    panel = panels_of(made)[0]
    assert [line.key for line in panel.lines] == ["rule<1>", "rule<0>"]
    assert [line.failed for line in panel.lines] == [False, True]
    svg = draw([panel])
    assert "rule&lt;0&gt; ×" in svg
    assert svg.count('stroke-width="2"') == 1


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=1, max_size=30))
def test_every_curve_is_in_the_picture(curves: list[list[float]]) -> None:
    panels = panels_of(scores(curves))
    root = ElementTree.fromstring(draw(panels))
    space = "{http://www.w3.org/2000/svg}"
    titled = [path for path in root.iter(f"{space}path") if path.find(f"{space}title") is not None]
    assert len(titled) == len(panels) * len(curves)
    for path in titled:
        pairs = re.findall(r"[ML](\S+) ([^L]+)", path.attrib["d"])
        assert pairs
        # epochs lie within the plot; values may leave it only where the panel says so
        assert all(0 <= float(x) <= 620 for x, _ in pairs)
        if "not shown" not in ElementTree.tostring(root, "unicode"):
            assert all(-0.1 <= float(y) <= PLOT_HEIGHT + 0.1 for _, y in pairs)
