"""The sides that are measured beside each other.

A new peer is a file and a line of `SIDES`, or of `GPU_SIDES`, which run on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A side: its name in tables, its class, and the packages without which it is skipped.

    `compiles_long` keeps it out of sweeps, where every point would be compiled anew.
    """

    key: str
    title: str
    target: str
    packages: tuple[str, ...]
    compiles_long: bool = False


SIDES = (
    Entry("numpy", "mxtrain, NumPy", "sides.mxtrain_step:NumpyStep", ()),
    Entry("numba", "mxtrain, Numba", "sides.mxtrain_step:NumbaStep", ("numba",)),
    Entry("numba_call", "mxtrain, Numba, epoch in a call", "sides.mxtrain_call:NumbaCall",
          ("numba",)),
    Entry("torch", "PyTorch eager, fused optimizer", "sides.torch_eager:TorchEager", ("torch",)),
    Entry("torch_compiled", "PyTorch compiled, fused optimizer",
          "sides.torch_compiled:TorchCompiled", ("torch",), compiles_long=True),
    Entry("jax_step", "JAX jit, step by step", "sides.jax_step:JaxStep", ("jax",)),
    Entry("jax_scan", "JAX jit, epoch in one scan", "sides.jax_scan:JaxScan", ("jax",)),
    Entry("sklearn", "scikit-learn MLPClassifier", "sides.sklearn_mlp:SklearnMlp", ("sklearn",)),
    Entry("thinc", "thinc", "sides.thinc_mlp:ThincMlp", ("thinc",)),
)  # fmt: skip
GPU_SIDES = (
    Entry("cupy_call", "mxtrain, CuPy, epoch in a call", "sides.mxtrain_call:CupyCall", ("cupy",)),
    Entry("cupy", "mxtrain, CuPy, step by step", "sides.mxtrain_step:CupyStep", ("cupy",)),
    Entry("torch_gpu", "PyTorch eager, fused optimizer", "sides.torch_gpu:TorchGpu", ("torch",)),
    Entry("torch_graphs", "PyTorch compiled with CUDA graphs, fused optimizer",
          "sides.torch_gpu:TorchGraphs", ("torch",)),
    Entry("jax_gpu", "JAX jit, epoch in one scan", "sides.jax_gpu:JaxScanGpu", ("jax",)),
)  # fmt: skip


def titles() -> dict[str, str]:
    """Return the title of each side by its key."""
    return {entry.key: entry.title for entry in (*SIDES, *GPU_SIDES)}
