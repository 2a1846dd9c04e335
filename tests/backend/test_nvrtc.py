"""Generated CUDA C++ is compiled by NVIDIA's compiler, where that is installed."""

from __future__ import annotations

import numpy as np
import nvrtc
import pytest

from mxtrain import optimizer
from mxtrain.backend.compiled.lines import Pointwise, Reduction
from mxtrain.backend.cuda.kernel import Kernel, over_elements
from mxtrain.backend.cuda.pieces import pointwise, reduction
from mxtrain.backend.cuda.rules import rule
from mxtrain.backend.cuda.steps import gather, keep, look, move_on
from mxtrain.optimizer.tracing import rule_of

pytestmark = pytest.mark.skipif(
    nvrtc.library() is None, reason="no compiler for CUDA: pip install nvidia-cuda-nvrtc-cu12"
)
TYPES = ("float16", "float32", "float64")


def kernels() -> dict[str, Kernel]:
    made = {"counted": move_on(8)}
    scaling = np.zeros(3), np.ones(3)
    images = np.zeros((4, 3), np.uint8)
    made["gathered bytes"] = gather(images, np.zeros((2, 3), np.float32), 8, 8, scaling)
    for name in TYPES:
        a, b, row = (np.zeros(shape, name) for shape in ((4, 3), (4, 3), (3,)))
        made[f"look {name}"] = look(a, 8)
        made[f"keep {name}"] = keep(a, 8, 8)
        made[f"sum {name}"] = reduction(Reduction("add", a, row, 4, 3, False))
        for other in TYPES:
            piece = Pointwise("copy", np.dtype(name), (b.astype(other),), a)
            made[f"{other} to {name}"] = pointwise([piece])
        for each in optimizer.registry.names():
            found = optimizer.create(each)
            if found.has_rule:
                traced = rule_of(found, True)
                arrays = [np.zeros(5, name) for _ in traced.arrays]
                made[f"{each} {name}"] = rule(traced.program, arrays, traced.targets, 8, 8)
    return made


def test_kernels_compile() -> None:
    for name, kernel in kernels().items():
        for architecture in nvrtc.ARCHITECTURES:
            assert not nvrtc.complaints(kernel.source, architecture), name


def test_a_mistake_is_found() -> None:
    kernel = over_elements(5, ["float* p"], "        p[i] = nothing;\n", [8])
    assert "nothing" in nvrtc.complaints(kernel.source, nvrtc.ARCHITECTURES[0])
