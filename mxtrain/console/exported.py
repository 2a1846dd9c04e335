"""What `mxtrain export` shows of a written model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from mxtrain.console.format import count, size
from mxtrain.console.tables import labelled

if TYPE_CHECKING:
    from mxtrain.export.graph import Port
    from mxtrain.trainer.export import Exported


def show_exported(exported: Exported, stream: TextIO) -> None:
    """Write what the model is, and how close it comes to the executor."""
    report, found = exported.report, exported.report.comparison
    operators = ", ".join(f"{number} {name}" for name, number in report.operators.items())
    lines = [
        ("model", f"{report.path}, {size(report.size)}, ONNX operator set {report.opset}"),
        ("network", f"{count(report.num_parameters, 'parameter')}; {operators}"),
    ]
    lines += [("input", _port(port, exported.scaled.get(port.name, ""))) for port in report.inputs]
    lines += [("output", _port(port, "")) for port in report.outputs]
    lines += [("note", note) for note in [*report.notes, exported.missing] if note]
    if exported.rows == "random":
        what = count(report.rows, "random row")
    else:
        what = f"{count(report.rows, 'row')} of {exported.rows}"
    lines += [
        ("compared", f"with mxtrain on {what}, in batches of {_listed(found.batches)}"),
        ("difference", f"{found.difference:.2g}, allowed is {report.tolerance:g}"),
    ]
    labelled(lines, stream)


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _port(port: Port, scale: str) -> str:
    shape = " x ".join(map(str, shape_of(port)))
    inside = f", scaled by the model ({scale})" if scale else ""
    return f"{port.name}, {port.dtype}, {shape}{inside}"


def shape_of(port: Port) -> Sequence[int | str]:
    """Return the shape of an input or output, with names for the axes that follow the batch."""
    from mxtrain.export.proto import axis_name

    return [
        axis if isinstance(axis, int) else axis_name(port.name, number, axis)
        for number, axis in enumerate(port.axes)
    ]


def as_json(exported: Exported) -> dict[str, Any]:
    """Return the same as plain values."""
    report, found = exported.report, exported.report.comparison
    ports = {
        side: [
            {"name": port.name, "dtype": port.dtype, "shape": list(shape_of(port))}
            for port in listed
        ]
        for side, listed in (("inputs", report.inputs), ("outputs", report.outputs))
    }
    return {
        "model": str(report.path),
        "bytes": report.size,
        "opset": report.opset,
        "operators": report.operators,
        "parameters": report.num_parameters,
        **ports,
        "scaled_inside": exported.scaled,
        "batch_size": report.batch,
        "notes": [note for note in [*report.notes, exported.missing] if note],
        "compared_on": exported.rows,
        "rows": report.rows,
        "batches": found.batches,
        "difference": found.difference,
        "tolerance": report.tolerance,
    }
