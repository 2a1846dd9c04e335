"""From one format of arrays to another: which names and types the arrays have there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain import symbol as symbols
from mxtrain.checkpoint.arrays import ArrayFile, open_arrays, write_arrays, write_parameters
from mxtrain.checkpoint.naming import names_metadata, with_prefix
from mxtrain.errors import MXNetError
from mxtrain.inspection.arrays import nbytes_of

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True)
class Conversion:
    """What was written: how many arrays, how many bytes of values, and what to know about them."""

    arrays: int
    nbytes: int
    notes: tuple[str, ...] = ()


def convert(
    source: Path,
    target: Path,
    symbol: Path | None = None,
    keep_names: bool = False,
    dense: bool = False,
) -> Conversion:
    """Write the arrays of `source` as `target`, whose ending says the format.

    Parameters
    ----------
    source, target : the files; an existing target is replaced.
    symbol : the graph that says which arrays are auxiliary states; without it, one beside `source`
        does, and without any the endings of their names.
    keep_names : neither cut off nor add ``arg:`` and ``aux:``.
    dense : write sparse arrays as ordinary ones.

    Raises MXNetError, naming the arrays, where `target` cannot hold something; nothing is written
    then.
    """
    found = open_arrays(source, mmap=True)
    notes = [
        f"{name}: {stored} is written as float32, which has all of its values"
        for name, stored in found.stored_types.items()
    ]
    arrays = _storable(found.arrays, target, dense)
    try:
        if not found.named:
            _write_list(target, arrays)
        elif keep_names:
            write_arrays(target, arrays)
        else:
            names, note = _mxnet_names(found, source, symbol)
            notes += note if target.suffix.lower() == ".params" else []
            write_parameters(target, {names[name]: arrays[name] for name in names})
    except (TypeError, ValueError) as error:
        raise MXNetError(f"{target} is not written: {error}") from error
    return Conversion(len(arrays), sum(map(nbytes_of, arrays.values())), tuple(notes))


def _storable(arrays: dict[str, Any], target: Path, dense: bool) -> dict[str, Any]:
    """Return arrays that the format of `target` has, sparse ones only where it may."""
    sparse = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
    if not sparse or (target.suffix.lower() == ".params" and not dense):
        return arrays
    if not dense:
        raise MXNetError(
            f"{target} is not written: {', '.join(sparse)} are sparse, which only .params files "
            "can be; --dense writes them with all their zeros"
        )
    try:
        return {name: a if name not in sparse else a.todense() for name, a in arrays.items()}
    except (MemoryError, ValueError) as error:
        raise MXNetError(f"{target} is not written: with all zeros it is too large") from error


def _write_list(target: Path, arrays: dict[str, Any]) -> None:
    if target.suffix.lower() == ".params":
        write_arrays(target, list(arrays.values()))
    else:
        write_arrays(target, arrays, names_metadata(None))


def _mxnet_names(
    found: ArrayFile, source: Path, symbol: Path | None
) -> tuple[dict[str, str], list[str]]:
    """Return the names in ``.params`` by those in the source, and how they were found."""
    if found.mxnet_names is not None and symbol is None:
        return found.mxnet_names, []
    auxiliary, by = _auxiliary_states(source, symbol)
    names = {name: with_prefix(name, auxiliary) for name in found.arrays}
    if len(set(names.values())) < len(names):
        raise ValueError("two arrays would have the same name; --keep-names leaves them alone")
    # MXNet's checkpoints have the parameters first.
    in_order = sorted(names, key=lambda name: names[name].startswith("aux:"))
    shown = ", ".join(name for name in in_order if names[name].startswith("aux:")) or "none"
    return {name: names[name] for name in in_order}, [f"auxiliary states, by {by}: {shown}"]


def _auxiliary_states(source: Path, symbol: Path | None) -> tuple[list[str] | None, str]:
    """Return the auxiliary states (None where no graph says them), and what they are told by."""
    by = "the ends of their names"
    graph = symbol if symbol is not None else _graph_beside(source)
    if graph is None:
        return None, by
    try:
        return symbols.load(str(graph)).list_auxiliary_states(), str(graph)
    except MXNetError as error:
        if symbol is not None:
            raise
        return None, f"{by} ({error})"


def _graph_beside(source: Path) -> Path | None:
    """Return the graph of ``PREFIX-0003.npz`` or ``PREFIX.npz``, if there is one beside it."""
    stem = source.stem
    prefixes = [stem.rpartition("-")[0], stem] if stem.rpartition("-")[2].isdigit() else [stem]
    for prefix in prefixes:
        path = source.with_name(f"{prefix}-symbol.json")
        if path.exists():
            return path
    return None
