"""Where kernels run. One module per backend behind one small contract.

A backend has a ``name``, the array namespace ``xp``, buffers (``empty``, ``zeros``,
``from_host``), ``lower`` (a formula over given buffers), ``join`` (lines of a plan into fewer),
``segment`` (an update rule over flat arrays), ``steps`` (many training steps in one call, where it
``compiles``) and ``synchronize``. Backends are imported only when chosen.
``cupy:1`` names the second GPU, ``cupy:0:tf32`` the first with products in TF32.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mxtrain.errors import MXNetError, unknown_name

if TYPE_CHECKING:
    from mxtrain.backend.numpy import NumpyBackend
    from mxtrain.context import Context

NAMES = ("numpy", "numba", "cupy")
# What float32 products are computed in; the first is every backend's, the others a GPU's.
MATHS = ("float32", "tf32")
VARIABLE = "MXTRAIN_BACKEND"
_FULL_NAME = re.compile(rf"({'|'.join(NAMES)})|cupy:([0-9]+)(?::({'|'.join(MATHS)}))?")


def get(name: str | None = None) -> NumpyBackend:
    """Return the backend called `name`; None: the one ``$MXTRAIN_BACKEND`` names, or NumPy.

    ValueError for an unknown one, MXNetError for one that cannot run here.
    """
    return _get(name or default())


def default() -> str:
    """Return the name of the backend of executors and modules that are given none."""
    return os.environ.get(VARIABLE) or "numpy"


def installed() -> tuple[str, ...]:
    """Return the names of the backends that can run here."""
    return tuple(name for name in NAMES if not problem(name))


def problem(name: str) -> str:
    """Return why a backend cannot run here, in one line; empty if it can.

    ValueError for an unknown one.
    """
    kind, number, _ = _parsed(name)
    if kind == "numba":
        return "" if find_spec("numba") is not None else missing("numba")
    if kind == "cupy":
        from mxtrain.backend.cuda.device import problem as problem_of_device

        return problem_of_device(number)
    return ""


def on_device(name: str, number: int, math: str = "float32") -> str:
    """Return the name of a backend on a GPU by its number, with products in `math`.

    >>> on_device("cupy", 1), on_device("cupy", 0), on_device("numpy", 0)
    ('cupy:1', 'cupy', 'numpy')
    >>> on_device("cupy", 0, "tf32")
    'cupy:0:tf32'
    """
    if math != MATHS[0]:
        return f"{name}:{number}:{math}"
    return f"{name}:{number}" if number else name


def on(context: Context | None) -> str:
    """Return the name of the backend that runs on a device; None: on the default one."""
    if context is not None and context.device_type == "gpu":
        return on_device("cupy", context.device_id)
    return default()


def _parsed(name: str) -> tuple[str, int, str]:
    """Return kind, number of the GPU and arithmetic of products."""
    found = _FULL_NAME.fullmatch(name)
    if found is None:
        raise ValueError(unknown_name("backend", name, NAMES))
    return found[1] or "cupy", int(found[2] or 0), found[3] or MATHS[0]


@cache
def _get(name: str) -> NumpyBackend:
    kind, number, math = _parsed(name)
    if kind == "cupy":
        from mxtrain.backend.cuda.device import open_device
        from mxtrain.backend.cupy import CupyBackend

        device = open_device(number)
        device.set_math(math)
        return CupyBackend(device)
    reason = problem(name)
    if reason:
        raise MXNetError(reason)
    if kind == "numba":
        from mxtrain.backend.numba import NumbaBackend

        return NumbaBackend()
    from mxtrain.backend.numpy import NumpyBackend

    return NumpyBackend()


def missing(name: str) -> str:
    """Return what to say where the package of a backend is not installed."""
    return f"backend '{name}' needs a package that is not installed: pip install 'mxtrain[{name}]'"
