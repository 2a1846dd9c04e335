"""What decides the bits of a run beside its config: the data, and what computes."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.version import __version__

if TYPE_CHECKING:
    from mxtrain.trainer.build import Built
    from mxtrain.trainer.data import Rows


def data_facts(built: Built) -> dict[str, Any]:
    """Return rows, shapes and a digest (SHA-256) of the prepared training and eval rows."""
    rows = {"train": built.data.train, "eval": built.data.eval}
    return {side: None if one is None else _facts(one) for side, one in rows.items()}


def _facts(rows: Rows) -> dict[str, Any]:
    digest = hashlib.sha256()
    arrays = [rows.data, *rows.labels]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return {
        "rows": len(rows),
        "shapes": [[array.dtype.name, *array.shape[1:]] for array in arrays],
        "sha256": digest.hexdigest(),
    }


def versions(backend: str) -> dict[str, str]:
    """Return the versions and the number of threads that the bits of a run depend on."""
    from threadpoolctl import threadpool_info

    pools = threadpool_info()
    blas = [f"{p['internal_api']} {p['version']} {p.get('architecture') or ''}" for p in pools]
    return {
        "mxtrain": __version__,
        "Python": ".".join(map(str, sys.version_info[:3])),
        "NumPy": np.__version__,
        "BLAS": ", ".join(" ".join(text.split()) for text in blas),
        "threads": ", ".join(str(pool["num_threads"]) for pool in pools),
        "backend": backend.partition(":")[0],
    }
