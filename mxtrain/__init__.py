"""Train networks from a YAML file, with MXNet's vocabulary and numbers.

MXNet scripts run with ``import mxtrain as mx``: `symbol` (`sym`), `module` (`mod`), `initializer`
(`init`), `optimizer` (`opt`), `lr_scheduler`, `metric`, `io`, `callback`, `random`, `nd`
(`ndarray`), `model`, `name`, `attribute`, `monitor` (`mon`), `cpu`, `gpu`, `MXNetError`. All
are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mxtrain.version import __version__

_MODULES = {
    "attribute": "mxtrain.attribute",
    "callback": "mxtrain.callback",
    "context": "mxtrain.context",
    "init": "mxtrain.initializer",
    "initializer": "mxtrain.initializer",
    "io": "mxtrain.io",
    "lr_scheduler": "mxtrain.lr_scheduler",
    "metric": "mxtrain.metric",
    "mod": "mxtrain.module",
    "model": "mxtrain.model",
    "module": "mxtrain.module",
    "mon": "mxtrain.monitor",
    "monitor": "mxtrain.monitor",
    "name": "mxtrain.name",
    "nd": "mxtrain.nd",
    "ndarray": "mxtrain.nd",
    "opt": "mxtrain.optimizer",
    "optimizer": "mxtrain.optimizer",
    "random": "mxtrain.random",
    "sym": "mxtrain.symbol",
    "symbol": "mxtrain.symbol",
}
_NAMES = {
    "AttrScope": "mxtrain.attribute",
    "Context": "mxtrain.context",
    "MXNetError": "mxtrain.errors",
    "cpu": "mxtrain.context",
    "current_context": "mxtrain.context",
    "gpu": "mxtrain.context",
}

__all__ = ["__version__", *_MODULES, *_NAMES]  # noqa: PLE0604  (the tables above are the names)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = import_module(_MODULES[name])
    elif name in _NAMES:
        value = getattr(import_module(_NAMES[name]), name)
    else:
        raise AttributeError(f"module 'mxtrain' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
