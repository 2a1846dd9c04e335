"""JAX on a GPU, a whole epoch in one jitted `lax.scan`, its batches on the device beforehand."""

from __future__ import annotations

import os
from typing import Any

# Else it takes most of the device's memory from the other sides.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
from cases import GPU_CALL_OPERATIONS

from sides.jax_scan import JaxScan

# `jax_scan` asks for the processor. Products are to be those of float32: by itself JAX lets GPUs
# round their factors to ten bits.
jax.config.update("jax_platforms", "cuda")
jax.config.update("jax_default_matmul_precision", "float32")


class JaxScanGpu(JaxScan):
    """Longer calls than on a processor: a GPU is through with them sooner."""

    operations = GPU_CALL_OPERATIONS

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return why there is no GPU for it."""
        try:
            jax.devices("cuda")
        except (RuntimeError, AssertionError):  # the latter where it is made for processors alone
            return "it finds no GPU"
        return ""
