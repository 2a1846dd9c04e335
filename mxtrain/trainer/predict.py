"""Predictions of a saved model, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.errors import MXNetError
from mxtrain.io import DataDesc
from mxtrain.module import Module
from mxtrain.symbol import Symbol
from mxtrain.trainer.answers import answers_of
from mxtrain.trainer.bound import BoundBatch
from mxtrain.trainer.build import Network
from mxtrain.trainer.outputs import heads_of
from mxtrain.trainer.saved_data import features_of
from mxtrain.trainer.threads import suitable_threads

if TYPE_CHECKING:
    from mxtrain.io.dataset import Dataset
    from mxtrain.trainer.saved import SavedModel

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

DEFAULT_BATCH = 64
# Rows that are prepared and handed out together.
PIECE_ROWS = 4096


class Predictor:
    """A saved model bound for prediction.

    Parameters
    ----------
    model : as opened.
    row_shape : the shape of a row of its data.
    batch_size : rows that are computed together; by default those of its run.

    Attributes
    ----------
    answers : the outputs, and how they are read.
    left_out : names of outputs that say nothing of a row, or nothing without its label.

    Raises MXNetError for a network with several data inputs, or no output that tells anything.
    """

    def __init__(self, model: SavedModel, row_shape: Shape, batch_size: int | None = None) -> None:
        self.model = model
        self.batch_size = batch_size or batch_size_of(model)
        answers = answers_of(model)
        wanted = {answer.output for answer in answers}
        names = model.symbol.list_outputs()
        pairs = zip(model.symbol.entries, names, strict=True)
        entries = [entry for entry, name in pairs if name in wanted]
        if not entries:
            raise MXNetError(f"no output of the network tells anything: {_listed(names)}")
        # Outputs that are losses made of other operators would need labels.
        network = bind(model, Symbol(entries), self.batch_size, row_shape)
        shapes = network.module.output_shapes
        by_row = {name for name, shape in shapes if shape and shape[0] % self.batch_size == 0}
        self.answers = [answer for answer in answers if answer.output in by_row]
        self.left_out = [name for name in names if name not in by_row]
        if not self.answers:
            raise MXNetError(f"no output of the network tells of single rows: {_listed(names)}")
        self._batch = BoundBatch(network, self.batch_size, {})

    def pieces(self, dataset: Dataset, scores: bool, flat: bool) -> Iterator[dict[str, Array]]:
        """Yield the predictions for some thousand rows after the other, by name.

        `scores` adds those of all classes. With `flat` they are columns of one value a row
        (`Answer.columns`), else arrays of any shape (`Answer.arrays`).
        """
        given = None if self.model.spec is None else self.model.spec.threads
        with suitable_threads(given, self._batch):
            yield from self._pieces(dataset, scores, flat)

    def _pieces(self, dataset: Dataset, scores: bool, flat: bool) -> Iterator[dict[str, Array]]:
        features = features_of(self.model, dataset)
        step = max(PIECE_ROWS // self.batch_size, 1) * self.batch_size
        for start in range(0, dataset.n, step):
            piece = dataset.take(np.arange(start, min(start + step, dataset.n)))
            raw = self.outputs(features.apply(piece))
            found: dict[str, Array] = {}
            for answer in self.answers:
                told = answer.columns if flat else answer.arrays
                found |= told(raw[answer.output], scores)
            yield found

    def outputs(self, rows: Array) -> dict[str, Array]:
        """Return the outputs for prepared rows, each with the rows along its first axis."""
        parts: dict[str, list[Array]] = {answer.output: [] for answer in self.answers}
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            self._batch.data[: len(batch)] = batch
            self._batch.data[len(batch) :] = batch[-1]  # as good as any; they are cut off below
            with np.errstate(all="ignore"):
                self._batch.predict()
            for name, kept in parts.items():
                output = np.asarray(self._batch.executor.output_dict[name])
                kept.append(_by_row(output, self.batch_size)[: len(batch)].copy())
        return {name: np.concatenate(kept) for name, kept in parts.items()}


def batch_size_of(model: SavedModel) -> int:
    """Return the batch size of a model's run, which gives the very numbers of the run."""
    return DEFAULT_BATCH if model.spec is None else model.spec.data.batch_size


def bind(
    model: SavedModel,
    symbol: Symbol,
    rows: int,
    row_shape: Shape,
    labels: dict[str, Shape] | None = None,
) -> Network:
    """Bind a graph of a saved model, with its weights, for batches of `rows` rows.

    Parameters
    ----------
    model : as opened.
    symbol : its graph, or outputs of it.
    row_shape : of a row of the data.
    labels : the shape of a row of each label input; without, labels are zero.

    Raises MXNetError for a network of several data inputs, and for shapes that do not fit it.
    """
    if len(model.data_names) > 1:
        raise MXNetError(
            f"the network has the inputs {_listed(model.data_names)}, the rows are for one; if one "
            f"of them is a parameter, {model.files.weights} lacks it"
        )
    arguments = symbol.list_arguments()
    label_names = list(labels or ())
    zeros = [*model.state_names, *(name for name in model.label_names if name not in label_names)]
    module = Module(
        symbol,
        data_names=model.data_names,
        label_names=label_names,
        state_names=[name for name in zeros if name in arguments],
        backend=_backend(model),
    )
    described = [DataDesc(name, (rows, *shape)) for name, shape in (labels or {}).items()]
    module.bind(
        [DataDesc(model.data_names[0], (rows, *row_shape), _data_type(model, symbol))],
        described or None,
        for_training=False,
    )
    arg_params = {name: model.arg_params[name] for name in arguments if name in model.arg_params}
    module.set_params(arg_params, model.aux_params)
    return Network(module, heads_of(symbol), label_names)


def _backend(model: SavedModel) -> str:
    """Return the backend the model was trained on, NumPy where that cannot run here."""
    if model.spec is None or backends.problem(model.spec.runs_on):
        return "numpy"
    return model.spec.runs_on


def _data_type(model: SavedModel, symbol: Symbol) -> Any:
    """Return the element type of the data that goes with the weights."""
    arguments = symbol.list_arguments()
    given = {name: a.dtype for name, a in model.arg_params.items() if name in arguments}
    types = symbol.infer_type(**given)[0]
    return np.float32 if types is None else types[arguments.index(model.data_names[0])]


def _by_row(output: Array, rows: int) -> Array:
    """Return an output with the rows along its first axis, whatever else lies along it."""
    if len(output) == rows:
        return output
    return output.reshape(rows, len(output) // rows, *output.shape[1:])


def _listed(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names)
