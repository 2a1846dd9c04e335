"""Load: weights from a file or a dict."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mxtrain.errors import CallError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Load"]

_log = logging.getLogger(__name__)


class Load:
    """Copies parameters by name, and leaves the others to another initializer.

    Parameters
    ----------
    param : arrays by name, or a file of them: MXNet's ``.params``, ``.safetensors`` or ``.npz``,
        whatever it is called. Prefixes ``arg:`` and ``aux:`` are cut off.
    default_init : the initializer of parameters that are not among them.
    verbose : log a line (level INFO) for each parameter.

    Raises MXNetError for a file that cannot be read, FileFormatError for a damaged one, CallError
    for arrays without names. Calling it raises CallError when the shapes differ, and for a name
    that is not there when there is no `default_init`.

    Source: MXNet 1.9.1, class ``Load``.

    >>> import numpy as np
    >>> weight = np.empty(2)
    >>> Load({"arg:fc_weight": np.array([1.0, 2.0])})("fc_weight", weight)
    >>> weight.tolist()
    [1.0, 2.0]
    """

    def __init__(
        self,
        param: Mapping[str, Array] | str | os.PathLike[str],
        default_init: Any = None,
        verbose: bool = False,
    ) -> None:
        import numpy as np

        from mxtrain.checkpoint.naming import without_prefix

        if isinstance(param, str | os.PathLike):
            self.source = os.fspath(param)
            arrays: Mapping[str, Array] = _named_arrays(self.source)
        else:
            self.source, arrays = "a dict", param
        self.param = {without_prefix(key): np.asanyarray(arrays[key]) for key in arrays}
        self.default_init = default_init
        self.verbose = verbose

    def __call__(self, name: str, arr: Array) -> None:
        """Fill `arr` in place with the array of that name, or by `default_init`."""
        if name in self.param:
            self._copy(name, arr)
            how = "by loading"
        elif self.default_init is None:
            raise CallError(self._missing(name))
        else:
            self.default_init(name, arr)
            how = "by default"
        if self.verbose:
            _log.info("Initialized %s %s", name, how)

    def _copy(self, name: str, array: Array) -> None:
        stored = self.param[name]
        if stored.shape != array.shape:
            raise CallError(
                f"parameter '{name}' has shape {array.shape}, but {stored.shape} in {self.source}"
            )
        array[...] = stored

    def _missing(self, name: str) -> str:
        from mxtrain.errors import unknown_name

        return (
            f"{unknown_name('parameter', name, self.param)} (in {self.source}); "
            "give Load a default_init to fill such parameters"
        )

    def rule_for(
        self,
        name: str,
        attrs: Mapping[str, str] | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> str:
        """Say in words how a parameter would be filled, as `Initializer.rule_for` does."""
        if name in self.param:
            return f"loaded from {self.source}"
        if self.default_init is None:
            raise CallError(self._missing(name))
        return str(self.default_init.rule_for(name, attrs, shape))

    def __repr__(self) -> str:
        return f"Load({self.source!r}, default_init={self.default_init!r})"


def _named_arrays(fname: str) -> dict[str, Any]:
    from mxtrain.checkpoint.arrays import open_arrays

    found = open_arrays(fname)
    if not found.named:
        raise CallError(f"Load needs arrays with names; {fname} has a list of arrays without any")
    return found.arrays
