"""Saved weights that a run starts from: which of them fit the network, and which do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.checkpoint.naming import PREFIXES, without_prefix
from mxtrain.errors import closest
from mxtrain.initializer.load import Load
from mxtrain.trainer import outputs
from mxtrain.trainer.data import shown_path
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.report import WeightsInfo
from mxtrain.trainer.saved import named_arrays
from mxtrain.trainer.saved_files import find_weights

if TYPE_CHECKING:
    from mxtrain.config.spec import WeightsSpec
    from mxtrain.module import Module

Array = np.ndarray[Any, Any]

_MOST_NAMED = 6


class SavedWeights(Load):
    """An initializer that takes saved weights, and leaves the others to another initializer.

    Parameters
    ----------
    spec : the file, and what may be missing or left over.
    module : bound, whose parameters are to be filled.
    default_init : fills what is missing.

    Attributes
    ----------
    info : what was taken, what is missing, what is left over.

    Raises SetupError, naming the arrays, for shapes that differ, and for missing or further arrays
    unless the spec allows them; MXNetError and FileFormatError for a file that cannot be read.
    """

    def __init__(self, spec: WeightsSpec, module: Module, default_init: Any) -> None:
        path = find_weights(spec.file)
        needed = _needed(module)
        found, extra = _sorted_out(named_arrays(path), needed)
        missing = [name for name in needed[0] | needed[1] if name not in found]
        source = shown_path(path)
        _check(spec, source, needed[0] | needed[1], found, missing, extra)
        super().__init__(found, default_init)
        self.source = source
        self.info = WeightsInfo(source, tuple(found), tuple(missing), tuple(extra))


_Shapes = dict[str, tuple[int, ...]]


def _needed(module: Module) -> tuple[_Shapes, _Shapes]:
    """Return the shapes of parameters and of auxiliary states by name."""
    inputs = {*module.data_names, *module.label_names, *outputs.state_names(module.symbol)}
    executor = module.executor
    arguments = {n: a.shape for n, a in executor.arg_dict.items() if n not in inputs}
    return arguments, {name: array.shape for name, array in executor.aux_dict.items()}


def _sorted_out(
    arrays: Mapping[str, Array], needed: tuple[_Shapes, _Shapes]
) -> tuple[dict[str, Array], list[str]]:
    """Return the arrays that the network has a place for, and the names of the others."""
    found, extra = {}, []
    for name, array in arrays.items():
        plain = without_prefix(name)
        kinds = zip(PREFIXES, needed, strict=True)
        if any(plain in names and not name.startswith(_other(p)) for p, names in kinds):
            found[plain] = array
        else:
            extra.append(plain)
    return found, extra


def _other(prefix: str) -> str:
    return PREFIXES[1] if prefix == PREFIXES[0] else PREFIXES[0]


def _check(
    spec: WeightsSpec,
    source: str,
    needed: Mapping[str, tuple[int, ...]],
    found: Mapping[str, Array],
    missing: Sequence[str],
    extra: Sequence[str],
) -> None:
    """Raise SetupError with everything that does not fit."""
    problems = []
    other = [name for name, array in found.items() if array.shape != needed[name]]
    if other:
        shapes = [f"'{n}' is {_by(found[n].shape)}, not {_by(needed[n])}" for n in other]
        problems.append(
            f"of another shape than in the network: {_some(shapes)}; a layer that is to start anew "
            "needs a name of its own, and weights.allow_missing and weights.ignore_extra"
        )
    if missing and not spec.allow_missing:
        names = [f"'{name}'{_near(name, extra)}" for name in missing]
        problems.append(
            f"missing: {_some(names)}; with weights.allow_missing the initializer fills them"
        )
    if extra and not spec.ignore_extra:
        names = [f"'{name}'" for name in extra]
        problems.append(
            f"not of this network: {_some(names)}; weights.ignore_extra leaves them out"
        )
    if not found:
        problems.append("none of its arrays is a parameter of this network")
    if problems:
        raise SetupError("\n".join(f"weights.file: {source}: {text}" for text in problems))


def _near(name: str, names: Sequence[str]) -> str:
    near = closest(name, names)
    return f" (is it '{near}'?)" if near else ""


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _MOST_NAMED} more" if len(texts) > _MOST_NAMED else ""
    return ", ".join(texts[:_MOST_NAMED]) + more


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"
