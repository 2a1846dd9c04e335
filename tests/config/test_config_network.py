"""``symbol`` in its three forms, and the symbol that is built from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_base import BASE, write_config

import mxtrain.symbol as sym
from mxtrain.config import ConfigErrors, RunSpec, load
from mxtrain.config.graph import build
from mxtrain.config.network import label_names

NODES = BASE[BASE.index("symbol:") : BASE.index("initializer:")]
NET = """\
import mxtrain.symbol as sym


def get_symbol(classes, hidden=8):
    net = sym.FullyConnected(sym.Variable("data"), name="fc", num_hidden=hidden)
    net = sym.FullyConnected(net, name="fc2", num_hidden=classes)
    return sym.SoftmaxOutput(net, name="softmax")


def no_output():
    return sym.FullyConnected(sym.Variable("data"), name="fc", num_hidden=3)


def not_a_symbol():
    return 3


def failing():
    raise ValueError("no luck")
"""


def loaded(folder: Path, symbol: str) -> RunSpec:
    return load(write_config(folder, BASE.replace(NODES, symbol)))


def problems(folder: Path, symbol: str) -> list[str]:
    path = write_config(folder, BASE.replace(NODES, symbol))
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).split("\n")]


def test_the_list_builds_what_python_builds(tmp_path: Path) -> None:
    net = sym.FullyConnected(sym.Variable("data"), name="fc1", num_hidden=8)
    net = sym.Activation(net, name="relu1", act_type="relu")
    net = sym.FullyConnected(net, name="fc2", num_hidden=3)
    net = sym.SoftmaxOutput(net, name="softmax")
    assert build(loaded(tmp_path, NODES).symbol).tojson() == net.tojson()


def test_branches_shared_weights_and_several_outputs(tmp_path: Path) -> None:
    text = """\
symbol:
  - {op: Variable, name: shared, shape: [4, 3], lr_mult: 2, init: {name: xavier, magnitude: 1}}
  - {op: FullyConnected, name: a, num_hidden: 4, inputs: {data: data, weight: shared}}
  - {op: FullyConnected, name: b, num_hidden: 4, inputs: [data, shared, a_bias]}
  - {op: SliceChannel, name: halves, num_outputs: 2, inputs: a}
  - {op: Concat, name: both, inputs: ["halves[1]", b, "halves[0]"]}
  - {op: FullyConnected, name: top, num_hidden: 3, init: {bias: zero}}
  - {op: SoftmaxOutput, name: softmax}
  - {op: BlockGrad, name: features, inputs: both}
"""
    symbol = build(loaded(tmp_path, text).symbol)
    assert symbol.list_outputs() == ["softmax_output", "features_output"]
    assert symbol.list_arguments() == [
        *("data", "shared", "a_bias", "top_weight", "top_bias", "softmax_label"),
    ]
    shapes, outputs, _ = symbol.infer_shape(data=(5, 3))
    assert outputs == [(5, 3), (5, 8)]
    assert shapes[1] == (4, 3)
    attributes = symbol.attr_dict()
    assert attributes["shared"]["__lr_mult__"] == "2"
    assert "xavier" in attributes["shared"]["__init__"]
    assert "zero" in attributes["top_bias"]["__init__"]
    assert label_names(symbol) == ["softmax_label"]


def test_a_label_may_be_the_data(tmp_path: Path) -> None:
    text = """\
symbol:
  - {op: FullyConnected, num_hidden: 2}
  - {op: FullyConnected, num_hidden: 4}
  - {op: LinearRegressionOutput, inputs: {data: fullyconnected1, label: data}}
"""
    spec = load(
        write_config(
            tmp_path,
            BASE.replace(NODES, text)
            .replace(", label: digit", "")
            .replace("[accuracy, ce]", "mse"),
        )
    )
    assert build(spec.symbol).list_arguments()[0] == "data"


@pytest.mark.parametrize(
    ("nodes", "line"),
    [
        (
            "{op: SliceChannel, name: s, num_outputs: 3}, {op: SoftmaxOutput}",
            "7:55: symbol[1].inputs: 's' has 3 outputs; choose one of 's[0]' to 's[2]'",
        ),
        (
            "{op: SliceChannel, name: s, num_outputs: 3}, {op: SoftmaxOutput, inputs: s}",
            "7:83: symbol[1].inputs: 's' has 3 outputs; choose one of 's[0]' to 's[2]'",
        ),
        (
            "{op: SliceChannel, name: s, num_outputs: 3}, {op: SoftmaxOutput, inputs: 's[3]'}",
            "7:83: symbol[1].inputs: 's' has 3 output(s), counted from 0; received s[3]",
        ),
        (
            "{op: Variable, name: w}, {op: SoftmaxOutput}",
            "7:10: symbol.w: no node reads this variable; remove it or name it as input",
        ),
        (
            "{op: Variable, name: w, inputs: data}, {op: SoftmaxOutput, inputs: w}",
            "7:42: symbol.w.inputs: a Variable has no inputs",
        ),
        (
            "{op: Flatten, name: data}, {op: SoftmaxOutput}",
            "7:30: symbol.data.name: 'data' is the input of the network; choose another name",
        ),
        (
            "{op: Flatten, name: 'x[0]'}, {op: SoftmaxOutput}",
            "7:30: symbol.x[0].name: 'x[0]' cannot be a name; use letters and digits",
        ),
        (
            "{op: Flatten, num_args: 1}, {op: SoftmaxOutput}",
            "7:24: symbol[0].num_args: the inputs are counted; leave it out",
        ),
        (
            "{op: BlockGrad, name: b}",
            "7:9: symbol: no output to learn from; end it with SoftmaxOutput, SVMOutput,"
            " LinearRegressionOutput, LogisticRegressionOutput, MAERegressionOutput or MakeLoss",
        ),
    ],
)
def test_mistakes_in_lists(tmp_path: Path, nodes: str, line: str) -> None:
    assert problems(tmp_path, f"symbol: [{nodes}]\n") == [line]


def test_a_network_from_a_file(tmp_path: Path) -> None:
    net = sym.FullyConnected(sym.Variable("data"), name="fc", num_hidden=3)
    sym.SoftmaxOutput(net, name="softmax").save(str(tmp_path / "net-symbol.json"))
    net.save(str(tmp_path / "open.json"))
    (tmp_path / "broken.json").write_text("{")
    spec = loaded(tmp_path, "symbol: {file: net-symbol.json}\n")
    assert build(spec.symbol).list_outputs() == ["softmax_output"]
    assert [metric.name for metric in spec.fit.metrics] == ["accuracy", "crossentropy"]
    (line,) = problems(tmp_path, "symbol: {file: open.json}\n")
    assert line.startswith("7:9: symbol: ends with 'fc' (FullyConnected), no output to learn from")
    (line,) = problems(tmp_path, "symbol: {file: broken.json}\n")
    assert line.startswith("7:9: symbol: ")
    assert "broken.json" in line


def test_a_network_from_python(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    spec = loaded(tmp_path, "symbol: {python: net.py, classes: 3}\n")
    assert build(spec.symbol).list_arguments()[-1] == "softmax_label"


@pytest.mark.parametrize(
    ("symbol", "line"),
    [
        (
            "{python: nett.py}",
            "7:18: symbol.python: no such file 'nett.py' (did you mean 'net.py'?)",
        ),
        (
            "{python: net.py, function: get_symbl}",
            "7:18: symbol.python: no function 'get_symbl' in the file (did you mean 'get_symbol'?)",
        ),
        (
            "{python: net.py, clases: 3}",
            "7:26: symbol.clases: unknown argument of get_symbol() (did you mean 'classes'?)",
        ),
        ("{python: net.py}", "7:9: symbol.classes: missing: get_symbol() needs this argument"),
        (
            "{python: net.py, function: failing}",
            "7:9: symbol: raised ValueError: no luck (line 19)",
        ),
        (
            "{python: net.py, function: not_a_symbol}",
            "7:9: symbol: not_a_symbol() must return a symbol, it returned 3",
        ),
    ],
)
def test_mistakes_with_python(tmp_path: Path, symbol: str, line: str) -> None:
    (tmp_path / "net.py").write_text(NET)
    assert problems(tmp_path, f"symbol: {symbol}\n")[0] == line


def test_shapes_are_checked_only_as_far_as_a_header_tells(tmp_path: Path) -> None:
    net = "[{op: Reshape, shape: [0, 4]}, {op: SoftmaxOutput}]"
    (tmp_path / "images.idx").write_bytes(b"")
    path = write_config(tmp_path, BASE.replace(NODES, f"symbol: {net}\n"))
    with pytest.raises(ConfigErrors, match=r"7:10: symbol\[0\]|7:10: symbol.reshape0"):
        load(path)
    text = path.read_text().replace(
        "{path: train.csv, label: digit}", "{images: images.idx, labels: images.idx}"
    )
    path.write_text(text.replace("  eval: {path: test.csv}\n", ""))
    assert load(path).data.train.kind == "idx"
