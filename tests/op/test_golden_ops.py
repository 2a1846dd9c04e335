"""Every operator against MXNet 1.9.1: the cases of golden/ops, through the executor."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError
from mxtrain.op import registry

FOLDER = Path(__file__).parent.parent / "golden" / "ops"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
CASES = {case["id"]: case for case in MANIFEST["cases"]}
PRESENT = [name for name, case in CASES.items() if case["op"] in registry]
ABSENT = sorted({case["op"] for case in CASES.values() if case["op"] not in registry})

TOLERANCE = {"float32": 2e-5, "float64": 1e-7}

# What is to come: operators of the goldens that the registry need not hold yet.
NOT_YET_THERE = {
    "Convolution",
    "Deconvolution",
    "InstanceNorm",
    "LRN",
    "Pooling",
    "RNN",
    "SequenceLast",
    "SequenceMask",
    "SequenceReverse",
}

# Arrays of a case that MXNet computes otherwise, and why. Each has a test below of what we do.
SELU = "MXNet's gradient for x <= 0 is lambda*(alpha + y); the derivative is lambda*alpha + y"
OUT_GRAD = "MXNet multiplies by the output where out_grad asks for the head gradient"
DIFFERS_ON_PURPOSE = {
    "LeakyReLU_13_selu_f32": ("grad/data", SELU),
    "LeakyReLU_14_selu_f64": ("grad/data", SELU),
    "SoftmaxOutput_36_out_grad_f32": ("grad/data", OUT_GRAD),
    "SoftmaxOutput_37_out_grad_prob_f32": ("grad/data", OUT_GRAD),
    "SoftmaxOutput_38_out_grad_multi_f32": ("grad/data", OUT_GRAD),
}
BEFORE_ADD = 0.5


@cache
def archive(file: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / file) as stored:
        return dict(stored)


def array(case: dict[str, Any], key: str) -> np.ndarray:
    return archive(case["file"])[f"{case['id']}/{key}"]


def stored(case: dict[str, Any], kind: str) -> dict[str, np.ndarray]:
    """The arrays ``<id>/<kind>/<name>`` by name."""
    start = f"{case['id']}/{kind}/"
    return {
        k.removeprefix(start): v for k, v in archive(case["file"]).items() if k.startswith(start)
    }


def build(case: dict[str, Any]) -> Any:
    attrs = {k: tuple(v) if isinstance(v, list) else v for k, v in case["attrs"].items()}
    variables = {item["name"]: sym.Variable(item["name"]) for item in case["inputs"]}
    operator = getattr(sym, case["op"])
    if case["call"] == "positional":
        return operator(*variables.values(), name="op", **attrs)
    return operator(**variables, name="op", **attrs)


def bind(case: dict[str, Any], net: Any) -> Any:
    given = stored(case, "in")
    inputs = {item["name"]: given[item["name"]].copy() for item in case["inputs"]}
    start = BEFORE_ADD if case["grad_req"] == "add" else np.nan
    gradients = {
        item["name"]: np.full_like(inputs[item["name"]], start)
        for item in case["inputs"]
        if item["grad"]
    }
    aux = {f"op_{item['name']}": given[item["name"]].copy() for item in case["aux"]}
    return net.bind(None, inputs, gradients, case["grad_req"], aux)


def heads(case: dict[str, Any]) -> list[np.ndarray] | None:
    if case["head_gradient"] == "none":
        return None
    return [array(case, f"out_grad/{i}") for i in range(len(case["outputs"]))]


def run(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """Run all steps of a case and return every array it has, by golden key."""
    executor = bind(case, build(case))
    found: dict[str, np.ndarray] = {}
    for _ in range(case["steps"]):
        executor.forward(is_train=case["is_train"])
        for key, value in _aux(executor):
            found.setdefault(f"aux_after_forward/{key}", value)
        if case["head_gradient"] != "no backward":
            executor.backward(heads(case))
    found |= {f"out/{i}": out.asnumpy() for i, out in enumerate(executor.outputs)}
    found |= {f"grad/{k}": v.asnumpy() for k, v in executor.grad_dict.items() if v is not None}
    found |= {f"in_after/{k}": v.asnumpy() for k, v in executor.arg_dict.items()}
    return found | {f"aux_after/{k}": v for k, v in _aux(executor)}


def _aux(executor: Any) -> list[tuple[str, np.ndarray]]:
    return [(k.removeprefix("op_"), v.asnumpy()) for k, v in executor.aux_dict.items()]


def expected(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """Every array a case must give; what was not stored again has not changed."""
    kinds = ("out", "grad", "in_after", "aux_after_forward", "aux_after")
    wanted = {f"{kind}/{k}": v for kind in kinds for k, v in stored(case, kind).items()}
    before = stored(case, "in")
    for item in case["inputs"]:
        wanted.setdefault(f"in_after/{item['name']}", before[item["name"]])
    for item in case["aux"]:
        wanted.setdefault(f"aux_after_forward/{item['name']}", before[item["name"]])
    return wanted


def is_close(found: np.ndarray, wanted: np.ndarray, dtype: str) -> bool:
    with np.errstate(invalid="ignore"):
        error = np.abs(found - wanted) / (1 + np.abs(wanted))
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    return bool(np.all(same | (error <= TOLERANCE[dtype])))


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("name", PRESENT)
def test_numbers(name: str) -> None:
    case = CASES[name]
    found, wanted = run(case), expected(case)
    different = DIFFERS_ON_PURPOSE.get(name, ("",))[0]
    for key, value in wanted.items():
        assert found[key].shape == value.shape, key
        assert found[key].dtype == value.dtype, key
        close = is_close(found[key], value, case["dtype"])
        assert close == (key != different), f"{key}:\n{found[key]}\nexpected\n{value}"


@pytest.mark.parametrize("name", PRESENT)
def test_graph(name: str) -> None:
    """The node's attribute texts, and the names, shapes and types of what it gives."""
    case = CASES[name]
    net = build(case)
    assert net.list_attr() == case["attr_strings"]
    assert net.list_arguments() == [item["name"] for item in case["inputs"]]
    assert net.list_auxiliary_states() == [f"op_{item['name']}" for item in case["aux"]]
    count = len(case["outputs"])
    names = net.list_outputs()
    assert names[:count] == [item["name"] for item in case["outputs"]]
    assert len(names) == count or "mask" in case.get("note", "") or "rrelu" in name
    _, shapes, _ = net.infer_shape(**{i["name"]: tuple(i["shape"]) for i in case["inputs"]})
    assert [list(shape) for shape in shapes[:count]] == [i["shape"] for i in case["outputs"]]
    _, types, _ = net.infer_type(**{i["name"]: i["dtype"] for i in case["inputs"]})
    assert [np.dtype(t).name for t in types[:count]] == [i["dtype"] for i in case["outputs"]]


@pytest.mark.parametrize("name", [n for n in PRESENT if CASES[n].get("ignores_head_gradient")])
def test_head_gradient_is_ignored(name: str) -> None:
    case = CASES[name]
    executor = bind(case, build(case))
    executor.forward(is_train=case["is_train"])
    executor.backward()
    alone = {k: v.asnumpy() for k, v in executor.grad_dict.items()}
    random = np.random.default_rng(0)
    executor.backward([random.normal(size=out.shape) for out in executor.outputs])
    for key, value in executor.grad_dict.items():
        np.testing.assert_array_equal(value, alone[key], err_msg=key)


@pytest.mark.parametrize("name", [n for n in PRESENT if CASES[n]["head_gradient"] == "given"])
def test_head_gradient_is_required(name: str) -> None:
    case = CASES[name]
    executor = bind(case, build(case))
    executor.forward(is_train=case["is_train"])
    if case["op"] == "BlockGrad":
        executor.backward()
        return
    with pytest.raises(MXNetError, match="head gradient must be given"):
        executor.backward()


@pytest.mark.parametrize("name", [n for n in PRESENT if CASES[n]["grad_req"] == "write"])
def test_gradient_may_be_added(name: str) -> None:
    """grad_req add gives what write gives, plus what was there (MXNet fails so for some losses)."""
    case = CASES[name]
    written, added = run(case), run({**case, "grad_req": "add", "steps": 1})
    for item in case["inputs"]:
        key = f"grad/{item['name']}"
        if item["grad"] and case["steps"] == 1:
            total = written[key] + written[key].dtype.type(BEFORE_ADD)
            np.testing.assert_allclose(added[key], total, rtol=1e-5, atol=1e-6, err_msg=key)


def test_operators_not_yet_there(say_counts: Any) -> None:
    """Says which operators of the goldens are missing, and how many cases wait for them."""
    waiting = [name for name, case in CASES.items() if case["op"] not in registry]
    counts = f"{len(PRESENT) - len(DIFFERS_ON_PURPOSE)} of {len(CASES)} cases match"
    counts += f", {len(DIFFERS_ON_PURPOSE)} differ on purpose, {len(waiting)} wait for operators"
    say_counts("ops", f"{counts} not yet there ({', '.join(ABSENT) or 'none'})")
    assert len(PRESENT) + len(waiting) == len(CASES) == 416
    assert set(ABSENT) <= NOT_YET_THERE


def test_every_purposeful_difference_is_a_case() -> None:
    assert set(DIFFERS_ON_PURPOSE) <= set(CASES)


@pytest.mark.parametrize("name", [n for n in DIFFERS_ON_PURPOSE if "selu" in n])
def test_selu_gradient_is_the_derivative(name: str) -> None:
    case = CASES[name]
    x, g = (array(case, key).astype(np.float64) for key in ("in/data", "out_grad/0"))
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    derivative = scale * np.where(x > 0, 1, alpha * np.exp(x))
    assert is_close(run(case)["grad/data"], g * derivative, case["dtype"])


@pytest.mark.parametrize("name", [n for n in DIFFERS_ON_PURPOSE if "out_grad" in n])
def test_out_grad_multiplies_by_the_head_gradient(name: str) -> None:
    case = CASES[name]
    without = {k: v for k, v in case["attrs"].items() if k != "out_grad"}
    plain = run({**case, "attrs": without, "head_gradient": "none"})
    product = plain["grad/data"] * array(case, "out_grad/0")
    assert is_close(run(case)["grad/data"], product, case["dtype"])


@pytest.mark.parametrize("row", MANIFEST["reshape"]["ok"], ids=str)
def test_reshape_codes(row: dict[str, Any]) -> None:
    net = sym.Reshape(sym.Variable("data"), shape=tuple(row["shape"]), reverse=row["reverse"])
    _, shapes, _ = net.infer_shape(data=tuple(row["data_shape"]))
    assert list(shapes[0]) == row["out_shape"]
    x = np.arange(np.prod(row["data_shape"]), dtype=np.float32).reshape(row["data_shape"])
    (out,) = net.eval(data=x)
    np.testing.assert_array_equal(out, x.reshape(row["out_shape"]))


@pytest.mark.parametrize("row", MANIFEST["reshape"]["errors"], ids=lambda row: row["why"][:30])
def test_reshape_codes_refused(row: dict[str, Any]) -> None:
    with pytest.raises(MXNetError):
        net = sym.Reshape(sym.Variable("data"), shape=tuple(row["shape"]))
        net.infer_shape(data=tuple(row["data_shape"]))


DROPOUT = [row for row in MANIFEST["dropout_property"] if "p" in row]


@pytest.mark.parametrize("row", DROPOUT, ids=lambda r: f"{r['p']}-{r['mode']}-{r['is_train']}")
def test_dropout(row: dict[str, Any]) -> None:
    net = sym.Dropout(sym.Variable("data"), p=row["p"], mode=row["mode"], name="op")
    executor = net.simple_bind(data=(200, 200))
    executor.forward(is_train=row["is_train"], data=np.full((200, 200), 3.0))
    out = executor.outputs[0].asnumpy()
    if row["kept_fraction"] is None:
        assert np.isnan(out).all()
        return
    kept = out != 0
    deviation = (row["p"] * (1 - row["p"]) / out.size) ** 0.5
    assert abs(kept.mean() - row["kept_fraction"]) <= 8 * deviation
    np.testing.assert_allclose(out[kept], 3 * row["scale_of_kept"], rtol=1e-6)
    if row.get("gradient_is_head_times_mask"):
        head = np.random.default_rng(0).normal(size=out.shape).astype(np.float32)
        executor.backward(head)
        np.testing.assert_allclose(executor.grad_dict["data"], head * out / 3, rtol=1e-6)


@pytest.mark.parametrize("row", [r for r in MANIFEST["dropout_property"] if "p" not in r], ids=str)
def test_dropout_mask_is_shared_along_axes(row: dict[str, Any]) -> None:
    assert row["mask_shared_along_axis"]
    net = sym.Dropout(sym.Variable("data"), axes=tuple(row["axes"]))
    executor = net.simple_bind(data=(40, 30, 20))
    executor.forward(is_train=True, data=np.ones((40, 30, 20)))
    out = executor.outputs[0].asnumpy()
    for axis in range(3):
        spread = np.ptp(out, axis=axis)
        assert (spread == 0).all() == (axis in row["axes"])
