"""A saved model as an ONNX file: what a run knows goes into it, and its rows prove it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mxtrain.config import ConfigErrors
from mxtrain.errors import MXNetError, unknown_name
from mxtrain.export.axes import BATCH, Axes, Free
from mxtrain.export.errors import ExportError
from mxtrain.export.preprocessing import Scaling, scaling_of
from mxtrain.export.verify import Network
from mxtrain.export.write import Report, Wish, export_onnx
from mxtrain.io.errors import DataError
from mxtrain.trainer.answers import answers_of
from mxtrain.trainer.saved import SavedModel
from mxtrain.trainer.saved_data import eval_dataset
from mxtrain.version import __version__

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Exported:
    """A written model, and the rows it was compared on, in words.

    `scaled` has the inputs that the model scales, with the name of the scaling. `rows` is what the
    two were compared on, a file or ``random``; `missing` says why it is not the eval data of the
    run, where it should be.
    """

    report: Report
    scaled: dict[str, str]
    rows: str
    missing: str = ""


def export_model(
    model: SavedModel,
    path: str | Path,
    *,
    preprocessing: bool = True,
    shapes: Mapping[str, Axes] | None = None,
    opset: int | None = None,
    batch: int | None = None,
    tolerance: float | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a saved model as ONNX; see `mxtrain.export.write.export_onnx` for what that checks.

    Parameters
    ----------
    model : as opened.
    path : the file to write.
    preprocessing : whether the model takes the numbers of a file and scales them itself, where the
        run scaled them.
    shapes : shapes of data inputs, where the model does not know them.
    opset, batch, tolerance : as in `mxtrain.export.write.Wish`.
    overwrite : whether a file of that name may be replaced.
    """
    features = model.features
    scaling = scaling_of(features) if features is not None and preprocessing else None
    name = model.data_names[0]
    inputs = _inputs(model, shapes or {})
    wish = Wish(
        opset=opset or Wish.opset,
        batch=batch,
        usual_batch=_usual_batch(model),
        scaling={} if scaling is None else {name: scaling},
        tolerance=tolerance,
        doc=f"{_name(model)}, exported by mxtrain {__version__}",
        metadata=metadata(model, scaling is not None, inputs),
    )
    network = Network(model.symbol, model.arg_params, model.aux_params, inputs)
    samples, rows, missing = _samples(model, scaling)
    report = export_onnx(path, network, wish, samples, overwrite)
    scaled = {name: features.scale} if features is not None and scaling is not None else {}
    return Exported(report, scaled, rows, missing)


def _usual_batch(model: SavedModel) -> int:
    try:
        return 1 if model.spec is None else model.spec.data.batch_size
    except ConfigErrors:
        return 1  # a config that can no longer be read says nothing of batches


def _name(model: SavedModel) -> str:
    files = model.files
    source = files.symbol.name if files.folder is None else f"run {files.folder.resolve().name}"
    return source if files.epoch is None else f"{source}, epoch {files.epoch}"


def metadata(
    model: SavedModel, is_scaled_inside: bool, inputs: Mapping[str, Axes]
) -> dict[str, str]:
    """Return what the model file says besides its graph: texts, those with structure in JSON."""
    found = {"model": _name(model)}
    features = model.features
    if features is not None:
        found["columns"] = json.dumps(features.columns)
        found["scale"] = features.scale
        found["scaled_inside"] = json.dumps(is_scaled_inside)
    classes = _classes(model, inputs)
    if classes:
        found["classes"] = json.dumps(classes)
    return found


def _classes(model: SavedModel, inputs: Mapping[str, Axes]) -> dict[str, tuple[str, ...]]:
    """Return the classes of each output that has some with names: one for each of its scores."""
    answers = [answer for answer in answers_of(model) if answer.classes]
    if not answers:
        return {}
    partial = {
        name: tuple(0 if isinstance(axis, Free) else axis for axis in axes)
        for name, axes in inputs.items()
    }
    shapes = model.symbol.infer_shape_partial(**partial)[1]
    by_name = dict(zip(model.symbol.list_outputs(), shapes, strict=True))
    return {answer.output: answer.class_names(by_name[answer.output]) for answer in answers}


def _inputs(model: SavedModel, shapes: Mapping[str, Axes]) -> dict[str, Axes]:
    unknown = sorted(set(shapes) - set(model.symbol.list_arguments()))
    if unknown:
        raise ExportError(unknown_name("input", unknown[0], model.data_names + model.label_names))
    found = dict(shapes)
    name = model.data_names[0]
    if name not in found and model.row_shape is not None:
        found[name] = (BATCH, *model.row_shape)
    missing = [one for one in model.data_names if one not in found]
    if missing:
        raise ExportError(
            f"the shape of a row of '{missing[0]}' does not follow from the weights; give it with "
            f"--data-shape {missing[0]}=SHAPE"
        )
    return found


def _samples(model: SavedModel, scaling: Scaling | None) -> tuple[dict[str, Array], str, str]:
    """Return the eval rows of the run as the model is to get them, what they are, or why none."""
    features = model.features
    try:
        if features is None or model.spec is None or model.spec.data.eval is None:
            return {}, "random", ""
        dataset, source = eval_dataset(model)
        rows = features.apply(dataset) if scaling is None else features.in_order(dataset)
    except (MXNetError, DataError, ConfigErrors, OSError) as error:
        return {}, "random", f"the eval rows of the run cannot be read: {error}"
    return {model.data_names[0]: np.asarray(rows)}, source, ""
