"""Tables that lose their least important columns where a terminal is too narrow for them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from mxtrain.console.glyphs import glyphs_for
from mxtrain.console.tables import Sheet, show


@dataclass(frozen=True)
class Column:
    """A column of text: a narrow terminal loses the highest `rank` first, and never rank 0."""

    header: str
    cells: Sequence[str]
    rank: float = 0
    right: bool = True


def show_columns(columns: Sequence[Column], stream: TextIO) -> None:
    """Write a table: all columns in a pipe, on a terminal those that fit its width.

    Where even the columns of rank 0 do not fit, the first one is shortened in its middle.
    """
    kept = list(columns)
    if stream.isatty():
        room = shutil.get_terminal_size().columns
        while _width(kept) > room and any(column.rank for column in kept):
            kept.remove(max(kept, key=lambda column: column.rank))
        excess = _width(kept) - room
        if excess > 0:
            kept[0] = _narrowed(kept[0], excess, glyphs_for(stream).dots)
    rows = list(zip(*(column.cells for column in kept), strict=True))
    right = tuple(index for index, column in enumerate(kept) if column.right)
    show(Sheet(tuple(column.header for column in kept), rows, right=right), stream)


def _width(columns: Sequence[Column]) -> int:
    return sum(_widest(column) for column in columns) + 2 * (len(columns) - 1)


def _widest(column: Column) -> int:
    return max(map(len, (column.header, *column.cells)))


def _narrowed(column: Column, excess: int, dots: str) -> Column:
    width = max(_widest(column) - excess, 2 * len(dots) + 2)
    cells = [shortened(cell, width, dots) for cell in column.cells]
    return Column(column.header, cells, column.rank, column.right)


def shortened(text: str, width: int, dots: str) -> str:
    """Return `text` in at most `width` characters: the middle of a longer one is left out.

    >>> shortened("stage1_unit2_conv3_weight", 16, "...")
    'stage1_...weight'
    """
    if len(text) <= width:
        return text
    tail = (width - len(dots)) // 2
    return text[: width - len(dots) - tail] + dots + text[len(text) - tail :]
