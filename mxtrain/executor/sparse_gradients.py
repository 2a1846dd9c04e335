"""Which gradients are row-sparse: those of tables that one Embedding reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxtrain.sparse import RowSparseNDArray, zeros

if TYPE_CHECKING:
    from mxtrain.symbol.symbol import Symbol


def row_sparse_arguments(symbol: Symbol) -> set[str]:
    """Return the arguments that an Embedding with ``sparse_grad`` reads, and no other operator."""
    uses: dict[int, int] = {}
    tables = {}
    for node in symbol.nodes():
        for entry in node.inputs:
            uses[id(entry.node)] = uses.get(id(entry.node), 0) + 1
        if node.op == "Embedding" and getattr(node.operator, "sparse_grad", False):
            table = node.inputs[1].node
            if table.is_variable:
                tables[id(table)] = table.name
    return {name for key, name in tables.items() if uses[key] == 1}


def empty_gradient(shape: tuple[int, ...], dtype: Any) -> RowSparseNDArray:
    """Return a row-sparse gradient without rows."""
    made: RowSparseNDArray = zeros("row_sparse", shape, dtype=dtype)
    return made
