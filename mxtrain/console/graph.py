"""Shows a graph: its operators, what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from mxtrain.console.arrays import shape_text
from mxtrain.console.fitting import Column, show_columns
from mxtrain.console.format import count
from mxtrain.console.glyphs import write
from mxtrain.console.tables import Sheet, paragraph, show
from mxtrain.inspection.graph import GraphReport


def show_graph(report: GraphReport, stream: TextIO) -> None:
    """Write what a ``-symbol.json`` holds to `stream`."""
    kinds = [variable.kind for variable in report.variables]
    parts = [
        f"format of {report.written_by}",
        count(len(report.nodes), "operator"),
        count(kinds.count("argument"), "argument"),
        f"{kinds.count('auxiliary')} auxiliary",
        count(kinds.count("output"), "output"),
    ]
    write(stream, f"{report.file}: {', '.join(parts)}")
    if report.weights:
        write(stream, f"shapes from {report.weights}; ? is what the data decides")
    for note in report.notes:
        paragraph(f"note: {note}", stream)
    for op, names in report.unknown.items():
        paragraph(f"unknown operator {op}: {', '.join(names)}", stream)
    operators = ", ".join(f"{op} {number}" for op, number in report.operators.items())
    if operators:
        paragraph(f"operators: {operators}", stream)
    if report.nodes:
        write(stream, "")
        _show_nodes(report, stream)
    write(stream, "")
    _show_variables(report, stream)


def _show_nodes(report: GraphReport, stream: TextIO) -> None:
    rows = [
        (
            node.name,
            node.op,
            *([_shape(node.shape)] if report.weights else []),
            ", ".join(f"{key}={value}" for key, value in node.attrs.items() if key[:2] != "__"),
        )
        for node in report.nodes
    ]
    headers = ("node", "operator", *(["output"] if report.weights else []), "attributes")
    show(Sheet(headers, rows, wide=(len(headers) - 1,)), stream)


def _show_variables(report: GraphReport, stream: TextIO) -> None:
    columns = [
        Column("name", [variable.name for variable in report.variables], right=False),
        Column("kind", [variable.kind for variable in report.variables], right=False),
    ]
    if report.weights:
        shapes = [_shape(variable.shape) for variable in report.variables]
        columns.append(Column("shape", shapes, right=False))
    show_columns(columns, stream)


def _shape(shape: Sequence[int] | None) -> str:
    if shape is None:
        return "?"
    return shape_text(shape) if all(shape) else "x".join(str(axis or "?") for axis in shape)
