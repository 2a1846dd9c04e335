"""Every operator in float16 beside itself in float32: the cases of golden/ops, on each backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_golden_ops import CASES, PRESENT, build, heads, stored

# Half a unit in the last place of float16 is 5e-4; an operator rounds a few times.
TOLERANCE = 4e-3
GIVES_THE_TYPE_IT_IS_TOLD = ("Cast", "one_hot")


def takes_floats(case: dict[str, Any]) -> bool:
    """Whether all that a case takes and gives is float32."""
    arrays = [*case["inputs"], *case["outputs"]]
    return case["dtype"] == "float32" and all(item["dtype"] == "float32" for item in arrays)


def run(case: dict[str, Any], dtype: str) -> dict[str, np.ndarray]:
    """Outputs and gradients in a type, from numbers that float16 can hold."""
    net, given = build(case), stored(case, "in")
    names = [item["name"] for item in case["inputs"]]
    typed = names[:1] if case["op"] == "BatchNorm" else names  # its vectors are float32
    types, _, _ = net.infer_type(**dict.fromkeys(typed, dtype))
    executor = net.simple_bind(
        grad_req={item["name"]: "write" if item["grad"] else "null" for item in case["inputs"]},
        type_dict=dict(zip(net.list_arguments(), types, strict=True)),
        **{name: given[name].shape for name in names},
    )
    for name in names:
        executor.arg_dict[name][:] = given[name].astype("float16")
    for item in case["aux"]:
        executor.aux_dict[f"op_{item['name']}"][:] = given[item["name"]].astype("float16")
    executor.forward(is_train=case["is_train"])
    if case["head_gradient"] != "no backward":
        given_heads = heads(case)
        executor.backward(given_heads and [head.astype("e").astype(dtype) for head in given_heads])
    found = {f"out/{i}": out.asnumpy() for i, out in enumerate(executor.outputs)}
    return found | {
        f"grad/{k}": v.asnumpy() for k, v in executor.grad_dict.items() if v is not None
    }


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("name", [name for name in PRESENT if takes_floats(CASES[name])])
def test_float16_is_float32_rounded(name: str) -> None:
    found, wanted = (run(CASES[name], dtype) for dtype in ("float16", "float32"))
    for key, value in wanted.items():
        limits = {"rtol": TOLERANCE, "atol": TOLERANCE}
        np.testing.assert_allclose(found[key].astype("d"), value, err_msg=key, **limits)
    if CASES[name]["op"] not in GIVES_THE_TYPE_IT_IS_TOLD:
        assert found["out/0"].dtype == np.float16
