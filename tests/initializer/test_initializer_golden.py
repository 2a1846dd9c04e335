"""Initializers against the recorded values of MXNet 1.9.1."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from golden_initializers import ALL, ERRORS, GOLDEN, check, made, of

import mxtrain as mx
from mxtrain.initializer import InitDesc, Initializer, create, registry
from mxtrain.initializer.draw import NormalDraw, UniformDraw


def test_every_entry_is_a_case(say_counts: Any) -> None:
    say_counts("initializers", f"{len(ALL)} of 393 facts match")
    assert len(ALL) == 393


def test_registered_names() -> None:
    wanted = GOLDEN["registry_names"]
    assert {k: registry.get(k).__name__ for k in registry.spellings() if k in wanted} == wanted


@pytest.mark.parametrize("entry", of("create"))
def test_create(entry: dict[str, Any]) -> None:
    if "error" in entry:
        with pytest.raises(ERRORS[entry["error"]]):
            create(entry["create"])
        return
    found = create(entry["create"])
    assert (type(found).__name__, found.dumps()) == (entry["type"], entry["dumps"])


def test_create_with_arguments_and_instances() -> None:
    found = create("xavier", factor_type="in", magnitude=2.0)
    assert found.dumps() == GOLDEN["create_with_kwargs"]
    assert GOLDEN["create_instance_returned"] and create(found) is found
    with pytest.raises(ERRORS[GOLDEN["create_instance_with_arguments"]["error"]], match="Xavier"):
        create(found, magnitude=3)


@pytest.mark.parametrize("entry", of("dumps"))
def test_dumps(entry: dict[str, Any]) -> None:
    initializer = made(entry["made"])
    assert initializer.dumps() == entry["dumps"]
    assert create(entry["dumps"]) == initializer


@pytest.mark.parametrize("entry", of("equality"))
def test_equality(entry: list[Any]) -> None:
    left, right = entry[0].split(" == ")
    assert (made(left) == made(right)) is entry[1]


@pytest.mark.parametrize("text", ["Constant(3)", "Uniform(0.5)", "One()"])
@pytest.mark.parametrize("entry", of("name_rules"))
def test_name_rules(entry: dict[str, Any], text: str) -> None:
    name = entry["name"]
    check(entry[text], lambda array: made(text)(InitDesc(name), array), name)


@pytest.mark.parametrize("entry", of("plain_string_rules"))
def test_plain_string_rules(entry: dict[str, Any]) -> None:
    name, result = entry["name"], entry["Constant(3)"]
    with pytest.warns(DeprecationWarning, match=name):
        check(result, lambda array: made("Constant(3)")(name, array), name)


@pytest.mark.parametrize("entry", of("init_attribute"))
def test_init_attribute(entry: dict[str, Any]) -> None:
    desc = InitDesc(entry["name"], {"__init__": entry["init_attribute"]})
    check(entry["result"], lambda array: made(entry["caller"])(desc, array))


@pytest.mark.parametrize("entry", of("deterministic"))
def test_deterministic(entry: dict[str, Any]) -> None:
    result = {"shape": entry["shape"], **entry["result"]}
    check(result, lambda array: made(entry["init"])(InitDesc("x_weight"), array))


@pytest.mark.parametrize("entry", of("random"))
def test_random(entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn, and in which shape, recorded at the draw itself."""
    drawn: list[tuple[Any, Any]] = []
    for cls in (UniformDraw, NormalDraw):
        draw = cls.draw

        def record(self: Any, shape: Any, dtype: Any, draw: Any = draw) -> Any:
            drawn.append((self, tuple(shape)))
            return draw(self, shape, dtype)

        monkeypatch.setattr(cls, "draw", record)
    array = np.full(entry["shape"], np.nan, np.float32)
    initializer = made(entry["init"])
    if "error" in entry:
        with pytest.raises(ERRORS[entry["error"]]):
            initializer(InitDesc("x_weight"), array)
        return
    initializer(InitDesc("x_weight"), array)
    ((distribution, shape),) = drawn
    assert shape == tuple(entry.get("drawn_shape", entry["shape"]))
    assert np.isfinite(array).all()
    if entry["distribution"] == "uniform":
        assert entry["low"] == -entry["high"]
        assert isinstance(distribution, UniformDraw)
        assert distribution.limit == pytest.approx(entry["high"], rel=1e-12)
    else:
        assert entry["mean"] == 0
        assert isinstance(distribution, NormalDraw)
        assert distribution.sigma == pytest.approx(entry["sigma"], rel=1e-12)


@pytest.mark.parametrize("entry", of("orthogonal_property"))
def test_orthogonal(entry: dict[str, Any]) -> None:
    array = np.empty(entry["shape"])
    made(entry["init"])(InitDesc("x_weight"), array)
    matrix = array.reshape(entry["matrix"])
    product = matrix @ matrix.T if entry["orthonormal"] == "rows" else matrix.T @ matrix
    assert entry["holds"]
    np.testing.assert_allclose(product, entry["scale"] ** 2 * np.eye(len(product)), atol=1e-12)


@pytest.mark.parametrize("entry", of("mixed"))
def test_mixed(entry: dict[str, Any]) -> None:
    mixed = mx.init.Mixed(entry["patterns"], [made(text) for text in entry["initializers"]])
    # The reference forgets the name in one message; ours always has it.
    check(entry["result"], lambda array: mixed(InitDesc(entry["name"]), array), entry["name"])


def test_mixed_length_mismatch() -> None:
    with pytest.raises(ERRORS[GOLDEN["mixed_length_mismatch"]["error"]], match=r"2 patterns and 1"):
        mx.init.Mixed(["a", "b"], [mx.init.Zero()])


@pytest.mark.parametrize("entry", of("load"))
def test_load(entry: dict[str, Any]) -> None:
    arrays = {name: mx.nd.array(values) for name, values in GOLDEN["load"]["params"].items()}
    default = entry["default_init"] and made(entry["default_init"])
    load = mx.init.Load(arrays, default)
    result = {"shape": entry["shape"], **entry["result"]}
    with warnings.catch_warnings():  # a default is called with a plain name here
        warnings.simplefilter("ignore", DeprecationWarning)
        check(result, lambda array: load(entry["name"], array), entry["name"])


@pytest.mark.parametrize("entry", of("variable_init_attribute"))
def test_variable_init_attribute(entry: dict[str, Any]) -> None:
    variable = mx.sym.Variable("x", init=made(entry["init"]))
    assert variable.attr("__init__") == entry["attribute"]


def graph(text: str) -> Any:
    data = mx.sym.Variable("data")
    if text == "BatchNorm":
        return mx.sym.BatchNorm(data, name="bn")
    if text == "LeakyReLU prelu":
        return mx.sym.LeakyReLU(data, act_type="prelu", name="p")
    if text == "UpSampling nearest, two inputs":
        second = mx.sym.Variable("second")
        return mx.sym.UpSampling(data, second, scale=2, sample_type="nearest", name="u")
    if text == "UpSampling bilinear":
        attrs = {"scale": 2, "num_filter": 3, "num_args": 2}
        return mx.sym.UpSampling(data, sample_type="bilinear", name="u", **attrs)
    assert text == "BatchNorm with moving_var=Variable(init=Constant(4))"
    variance = mx.sym.Variable("mv", init=mx.init.Constant(4))
    return mx.sym.BatchNorm(data, moving_var=variance, name="bn")


@pytest.mark.parametrize("entry", of("operator_init_attributes"))
def test_operator_init_attributes(entry: dict[str, Any]) -> None:
    attributes = graph(entry["graph"]).attr_dict()
    found = {k: v["__init__"] for k, v in attributes.items() if "__init__" in v}
    assert found == entry["attributes"]


class Recorder(Initializer):
    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def _init_weight(self, name: str, array: Any) -> None:
        self.called.append(str(name))
        array[...] = 2


def test_module_example() -> None:
    """The network of the golden file, each parameter by its attributes, in alphabetical order."""
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn")
    net = mx.sym.LeakyReLU(net, act_type="prelu", name="act")
    bias = mx.sym.Variable("fc2_bias", init=mx.init.Constant(0.5))
    net = mx.sym.FullyConnected(net, bias=bias, num_hidden=2, name="fc2")
    net = mx.sym.SoftmaxOutput(net, name="softmax")
    golden, attributes = GOLDEN["module_example"], net.attr_dict()
    recorder = Recorder()
    for kind in ("arg_params", "aux_params"):
        for name in sorted(golden[kind]):
            desc = InitDesc(name, attributes.get(name, {}))
            check(golden[kind][name], lambda array, desc=desc: recorder(desc, array))
    assert recorder.called == golden["weight_rule_called_for"]
