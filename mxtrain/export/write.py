"""A trained network as an ONNX file: converted, checked, compared with the executor, written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mxtrain.checkpoint.atomic import atomic_write
from mxtrain.export import verify
from mxtrain.export.axes import Axes
from mxtrain.export.errors import DifferenceError, ExportError, FixedBatchError
from mxtrain.export.graph import OnnxGraph, Port, convert, internals
from mxtrain.export.libraries import load
from mxtrain.export.preprocessing import Scaling
from mxtrain.export.proto import DEFAULT_OPSET, check_opset, to_bytes
from mxtrain.export.samples import Array, chunks, count_rows, random_rows
from mxtrain.export.verify import Comparison, Network, Reference


@dataclass(frozen=True)
class Wish:
    """How a model is to be written.

    Attributes
    ----------
    opset : the ONNX operator set.
    batch : the one batch size of the model; None for any, where the graph allows it.
    usual_batch : the batch size of a graph that works for one only.
    scaling : for data inputs by name, what the model is to do to the numbers of a file first.
    tolerance : the largest difference allowed; None: 1e-5, or 1e-2 for a graph with float16.
    doc : a sentence about the model, stored in it.
    metadata : further texts stored in it.
    """

    opset: int = DEFAULT_OPSET
    batch: int | None = None
    usual_batch: int = 1
    scaling: Mapping[str, Scaling] = field(default_factory=dict)
    tolerance: float | None = None
    doc: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What was written, and what comparing it with the executor gave.

    Attributes
    ----------
    path, size : the file and its bytes.
    opset : the ONNX operator set.
    operators : how many nodes of each ONNX operator the model has.
    num_parameters : how many numbers its parameters have.
    inputs, outputs : what a user gives and gets.
    batch : the one batch size of the model, None for any.
    notes : what a user should know.
    rows : how many rows it was compared on.
    comparison, tolerance : the largest difference found, and the largest allowed.
    """

    path: Path
    size: int
    opset: int
    operators: dict[str, int]
    num_parameters: int
    inputs: list[Port]
    outputs: list[Port]
    batch: int | None
    notes: list[str]
    rows: int
    comparison: Comparison
    tolerance: float


def export_onnx(
    path: str | Path,
    network: Network,
    wish: Wish | None = None,
    samples: Mapping[str, Array] | None = None,
    overwrite: bool = False,
) -> Report:
    """Write a network as an ONNX model, if that computes what the executor computes.

    Parameters
    ----------
    path : the file to write.
    network : the graph, its weights and its inputs.
    wish : how to write it.
    samples : rows to compare on, by data input, as they stand in a file; random ones without.
    overwrite : whether a file of that name may be replaced.

    Raises ExportError for what cannot be exported, DifferenceError where the two differ by more
    than the tolerance, FileExistsError, and OSError where the file cannot be written. In all these
    cases no file is left there.
    """
    target, wish = Path(path), wish or Wish()
    check_target(target, overwrite)
    load("onnxruntime")
    check_opset(wish.opset)
    graph, batch, notes = _converted(network, wish)
    content = to_bytes(graph, wish.opset, wish.doc, wish.metadata)
    axes = _axes(graph, network)
    feeds = random_rows(network.symbol, axes, wish.scaling, batch)
    feeds |= {name: rows for name, rows in (samples or {}).items() if name in feeds}
    comparison = verify.compare(
        content, Reference(network, wish.scaling), graph, chunks(feeds, axes, batch)
    )
    tolerance = _tolerance(graph, wish)
    if comparison.difference > tolerance:
        raise DifferenceError(_explain(network, wish, comparison, tolerance, batch))
    atomic_write(target, content)
    return Report(
        path=target,
        size=len(content),
        opset=wish.opset,
        operators=dict(sorted(Counter(node.op_type for node in graph.nodes).items())),
        num_parameters=sum(graph.constants[name].size for name in graph.parameters),
        inputs=graph.inputs,
        outputs=graph.outputs,
        batch=batch,
        notes=[*notes, *graph.notes],
        rows=count_rows(feeds, axes, batch or 1),
        comparison=comparison,
        tolerance=tolerance,
    )


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a target that is a folder, lies in none, or is there already unless `overwrite`.

    Raises IsADirectoryError, FileNotFoundError or FileExistsError.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it, such as {path}/model.onnx")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there already; replace it with --overwrite")


def _converted(network: Network, wish: Wish) -> tuple[OnnxGraph, int | None, list[str]]:
    """Return the model, its one batch size or None, and what the user should know of that."""

    try:
        return _convert(network, wish, wish.batch), wish.batch, []
    except FixedBatchError as error:
        if wish.batch is not None:
            raise
        reason = str(error)
    try:
        graph = _convert(network, wish, wish.usual_batch)
    except (ExportError, RuntimeError) as error:
        raise ExportError(
            f"{error} (for a batch of {wish.usual_batch}; --batch-size gives another)"
        ) from error
    note = f"the model takes {wish.usual_batch} rows at a time: {reason}"
    return graph, wish.usual_batch, [note]


def _convert(network: Network, wish: Wish, batch: int | None) -> OnnxGraph:
    return convert(
        network.symbol,
        network.inputs,
        network.parameters,
        wish.opset,
        batch=batch,
        scaling=wish.scaling,
    )


def _axes(graph: OnnxGraph, network: Network) -> dict[str, Axes]:
    """Return the shapes of the inputs; in a model of one batch size they do not tell its axis."""
    return {port.name: network.inputs.get(port.name, port.axes) for port in graph.inputs}


def _tolerance(graph: OnnxGraph, wish: Wish) -> float:
    if wish.tolerance is not None:
        return wish.tolerance
    kinds = [str(array.dtype) for array in graph.constants.values()]
    kinds += [port.dtype for port in graph.inputs]
    kinds += [str(node.attributes.get("to")) for node in graph.nodes]
    return verify.TOLERANCE_FLOAT16 if "float16" in kinds else verify.TOLERANCE


def _explain(
    network: Network, wish: Wish, found: Comparison, tolerance: float, batch: int | None
) -> str:
    """Say how far apart the two are, and at which node that begins."""
    text = (
        f"the model differs from mxtrain by {found.difference:.3g} at output '{found.output}'; "
        f"{tolerance:g} is allowed (--tolerance). Nothing was written. "
    )
    whole = replace(network, symbol=internals(network.symbol))
    graph = _convert(whole, wish, batch)
    apart = verify.differences(
        to_bytes(graph, wish.opset, "", {}), Reference(whole, wish.scaling), graph, found
    )
    for entry, difference in zip(whole.symbol.entries, apart, strict=True):
        if difference > tolerance:
            return f"{text}It begins at {entry.node.described}, with {difference:.3g}"
    return f"{text}No node alone differs so much"
