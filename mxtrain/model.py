"""Checkpoints of a whole model: a graph and its parameters, as MXNet names and lays them out.

``<prefix>-symbol.json`` holds the graph, ``<prefix>-NNNN.params`` the weights after epoch NNNN.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mxtrain.errors import FileFormatError

if TYPE_CHECKING:
    from mxtrain.nd import NDArray
    from mxtrain.symbol import Symbol

__all__ = ["BatchEndParam", "load_checkpoint", "load_params", "save_checkpoint"]


class BatchEndParam(NamedTuple):
    """What callbacks at the end of a batch receive.

    Attributes
    ----------
    epoch : the running epoch, from 0.
    nbatch : the batch just done, from 0.
    eval_metric : the metric so far.
    locals : the local variables of the loop, ``locals["self"]`` being the module.
    """

    epoch: int
    nbatch: int
    eval_metric: Any
    locals: dict[str, Any] | None


def save_checkpoint(
    prefix: str,
    epoch: int,
    symbol: Symbol | None,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
) -> None:
    """Write the graph (unless it is None) and the parameters of `epoch`, each file atomically."""
    from mxtrain.checkpoint.params import save_params

    if symbol is not None:
        symbol.save(f"{prefix}-symbol.json")
    fname = _params_name(prefix, epoch)
    save_params(
        fname,
        {f"arg:{name}": array for name, array in arg_params.items()}
        | {f"aux:{name}": array for name, array in aux_params.items()},
    )
    logging.info('Saved checkpoint to "%s"', fname)


def load_checkpoint(
    prefix: str, epoch: int
) -> tuple[Symbol, dict[str, NDArray], dict[str, NDArray]]:
    """Return (graph, arguments, auxiliary states) of `epoch`.

    Raises MXNetError when a file is missing, FileFormatError when it is damaged.
    """
    from mxtrain import symbol

    graph = symbol.load(f"{prefix}-symbol.json")
    return (graph, *load_params(prefix, epoch))


def load_params(prefix: str, epoch: int) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Return (arguments, auxiliary states) of `epoch`; entries with another prefix are left out.

    Raises MXNetError when the file is missing, FileFormatError when it is damaged or its arrays
    have no names.
    """
    from mxtrain import nd

    fname = _params_name(prefix, epoch)
    arrays = nd.load(fname)
    if isinstance(arrays, list):
        if arrays:
            raise FileFormatError(
                f"{fname}: the {len(arrays)} arrays have no names; a checkpoint names them "
                "'arg:<parameter>' and 'aux:<auxiliary state>'"
            )
        return {}, {}
    kinds: dict[str, dict[str, NDArray]] = {"arg": {}, "aux": {}}
    for full_name, array in arrays.items():
        kind, _, name = full_name.partition(":")
        if kind in kinds:
            kinds[kind][name] = array
    return kinds["arg"], kinds["aux"]


def _params_name(prefix: str, epoch: int) -> str:
    return f"{prefix}-{epoch:04d}.params"
