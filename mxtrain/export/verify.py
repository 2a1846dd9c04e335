"""Whether an exported model computes what the executor computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mxtrain.export.axes import Axes, at_batch
from mxtrain.export.graph import OnnxGraph
from mxtrain.export.preprocessing import Scaling
from mxtrain.export.runtime import Session
from mxtrain.export.samples import Array, Feeds
from mxtrain.symbol import Symbol

# A number is compared by |model - mxtrain| / max(1, |mxtrain|): absolutely up to 1, relative above.
TOLERANCE = 1e-5
# onnxruntime computes most of float16 in float32, mxtrain rounds every step.
TOLERANCE_FLOAT16 = 1e-2


@dataclass(frozen=True)
class Network:
    """What is exported: a graph, its weights, and its data inputs with their shapes."""

    symbol: Symbol
    arg_params: Mapping[str, Any]
    aux_params: Mapping[str, Any]
    inputs: Mapping[str, Axes]

    @property
    def parameters(self) -> dict[str, Any]:
        """Arguments and auxiliary states by name."""
        return {
            name: np.asarray(array)
            for name, array in [*self.arg_params.items(), *self.aux_params.items()]
        }


@dataclass(frozen=True)
class Comparison:
    """How far apart the two are.

    `difference` is the largest, found in `output` on the rows `feeds`, a batch of `batch`.
    `batches` are the batch sizes that were tried.
    """

    difference: float
    output: str
    feeds: Feeds
    batch: int
    batches: tuple[int, ...] = ()


class Reference:
    """The executor, for any batch size."""

    def __init__(self, network: Network, scaling: Mapping[str, Scaling]) -> None:
        self._network, self._scaling = network, scaling
        self._executors: dict[int, Any] = {}

    def run(self, feeds: Feeds, batch: int) -> list[Array]:
        """Return the outputs for rows as they stand in a file."""
        if batch not in self._executors:
            self._executors[batch] = self._bind(batch)
        given = {
            name: self._scaling[name].apply(rows) if name in self._scaling else rows
            for name, rows in feeds.items()
        }
        executor = self._executors[batch]
        return [out.asnumpy() for out in executor.forward(is_train=False, **given)]

    def _bind(self, batch: int) -> Any:
        network = self._network
        shapes = {name: at_batch(axes, batch) for name, axes in network.inputs.items()}
        types = {name: array.dtype for name, array in network.parameters.items()}
        executor = network.symbol.simple_bind(grad_req="null", type_dict=types, **shapes)
        executor.copy_params_from(network.arg_params, network.aux_params, allow_extra_params=True)
        return executor


def compare(
    content: bytes,
    reference: Reference,
    graph: OnnxGraph,
    pieces: Iterable[tuple[int, Feeds]],
) -> Comparison:
    """Run the model and the executor on the same rows.

    Parameters
    ----------
    content : the model's file.
    reference : the executor.
    graph : what the file was made from.
    pieces : batches: their size, and rows for each input as they stand in a file.
    """
    session = Session(content)
    names = [port.name for port in graph.outputs]
    found = Comparison(-1.0, names[0], {}, 0)
    for size, piece in pieces:
        given = {port.name: piece[port.name].astype(port.dtype) for port in graph.inputs}
        for name, one, other in zip(
            names, session.run(given), reference.run(piece, size), strict=True
        ):
            apart = difference(one, other)
            if apart > found.difference:
                found = replace(found, difference=apart, output=name, feeds=piece, batch=size)
        batches = found.batches if size in found.batches else (*found.batches, size)
        found = replace(found, batches=batches)
    return found


def differences(
    content: bytes, reference: Reference, graph: OnnxGraph, where: Comparison
) -> list[float]:
    """Return the difference of every output on the rows another comparison found."""
    # An input that only a dropped node reads, such as a label, has no rows.
    given = {
        port.name: where.feeds[port.name].astype(port.dtype)
        if port.name in where.feeds
        else np.zeros(at_batch(port.axes, where.batch), port.dtype)
        for port in graph.inputs
    }
    outputs = zip(Session(content).run(given), reference.run(where.feeds, where.batch), strict=True)
    return [difference(one, other) for one, other in outputs]


def difference(found: Array, wanted: Array) -> float:
    """Return the largest |found - wanted| / max(1, |wanted|); infinite for other shapes or types.

    Numbers that are not finite must be the same ones.
    """
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float("inf")
    one, other = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other) / np.maximum(1, np.abs(other))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    apart[same] = 0
    apart[np.isnan(apart)] = np.inf
    return float(apart.max(initial=0))
