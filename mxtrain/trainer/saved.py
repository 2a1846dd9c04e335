"""A trained model, opened: graph, weights, and what a run knows besides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import nd, symbol
from mxtrain.checkpoint.arrays import open_arrays
from mxtrain.checkpoint.naming import PREFIXES, without_prefix
from mxtrain.errors import FileFormatError, MXNetError, closest
from mxtrain.io.features import Features
from mxtrain.io.labels import Labels
from mxtrain.symbol.infer import parse_shape
from mxtrain.trainer import outputs
from mxtrain.trainer.folder import CONFIG, PREPROCESSING
from mxtrain.trainer.saved_files import SavedFiles, find

if TYPE_CHECKING:
    from mxtrain.config.spec import RunSpec
    from mxtrain.nd import NDArray
    from mxtrain.symbol import Symbol

Shape = tuple[int, ...]

# What the names of parameters end in; an argument called otherwise may be an input.
_PARAMETER_ENDINGS = ("weight", "bias", "gamma", "beta", "parameters", "moving_mean", "moving_var")
_MOST_NAMED = 6


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A model as it was saved.

    Attributes
    ----------
    files : what it was read from.
    symbol : the graph.
    arg_params, aux_params : the weights and auxiliary states of the graph, by name.
    data_names, label_names, state_names : the other arguments of the graph: what comes with every
        batch, what a loss compares with, and states that begin at zero.
    unused : names of arrays in the file that the graph has no place for.
    features, labels : the preprocessing of the run, by label input; None for a model of no run.
    """

    files: SavedFiles
    symbol: Symbol
    arg_params: dict[str, NDArray]
    aux_params: dict[str, NDArray]
    data_names: tuple[str, ...]
    label_names: tuple[str, ...]
    state_names: tuple[str, ...]
    unused: tuple[str, ...] = ()
    features: Features | None = None
    labels: dict[str, Labels] | None = field(default=None)

    @cached_property
    def spec(self) -> RunSpec | None:
        """The config of the run, whose data may have gone; None for a model of no run.

        Raises ConfigErrors where it cannot be read.
        """
        if self.files.folder is None:
            return None
        from mxtrain.config import load

        return load(self.files.folder / CONFIG, files=False)

    @cached_property
    def row_shape(self) -> Shape | None:
        """The shape of one row of the data, where the run, the graph or the weights tell it."""
        if self.features is not None:
            return self.features.shape
        if len(self.data_names) != 1:
            return None
        (name,) = self.data_names
        declared = self.symbol.attr_dict().get(name, {}).get("__shape__")
        if declared:
            shape = parse_shape(declared) or ()
            if len(shape) > 1 and all(shape[1:]):
                return shape[1:]
        widths = {array.shape[1] for array in self.arg_params.values() if array.ndim == 2}
        fitting = [(width,) for width in sorted(widths) if not self.misfits((width,))]
        return fitting[0] if len(fitting) == 1 else None

    def misfits(self, row_shape: Shape) -> list[str]:
        """Say what does not fit the graph where a row of the data has this shape; often nothing.

        Raises MXNetError for a graph that takes no such rows, whatever its weights.
        """
        inputs = dict.fromkeys(self.data_names[:1], (0, *row_shape))  # a graph may fix the batch
        arguments, _, auxiliary = self.symbol.infer_shape_partial(**inputs)
        needed = dict(zip(self.symbol.list_arguments(), arguments, strict=True))
        needed |= zip(self.symbol.list_auxiliary_states(), auxiliary, strict=True)
        stored = self.arg_params | self.aux_params
        return [
            f"'{name}' has shape {array.shape}, the graph needs {needed[name]}"
            for name, array in stored.items()
            if needed[name] and needed[name] != array.shape
        ]

    def check_rows(self, row_shape: Shape, source: str, advice: str = "") -> None:
        """Raise MXNetError unless rows of this shape, those of `source`, fit the network.

        `advice` is what to do where they have more numbers than it takes.
        """
        try:
            wrong = self.misfits(row_shape)
        except MXNetError as error:
            wrong = [str(error)]
        if not wrong:
            return
        wanted = self.row_shape
        if wanted is not None and wanted != row_shape:
            text = f"the network takes {_by(wanted)} numbers a row, {source} has {_by(row_shape)}"
            if advice and prod(row_shape) > prod(wanted):
                text = f"{text}; {advice}"
        else:
            text = f"rows of {_by(row_shape)} numbers, as in {source}, do not fit the network"
        raise MXNetError(f"{text} ({wrong[0]})")


def open_model(path: str | Path, epoch: int | None = None, which: str | None = None) -> SavedModel:
    """Read a saved model.

    Parameters
    ----------
    path : the folder of a run, one file of a checkpoint, or MXNet's prefix.
    epoch : the weights after so many epochs.
    which : ``best`` or ``last``, of a run. Without either it is what the run ended with: the best
        weights where it restores them, else the newest.

    Raises MXNetError where a file is missing or the weights are not those of the graph, and
    FileFormatError where one is damaged.
    """
    files = find(path, epoch, which)
    graph = _graph_of(files)
    found = _weights(files, graph)
    roles = _roles(files, graph, found)
    features, labels = None, None
    if files.folder is not None:
        features, labels = read_preprocessing(files.folder)
    model = SavedModel(files, graph, *found[:2], *roles, tuple(found[2]), features, labels)
    if features is not None:
        wrong = model.misfits(features.shape)
        if wrong:
            raise MXNetError(f"{files.weights} does not fit {files.symbol.name}: {wrong[0]}")
    return model


def _graph_of(files: SavedFiles) -> Symbol:
    """Load the graph; where it has operators that are not there, a run's plugins may bring them."""
    try:
        return symbol.load(str(files.symbol))
    except MXNetError:
        if files.folder is None:
            raise
        from mxtrain.config import ConfigErrors, load

        with suppress(ConfigErrors):
            load(files.folder / CONFIG, files=False)  # imports them
        return symbol.load(str(files.symbol))


def read_preprocessing(folder: Path) -> tuple[Features, dict[str, Labels]]:
    """Return what a run learned from its training rows.

    Raises MXNetError where the file is missing, FileFormatError where it is damaged.
    """
    path = folder / PREPROCESSING
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        features = Features.from_json(stored["features"])
        labels = {str(name): Labels.from_json(one) for name, one in stored["labels"].items()}
    except OSError as error:
        raise MXNetError(f"cannot read {path}: {error.strerror or error}") from error
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(f"{path} is damaged: {error!r}") from error
    return features, labels


_Found = tuple[dict[str, "NDArray"], dict[str, "NDArray"], list[str]]


def named_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a file of weights under MXNet's names (``arg:fc_weight``), if known.

    Sparse ones are made dense. Raises FileFormatError for arrays without names.
    """
    found = open_arrays(path)
    if not found.named and found.arrays:
        raise FileFormatError(
            f"{path}: the {len(found.arrays)} arrays have no names; weights are found by name"
        )
    names = found.mxnet_names or {}
    return {names.get(name, name): _dense(array) for name, array in found.arrays.items()}


def _dense(array: Any) -> NDArray:
    values = array if isinstance(array, np.ndarray) else array.asnumpy()
    return nd.view(np.ascontiguousarray(values))


def _weights(files: SavedFiles, graph: Symbol) -> _Found:
    """Return parameters and auxiliary states of the graph, and the names of all other arrays."""
    arguments, auxiliary = graph.list_arguments(), graph.list_auxiliary_states()
    arg_params, aux_params, unused = {}, {}, []
    for name, array in named_arrays(files.weights).items():
        plain = without_prefix(name)
        if plain in arguments and not name.startswith(PREFIXES[1]):
            arg_params[plain] = array
        elif plain in auxiliary and not name.startswith(PREFIXES[0]):
            aux_params[plain] = array
        else:
            unused.append(plain)
    return arg_params, aux_params, unused


def _roles(
    files: SavedFiles, graph: Symbol, found: _Found
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return data, labels and states: the arguments without weights. MXNetError for others."""
    arg_params, aux_params, unused = found
    given = [name for name in graph.list_arguments() if name not in arg_params]
    kinds = outputs.label_kinds(graph, outputs.heads_of(graph))
    labels = [name for name in kinds if name in given]
    states = [name for name in given if name in outputs.state_names(graph)]
    rest = [name for name in given if name not in labels and name not in states]
    missing = [name for name in rest if name != "data" and name.endswith(_PARAMETER_ENDINGS)]
    missing += [name for name in graph.list_auxiliary_states() if name not in aux_params]
    if missing:
        raise MXNetError(_missing(files, missing, unused))
    if not rest:
        raise MXNetError(f"{files.symbol}: the graph has no input for data; every argument is set")
    return tuple(rest), tuple(labels), tuple(states)


def _missing(files: SavedFiles, missing: Sequence[str], unused: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'{_near(name, unused)}" for name in missing[:_MOST_NAMED])
    more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
    text = f"{files.weights} has no values for {shown}{more} of {files.symbol.name}"
    if not unused:
        return text
    others = ", ".join(f"'{name}'" for name in unused[:_MOST_NAMED])
    more = ", ..." if len(unused) > _MOST_NAMED else ""
    return f"{text}; it has {others}{more} besides: are they of the same network?"


def _near(name: str, names: Sequence[str]) -> str:
    near = closest(name, names)
    return f" (is it '{near}'?)" if near else ""


def _by(shape: Shape) -> str:
    return "x".join(map(str, shape))
