"""Load: weights from a file or a dict."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.errors import CallError, FileFormatError, MXNetError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Load"]

_log = logging.getLogger(__name__)


class Load:
    """Copies parameters by name, and leaves the others to another initializer.

    Parameters
    ----------
    param : arrays by name, or a file of them: ``.npz`` and ``.safetensors`` by their endings,
        anything else is read as MXNet's ``.params``. Prefixes ``arg:`` and ``aux:`` are cut off.
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

        if isinstance(param, str | os.PathLike):
            self.source = os.fspath(param)
            arrays = read_arrays(self.source)
        else:
            self.source, arrays = "a dict", param
        if not isinstance(arrays, Mapping):
            raise CallError(
                f"Load needs arrays with names; {self.source} has {type(arrays).__name__} of "
                "arrays without any"
            )
        self.param = {_without_prefix(key): np.asanyarray(arrays[key]) for key in arrays}
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


def _without_prefix(key: str) -> str:
    """Cut off the ``arg:`` or ``aux:`` that the files of a model have."""
    return key[4:] if key.startswith(("arg:", "aux:")) else key


def read_arrays(fname: str) -> Any:
    """Read a file of arrays, by its ending: a dict by name, or a list when there are no names."""
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors}
    reader = readers.get(Path(fname).suffix.lower())
    if reader is None:
        from mxtrain.checkpoint.params import load_params

        return load_params(fname)
    try:
        return reader(fname)
    except OSError as error:
        raise MXNetError(f"cannot read {fname}: {error.strerror or error}") from error


def _read_npz(fname: str) -> dict[str, Array]:
    from zipfile import BadZipFile

    import numpy as np

    # Opened here, so that it is closed whatever NumPy finds in it.
    with Path(fname).open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise FileFormatError(f"{fname} is an .npy file; save arrays by name with np.savez")
            return {name: archive[name] for name in archive.files}
        except (ValueError, BadZipFile, EOFError) as error:
            raise FileFormatError(f"{fname} is no .npz file of plain arrays: {error}") from error


def _read_safetensors(fname: str) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, Array] = load_file(fname)
    except SafetensorError as error:
        raise FileFormatError(f"{fname} is no safetensors file: {error}") from error
    return arrays
