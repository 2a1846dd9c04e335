"""Where kernels run. One module per backend behind one small contract.

A backend has a ``name``, the array namespace ``xp``, buffers (``empty``, ``zeros``,
``from_host``, ``to_host``), ``lower`` (a formula over given buffers), ``join`` (lines of a plan
into fewer), ``segment`` (an update rule over flat arrays) and ``synchronize``. Backends are
imported only when chosen.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mxtrain.errors import MXNetError, unknown_name

if TYPE_CHECKING:
    from mxtrain.backend.numpy import NumpyBackend

NAMES = ("numpy", "numba")


VARIABLE = "MXTRAIN_BACKEND"


def get(name: str | None = None) -> NumpyBackend:
    """Return the backend called `name`; None: the one ``$MXTRAIN_BACKEND`` names, or NumPy.

    ValueError for an unknown one, MXNetError for one whose package is not installed.
    """
    return _get(name or default())


def default() -> str:
    """Return the name of the backend of executors and modules that are given none."""
    return os.environ.get(VARIABLE) or "numpy"


def installed() -> tuple[str, ...]:
    """Return the names of the backends that can run here."""
    return tuple(name for name in NAMES if find_spec(name) is not None)


@cache
def _get(name: str) -> NumpyBackend:
    if name not in NAMES:
        raise ValueError(unknown_name("backend", name, NAMES))
    if name == "numba":
        if find_spec("numba") is None:
            raise MXNetError(missing(name))
        from mxtrain.backend.numba import NumbaBackend

        return NumbaBackend()
    from mxtrain.backend.numpy import NumpyBackend

    return NumpyBackend()


def missing(name: str) -> str:
    """Return what to say where the package of a backend is not installed."""
    return f"backend '{name}' needs a package that is not installed: pip install 'mxtrain[{name}]'"
