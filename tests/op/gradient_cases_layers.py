"""Gradient cases of the layers and losses, for `test_gradients.py`.

A case has the operator, its attributes, its inputs (a shape is filled with normal numbers), the
inputs to differentiate for, and, where given: auxiliary arrays by name, and `loss`, which gives
from (outputs, inputs) the number whose gradient the operator starts, whatever head arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mxtrain.op import create

Case = dict[str, Any]

# Operators without a case, and why.
WITHOUT_GRADIENT = {
    "BlockGrad": "its gradient is 0 by definition: test_golden_ops.py, misc_15",
    "Dropout": "draws a new mask each time: test_golden_ops.py, test_random_layers.py",
}
STATISTICS = {"moving_mean": np.array([0.5, -1.0, 0.2]), "moving_var": np.array([0.5, 2.0, 1.3])}
# Away from 0 and from 1, where some of the functions have a corner.
CORNERLESS = np.array([[-2.0, -0.6, 0.3, 0.8], [1.7, -0.2, -1.4, 0.1], [2.4, -3.0, 0.5, -0.7]])
CLASSES = np.array([0.0, 2.0, 1.0, 2.0])


def case(op: str, inputs: dict[str, Any], wrt: list[str] | None = None, **rest: Any) -> Case:
    aux, loss = rest.pop("aux", {}), rest.pop("loss", None)
    wanted = wrt if wrt is not None else list(inputs)
    return {"op": op, "attrs": rest, "inputs": inputs, "wrt": wanted, "aux": aux, "loss": loss}


def reported(op: str, factor: float, **attrs: Any) -> Callable[..., float]:
    """The loss that `fit` reports, summed over the rows, times the documented factor."""
    operator = create(op, {key: str(value) for key, value in attrs.items()})

    def loss(outputs: list[np.ndarray], inputs: dict[str, np.ndarray]) -> float:
        return factor * operator.loss(np, outputs[0], inputs.get("label"))[0]

    return loss


def loss_case(op: str, data: Any, label: Any, factor: float = 1, **attrs: Any) -> Case:
    inputs = {"data": data} if label is None else {"data": data, "label": label}
    return case(op, inputs, ["data"], loss=reported(op, factor, **attrs), **attrs)


def smoothed_entropy(outputs: list[np.ndarray], inputs: dict[str, np.ndarray]) -> float:
    """Cross-entropy against 0.7 on the class and 0.1 on each of the three others."""
    p, label = outputs[0], inputs["label"].astype(int)
    target = np.full(p.shape, 0.1)
    target[np.arange(len(p)), label] = 0.7
    return float(-(target * np.log(p)).sum())


LAYERS = [
    case("FullyConnected", {"data": (3, 4), "weight": (2, 4), "bias": (2,)}, num_hidden=2),
    case("FullyConnected", {"data": (2, 2, 3), "weight": (4, 6)}, num_hidden=4, no_bias=True),
    case(
        "FullyConnected",
        {"data": (2, 2, 3), "weight": (4, 3), "bias": (4,)},
        num_hidden=4,
        flatten=False,
    ),
    *(
        case("Activation", {"data": CORNERLESS}, act_type=kind)
        for kind in ("relu", "sigmoid", "tanh", "softrelu", "softsign")
    ),
    *(
        case("LeakyReLU", {"data": CORNERLESS}, act_type=kind, slope=0.3)
        for kind in ("leaky", "elu", "selu", "gelu")
    ),
    case("LeakyReLU", {"data": CORNERLESS, "gamma": (4,)}, act_type="prelu"),
    case("LeakyReLU", {"data": CORNERLESS, "gamma": (1,)}, act_type="prelu"),
    case("LeakyReLU", {"data": (2, 3, 2, 2), "gamma": (3,)}, act_type="prelu"),
    case("LeakyReLU", {"data": (4,), "gamma": (1,)}, act_type="prelu"),
]

NORMALIZATIONS = [
    case("BatchNorm", {"data": (5, 3), "gamma": (3,), "beta": (3,)}, fix_gamma=False),
    case("BatchNorm", {"data": (4, 3, 2, 2), "gamma": (3,), "beta": (3,)}, fix_gamma=False),
    case("BatchNorm", {"data": (2, 4, 3), "gamma": (3,), "beta": (3,)}, fix_gamma=False, axis=-1),
    case("BatchNorm", {"data": (3, 4), "gamma": (3,), "beta": (3,)}, fix_gamma=False, axis=0),
    case("BatchNorm", {"data": (5, 3), "gamma": np.ones(3), "beta": (3,)}, ["data", "beta"]),
    case(
        "BatchNorm",
        {"data": (5, 3), "gamma": (3,), "beta": (3,)},
        fix_gamma=False,
        use_global_stats=True,
        aux=STATISTICS,
    ),
    case("LayerNorm", {"data": (3, 4), "gamma": (4,), "beta": (4,)}),
    case("LayerNorm", {"data": (2, 3, 4), "gamma": (3,), "beta": (3,)}, axis=1, eps=0.1),
    case("LayerNorm", {"data": (5,), "gamma": (5,), "beta": (5,)}),
    *(case("L2Normalization", {"data": (2, 3, 4)}, mode=m) for m in ("instance", "channel")),
    case("L2Normalization", {"data": (2, 3, 2, 2)}, mode="spatial", eps=0.5),
]

SOFTMAXES = [
    *(
        case(op, {"data": (2, 3, 4)}, **attrs)
        for op in ("softmax", "log_softmax")
        for attrs in ({}, {"axis": 1}, {"axis": 0, "temperature": 2.5})
    ),
    case("softmax", {"data": (5,)}),
    case(
        "softmax",
        {"data": (3, 4), "length": np.array([2.0, 4.0, 0.0])},
        ["data"],
        use_length=True,
    ),
    case("SoftmaxActivation", {"data": (2, 3, 2)}),
    case("SoftmaxActivation", {"data": (2, 3, 2)}, mode="channel"),
]

UPSAMPLINGS = [
    *(
        case("UpSampling", {"data": (2, 2, 2, 3)}, scale=scale, sample_type="nearest")
        for scale in (1, 2, 3)
    ),
    *(
        case(
            "UpSampling",
            {"first": (2, 2, 1, 2), "second": (2, 2, 2, 4), "third": (2, 2, 4, 8)},
            scale=4,
            sample_type="nearest",
            multi_input_mode=mode,
        )
        for mode in ("concat", "sum")
    ),
    *(
        case(
            "UpSampling",
            {"data": (2, 2, 2, 3), "weight": (2, 1, length, length)},
            scale=scale,
            sample_type="bilinear",
            num_filter=2,
        )
        for scale, length in ((1, 1), (2, 4), (3, 5), (4, 8))
    ),
]

OTHERS = [
    case("identity", {"data": (2, 3)}),
    *(case("smooth_l1", {"data": CORNERLESS}, scalar=s) for s in (1.0, 1.5, 0.0)),
]

LOSSES = [
    loss_case("SoftmaxOutput", (4, 3), CLASSES),
    loss_case("SoftmaxOutput", (4, 3), CLASSES, 2.5, grad_scale=2.5),
    loss_case("SoftmaxOutput", (4, 3), CLASSES, 0.25, normalization="batch"),
    loss_case(
        "SoftmaxOutput",
        (4, 3),
        CLASSES,
        0.5,
        normalization="valid",
        use_ignore=True,
        ignore_label=2,
    ),
    loss_case("SoftmaxOutput", (2, 3, 2), np.array([[0.0, 2], [1, 1]]), 1 / 2, multi_output=True),
    loss_case("SoftmaxOutput", (2, 2, 3), np.array([[0.0, 2], [1, 1]]), preserve_shape=True),
    loss_case("SoftmaxOutput", (4, 2), np.array([[0.3, 0.7]] * 4)),
    case(
        "SoftmaxOutput",
        {"data": (4, 4), "label": np.array([0.0, 3, 1, 1])},
        ["data"],
        smooth_alpha=0.3,
        loss=smoothed_entropy,
    ),
    loss_case("LinearRegressionOutput", (4, 3), (4, 3), 0.5),
    loss_case("LinearRegressionOutput", (5, 1), (5,), 1.5, grad_scale=3.0),
    loss_case("LogisticRegressionOutput", (4, 3), np.eye(4, 3)),
    loss_case("LogisticRegressionOutput", (2, 3, 2), np.full((2, 6), 0.3)),
    loss_case("MAERegressionOutput", (4, 3), (4, 3)),
    loss_case("MAERegressionOutput", (5, 1), (5,), 2.0, grad_scale=2.0),
    *(
        loss_case("SVMOutput", (4, 3), CLASSES, use_linear=linear, **attrs)
        for linear in (False, True)
        for attrs in ({}, {"margin": 0.5, "regularization_coefficient": 2.0})
    ),
    loss_case("MakeLoss", (4, 3), None),
    loss_case("MakeLoss", (4, 2, 3), None, 2 / 8, grad_scale=2.0, normalization="batch"),
    loss_case("MakeLoss", np.ones((2, 3)), None, 1 / 6, normalization="valid", valid_thresh=0.5),
    loss_case("make_loss", (4, 3), None),
]

CASES = LAYERS + NORMALIZATIONS + SOFTMAXES + UPSAMPLINGS + OTHERS + LOSSES
