"""A model as ONNX writes it: the bytes of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mxtrain.export.axes import BATCH, Free
from mxtrain.export.errors import ExportError
from mxtrain.export.graph import OnnxGraph, Port
from mxtrain.export.libraries import load
from mxtrain.version import __version__

DEFAULT_OPSET, LEAST_OPSET = 17, 13
# Protocol buffers stop at 2 GiB; what is not weights is small.
LARGEST = (1 << 31) - (1 << 24)


def check_opset(opset: int) -> None:
    """Refuse (ExportError) an operator set that is too old, or unknown to the library."""
    newest = load("onnx.defs").onnx_opset_version()
    if not LEAST_OPSET <= opset <= newest:
        raise ExportError(
            f"operator set {opset} cannot be written; the onnx installed here knows "
            f"{LEAST_OPSET} to {newest}"
        )


def to_bytes(graph: OnnxGraph, opset: int, doc: str, metadata: Mapping[str, str]) -> bytes:
    """Return the model file, checked by the library of ONNX itself.

    Raises ExportError for a model larger than one file can be.
    """
    _refuse_large(graph)
    onnx = load("onnx")
    helper = load("onnx.helper")
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        helper.make_graph(
            [_node(helper, node) for node in graph.nodes],
            "mxtrain",
            [_port(helper, port) for port in graph.inputs],
            [_port(helper, port) for port in graph.outputs],
            [_tensor(array, name) for name, array in graph.constants.items()],
        ),
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),
        producer_name="mxtrain",
        producer_version=__version__,
        doc_string=doc,
    )
    helper.set_model_props(model, dict(metadata))
    load("onnx.checker").check_model(model, full_check=True)
    content: bytes = onnx.ModelProto.SerializeToString(model)
    return content


def _refuse_large(graph: OnnxGraph) -> None:
    size = sum(array.nbytes for array in graph.constants.values())
    if size > LARGEST:
        raise ExportError(
            f"the weights have {size} bytes; an ONNX file holds at most {LARGEST}, and weights in "
            "files of their own are not written"
        )


def _node(helper: Any, node: Any) -> Any:
    attributes = {key: _attribute(helper, value) for key, value in node.attributes.items()}
    return helper.make_node(node.op_type, node.inputs, node.outputs, name=node.name, **attributes)


def _attribute(helper: Any, value: Any) -> Any:
    if isinstance(value, np.dtype):
        return helper.np_dtype_to_tensor_dtype(value)
    return _tensor(value, "") if isinstance(value, np.ndarray) else value


def _tensor(array: Any, name: str) -> Any:
    return load("onnx.numpy_helper").from_array(np.asarray(array), name)


def _port(helper: Any, port: Port) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    shape = [
        axis if isinstance(axis, int) else axis_name(port.name, number, axis)
        for number, axis in enumerate(port.axes)
    ]
    return helper.make_tensor_value_info(port.name, kind, shape)


def axis_name(port: str, number: int, axis: Free) -> str:
    """Return the name of an axis that follows the batch."""
    return "batch" if axis == BATCH else f"{port}_axis{number}"
