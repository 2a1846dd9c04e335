"""After the first step no layer allocates arrays any more."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from mxtrain import symbol as sym

SHAPE = (256, 8, 16, 16)  # 2 MiB of float32
ALLOWED = SHAPE[0] * SHAPE[1] * SHAPE[2] * SHAPE[3] * 4 // 8

LAYERS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("LeakyReLU", {"act_type": kind})
        for kind in ("leaky", "prelu", "elu", "selu", "gelu", "rrelu")
    ),
    *(("Dropout", attrs) for attrs in ({}, {"axes": (2, 3)}, {"mode": "always"})),
    *(("BatchNorm", attrs) for attrs in ({}, {"fix_gamma": False, "output_mean_var": True})),
    ("BatchNorm", {"fix_gamma": False, "use_global_stats": True}),
    ("LayerNorm", {}),
    ("LayerNorm", {"axis": 1, "output_mean_var": True}),
    *(("L2Normalization", {"mode": mode}) for mode in ("instance", "channel", "spatial")),
    *(("softmax", attrs) for attrs in ({}, {"axis": 1, "temperature": 2.0}, {"use_length": True})),
    *(("log_softmax", attrs) for attrs in ({}, {"axis": 1, "temperature": 2.0})),
    *(("SoftmaxActivation", {"mode": mode}) for mode in ("instance", "channel")),
    *(("SoftmaxOutput", attrs) for attrs in ({}, {"multi_output": True, "use_ignore": True})),
    ("SoftmaxOutput", {"preserve_shape": True, "normalization": "valid", "smooth_alpha": 0.1}),
    *((f"{kind}RegressionOutput", {}) for kind in ("Linear", "Logistic", "MAE")),
    *(("SVMOutput", {"use_linear": linear}) for linear in (False, True)),
    *(("MakeLoss", {"normalization": kind}) for kind in ("null", "batch", "valid")),
    *(("UpSampling", {"scale": s, "sample_type": "nearest"}) for s in (2, 3)),
    *(
        ("UpSampling", {"scale": s, "sample_type": "bilinear", "num_filter": SHAPE[1]})
        for s in (2, 3)
    ),
    *((name, {}) for name in ("make_loss", "BlockGrad", "identity", "smooth_l1")),
]


@pytest.mark.parametrize("is_train", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("op", "attrs"), LAYERS, ids=str)
def test_no_array_is_allocated(op: str, attrs: dict[str, Any], is_train: bool) -> None:
    net = getattr(sym, op)(sym.Variable("data"), name="op", **attrs)
    executor = net.simple_bind(data=SHAPE)
    executor.arg_dict["data"][:] = np.random.default_rng(0).normal(size=SHAPE)
    heads = [np.ones(out.shape, np.float32) for out in executor.outputs]

    def step() -> None:
        executor.forward(is_train=is_train)
        executor.backward(heads)

    step()
    tracemalloc.start()
    step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < ALLOWED
