"""FusedRNN against the recorded pieces and values, and by its own rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_initializers import check, of

import mxtrain as mx
from mxtrain.config import ConfigErrors, load, to_yaml
from mxtrain.errors import CallError, ShapeError
from mxtrain.initializer import InitDesc, create
from mxtrain.initializer.draw import UniformDraw

DRAWS = {
    "direct Xavier(factor_type=in, magnitude=2.34) draws": "xavier",
    "attribute None, caller Uniform(0.3) draws": "uniform",
}
recorded = pytest.mark.parametrize("entry", of("fused_rnn"))


def made(entry: dict[str, Any], init: Any) -> Any:
    names = ("num_hidden", "num_layers", "mode", "bidirectional", "forget_bias")
    return mx.init.FusedRNN(init, *(entry[name] for name in names))


def by_attribute(text: str, caller: Any, array: Any) -> None:
    caller(InitDesc("rnn_parameters", {"__init__": text}), array)


@recorded
def test_pieces(entry: dict[str, Any]) -> None:
    pieces = made(entry, None).pieces((entry["size"],))
    expected = [(p["name"], tuple(p["shape"]), p["start"]) for p in entry["pieces"]]
    assert [tuple(piece) for piece in pieces] == expected
    assert pieces[-1].stop == entry["size"]


@recorded
def test_values(entry: dict[str, Any]) -> None:
    direct = made(entry, mx.init.Constant(3))
    check(entry["direct Constant(3)"], lambda array: direct(InitDesc("rnn_weight"), array))
    text = made(entry, None).dumps()
    result = entry["attribute None, caller One()"]
    check(result, lambda array: by_attribute(text, mx.init.One(), array))


@recorded
@pytest.mark.parametrize("how", DRAWS)
def test_draws(entry: dict[str, Any], how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[dict[str, Any]] = []
    draw = UniformDraw.draw

    def record(self: Any, shape: Any, dtype: Any) -> Any:
        drawn.append({"high": pytest.approx(self.limit), "shape": list(shape)})
        return draw(self, shape, dtype)

    monkeypatch.setattr(UniformDraw, "draw", record)
    array = np.empty(entry["size"], np.float32)
    if DRAWS[how] == "xavier":
        made(entry, mx.init.Xavier(factor_type="in", magnitude=2.34))(InitDesc("r_weight"), array)
    else:
        by_attribute(made(entry, None).dumps(), mx.init.Uniform(0.3), array)
    assert [{key: each[key] for key in ("high", "shape")} for each in entry[how]] == drawn


@recorded
def test_text_with_an_inner_initializer_differs_on_purpose(entry: dict[str, Any]) -> None:
    """The reference cannot read its own text; ours fills as the direct call does."""
    assert entry["attribute with inner Constant(3)"] == {"error": "KeyError"}
    initializer = made(entry, mx.init.Constant(3))
    assert create(initializer.dumps()) == initializer
    result = entry["direct Constant(3)"]
    check(result, lambda array: by_attribute(initializer.dumps(), mx.init.One(), array))


@pytest.mark.parametrize("inner", ["uniform", '["uniform", {"scale": 0.07}]', {"name": "uniform"}])
def test_the_inner_initializer_in_every_form(inner: Any) -> None:
    initializer = mx.init.FusedRNN(inner, 4, 1, "gru")
    assert initializer == mx.init.FusedRNN(mx.init.Uniform(), 4, 1, "gru")
    assert json.loads(initializer.dumps())[1]["init"] == '["uniform", {"scale": 0.07}]'


def test_what_goes_wrong() -> None:
    with pytest.raises(ValueError, match="mode is one of rnn_relu, rnn_tanh, lstm, gru, not 'gr'"):
        mx.init.FusedRNN(None, 4, 1, "gr")
    with pytest.raises(ValueError, match="num_hidden=0"):
        mx.init.FusedRNN(None, 0, 1, "gru")
    initializer = mx.init.FusedRNN("one", 2, 1, "lstm")
    for shape in ((55,), (32,), (7, 8)):
        with pytest.raises(ShapeError, match=r"32 \+ 8 \* inputs.*has shape"):
            initializer(InitDesc("r_weight"), np.empty(shape))
    with pytest.raises(CallError, match="no init"):
        mx.init.FusedRNN(None, 2, 1, "lstm")(InitDesc("r_weight"), np.empty(56))


def test_words() -> None:
    words = "FusedRNN: gru parameters by Xavier"
    assert mx.init.FusedRNN("xavier", 2, 1, "gru").rule_for("r_weight") == words
    assert "network" in mx.init.FusedRNN(None, 2, 1, "gru").rule_for("r_weight")


CONFIG = """\
data: {train: {path: train.csv, label: y}, batch_size: 2}
symbol:
  - {op: FullyConnected, name: fc, num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax}
initializer: {name: fusedrnn, init: INIT, num_hidden: 2, num_layers: 1, mode: gru}
"""


@pytest.mark.parametrize(
    ("init", "wanted"),
    [
        ("{name: uniform, scale: 0.5}", mx.init.Uniform(0.5)),
        ("one", mx.init.One()),
        ("null", None),
    ],
)
def test_the_inner_initializer_in_a_config(init: str, wanted: Any, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,y\n1,0\n2,1\n")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG.replace("INIT", init))
    spec = load(path)
    made = create(spec.initializer.name, **spec.initializer.settings)
    assert made == mx.init.FusedRNN(wanted, 2, 1, "gru")
    path.write_text(to_yaml(spec, tmp_path))
    assert load(path) == spec
    path.write_text(CONFIG.replace("INIT", "{name: uniform, skale: 0.5}"))
    with pytest.raises(ConfigErrors, match=r"initializer.init.skale: .*did you mean 'scale'"):
        load(path)
