"""Lines computed by NumPy and by the kernels of a stand-in for a device, for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType

import numpy as np

from mxtrain.backend.cuda.device import Launch, Multiply
from mxtrain.backend.cupy import CupyBackend
from mxtrain.backend.numpy import Line, run


def both(cupy: CupyBackend, lines: Sequence[Line], *outs: np.ndarray) -> list[np.ndarray]:
    """Return what NumPy computes; `outs` are left with what the device computes.

    No line may be the host's. Both start from the values that `outs` have.
    """
    before = [out.copy() for out in outs]
    with np.errstate(all="ignore"):
        run(lines)
        wanted = [out.copy() for out in outs]
        for out, start in zip(outs, before, strict=True):
            out[...] = start
        joined, _ = cupy.join(lines)
        assert {type(kernel) for kernel, _ in joined} <= {Launch, Multiply, MethodType}
        assert any(isinstance(kernel, Launch | Multiply) for kernel, _ in joined)
        run(joined)
    return wanted


def assert_same_bits(found: np.ndarray, wanted: np.ndarray, name: str = "") -> None:
    """Compare numbers, the signs of zeros, and where there are NaNs."""
    np.testing.assert_array_equal(found, wanted, err_msg=name)
    if wanted.dtype.kind == "f":
        numbers = ~np.isnan(wanted)
        np.testing.assert_array_equal(
            np.signbit(found[numbers]), np.signbit(wanted[numbers]), err_msg=name
        )
