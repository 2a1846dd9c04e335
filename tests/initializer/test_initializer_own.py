"""Users' own initializers, log lines, and rules in words."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest

import mxtrain as mx
from mxtrain.errors import CallError
from mxtrain.initializer import InitDesc, Initializer, alias, create, register, registry
from mxtrain.settings import settings


@pytest.fixture
def own_names() -> Iterator[None]:
    """Forget what a test registers."""
    classes, aliases = dict(registry._classes), dict(registry._aliases)
    yield
    registry._classes, registry._aliases = classes, aliases


def filled(initializer: Any, shape: Any, dtype: Any = "float32", seed: int = 3) -> Any:
    mx.random.seed(seed)
    array = mx.nd.zeros(shape, dtype=dtype)
    initializer(InitDesc("x_weight"), array)
    return array


# -- verbosity ---------------------------------------------------------------------------------


def test_verbosity(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = mx.init.One()
    one(InitDesc("a_weight"), np.zeros(4))
    assert not caplog.messages
    assert one.set_verbosity(True) is one
    one(InitDesc("a_weight"), np.zeros(4))
    one.set_verbosity(True, lambda array: f"sum {array.sum():g}")
    one(InitDesc("a_bias"), np.ones(4))
    one(InitDesc("b", {"__init__": "ones"}), np.zeros(4))
    assert caplog.messages == [
        "Initialized a_weight as weight: 1.0",
        "Initialized a_bias as bias: sum 0",
        "Initialized b as ones: sum 4",
    ]


# -- users' own classes ------------------------------------------------------------------------


@pytest.mark.usefixtures("own_names")
def test_a_class_with_an_ordinary_constructor() -> None:
    @register
    class Ramp(Initializer):
        def __init__(self, top: float, bottom: float = 0.0) -> None:
            super().__init__(top=top, bottom=bottom)
            self.top, self.bottom = top, bottom

        def _init_weight(self, name: str, array: Any) -> None:
            array[...] = np.linspace(self.bottom, self.top, array.size).reshape(array.shape)

        def _init_bias(self, name: str, array: Any) -> None:
            array[...] = -1

    ramp = Ramp(3.0)
    assert ramp.dumps() == '["ramp", {"top": 3.0, "bottom": 0.0}]'
    assert create(ramp.dumps()) == ramp != Ramp(4.0)
    assert filled(ramp, (4,)).tolist() == [0, 1, 2, 3]
    assert [setting.name for setting in settings(Ramp)] == ["top", "bottom"]
    array = np.zeros(2)
    ramp(InitDesc("a_bias"), array)
    assert array.tolist() == [-1, -1]
    assert ramp.rule_for("a_bias") == "Ramp (name ends with bias)"
    assert ramp.rule_for("a_weight") == "Ramp: top 3.0, bottom 0.0"
    assert repr(ramp) == "Ramp(top=3.0, bottom=0.0)"


@pytest.mark.usefixtures("own_names")
def test_a_class_with_declared_settings() -> None:
    @register
    @alias("fill")
    class Filling(Initializer):
        value: Annotated[float, "what to fill with"] = 2.0

        def _init_weight(self, name: str, array: Any) -> None:
            array[...] = self.value

        def _init_default(self, name: str, array: Any) -> None:
            array[...] = 9

    assert filled(create("FILL", value=5), (2,)).tolist() == [5, 5]
    array = np.zeros(1)
    Filling()(InitDesc("anything"), array)
    assert array == 9
    assert Filling().rule_for("anything") == "Filling"


@pytest.mark.usefixtures("own_names")
def test_alias_alone_enters_a_class() -> None:
    @alias("first_name", "second_name")
    class Named(mx.init.One):
        pass

    assert type(create("first_name")) is type(create("Second_Name")) is type(create("named"))


def test_base_class_keeps_keywords_and_has_no_weight_rule() -> None:
    base = Initializer(a=1, b=[2])
    assert base.dumps() == '["initializer", {"a": 1, "b": [2]}]'
    with pytest.raises(NotImplementedError, match="_init_weight"):
        base(InitDesc("x_weight"), np.zeros(1))
    array = np.zeros(1)
    base(InitDesc("x_gamma"), array)
    assert array == 1
    with pytest.raises(TypeError, match="keyword"):
        Initializer(1)
    with pytest.raises(TypeError, match="JSON"):
        Initializer(a=object()).dumps()


@pytest.mark.usefixtures("own_names")
def test_register_warns_when_it_replaces_and_refuses_other_classes() -> None:
    with pytest.warns(UserWarning, match="initializer 'zero' now means"):
        register(type("Zero", (Initializer,), {}))
    with pytest.raises(CallError, match="int"):
        register(int)


# -- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("Xavier()", "fc_weight", "Xavier: uniform ±0.866"),
        ("Xavier('gaussian')", "fc_weight", "Xavier: normal, sigma 0.866"),
        ("MSRAPrelu(slope=0)", "fc_weight", "MSRAPrelu: normal, sigma 0.7071"),
        ("Uniform()", "fc_weight", "Uniform: uniform ±0.07"),
        ("Orthogonal()", "fc_weight", "Orthogonal: rows of length 1.414"),
        ("Constant(3)", "fc_weight", "Constant: 3"),
        ("Constant([[1, 2]])", "fc_weight", "Constant: array of shape (1, 2)"),
        ("Zero()", "fc_weight", "Zero"),
        ("Xavier()", "fc_bias", "zero (name ends with bias)"),
        ("Xavier()", "bn_gamma", "one (name ends with gamma)"),
        ("Mixed(['fc', '.*'], [mx.init.One(), None])", "fc_weight", "One (pattern 'fc')"),
        ("Load({'fc_weight': np.zeros(1)})", "fc_weight", "loaded from a dict"),
        ("Load({}, mx.init.One())", "fc_bias", "zero (name ends with bias)"),
    ],
)
def test_rule_for(text: str, name: str, words: str) -> None:
    assert eval(f"mx.init.{text}").rule_for(InitDesc(name), shape=(4, 4)) == words


def test_rule_for_attributes_and_unknown_shapes() -> None:
    attributes = {"__init__": '["constant", {"value": 0.25}]'}
    words = "from its init attribute: Constant: 0.25"
    assert mx.init.Xavier().rule_for("a", attributes) == words
    assert mx.init.Xavier().rule_for(InitDesc("a", attributes)) == words
    assert mx.init.Normal(0.5).rule_for("a_weight") == "Normal: sigma 0.5"
    assert (
        mx.init.Orthogonal(2.0).rule_for("a_weight") == "Orthogonal: scale 2.0, rand_type uniform"
    )
    with pytest.raises(ValueError, match="'nothing'"):
        mx.init.Xavier().rule_for("nothing")
