"""Writing a matrix in the other order, by blocks that fit the registers."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from mxtrain.backend.compiled.pointers import load_float32, store_float32

SIDE = 8  # rows and columns of a block
_ROW = ir.VectorType(ir.FloatType(), SIDE)


def _interleaved(builder: Any, one: Any, other: Any) -> tuple[Any, Any]:
    """Return the elements of two rows in turns: their first halves, and their second halves."""

    def picked(start: int) -> Any:
        places = [start + n // 2 + SIDE * (n % 2) for n in range(SIDE)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), SIDE), places)
        return builder.shuffle_vector(one, other, mask)

    return picked(0), picked(SIDE // 2)


def _transpose_block(
    context: Any, source: Any, source_stride: Any, target: Any, target_stride: Any
) -> Any:
    """Transpose a block at an address into one at another; strides are the bytes of a row."""

    def generate(target_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def place(address: Any, stride: Any, number: int) -> Any:
            moved = builder.add(address, builder.mul(stride, ir.Constant(stride.type, number)))
            return builder.inttoptr(moved, _ROW.as_pointer())

        read, read_stride, written, written_stride = arguments
        rows = [builder.load(place(read, read_stride, n), align=4) for n in range(SIDE)]
        # Interleaving row n with row n + SIDE / 2 moves the last bit of a row's number to the front
        # of its elements' numbers; after log2(SIDE) times all have changed places.
        for _ in range(SIDE.bit_length() - 1):
            halves = zip(rows[: SIDE // 2], rows[SIDE // 2 :], strict=True)
            rows = [row for pair in halves for row in _interleaved(builder, *pair)]
        for number, row in enumerate(rows):
            builder.store(row, place(written, written_stride, number), align=4)
        return target_context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


_block: Any = intrinsic(_transpose_block)


@njit(error_model="numpy")
def transpose_float32(source, target, rows, columns):  # type: ignore[no-untyped-def]
    """Write the transpose of a matrix of so many rows and columns; all words are addresses."""
    whole_rows, whole_columns = rows // SIDE * SIDE, columns // SIDE * SIDE
    for row in range(0, whole_rows, SIDE):
        for column in range(0, whole_columns, SIDE):
            begin = source + 4 * (row * columns + column)
            _block(begin, 4 * columns, target + 4 * (column * rows + row), 4 * rows)
    for row in range(rows):
        for column in range(whole_columns if row < whole_rows else 0, columns):
            value = load_float32(source, row * columns + column, 0, 2)
            store_float32(target, column * rows + row, value, 1, 2)
