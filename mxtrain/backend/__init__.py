"""Where kernels run. One module per backend behind one small contract.

A backend has a ``name``, the array namespace ``xp``, buffers (``empty``, ``zeros``, ``from_host``,
``to_host``), ``lower`` (a formula over given buffers), ``segment`` (an update rule over flat
arrays) and ``synchronize``. Backends are imported only when chosen.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from mxtrain.errors import unknown_name

if TYPE_CHECKING:
    from mxtrain.backend.numpy import NumpyBackend

NAMES = ("numpy",)


@cache
def get(name: str = "numpy") -> NumpyBackend:
    """Return the backend called `name` (ValueError for an unknown one)."""
    if name not in NAMES:
        raise ValueError(unknown_name("backend", name, NAMES))
    from mxtrain.backend.numpy import NumpyBackend

    return NumpyBackend()
