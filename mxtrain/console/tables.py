"""Tables of the commands: drawn by rich on a terminal, plain aligned text anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from mxtrain.console.glyphs import glyphs_for, write

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


@dataclass(frozen=True)
class Sheet:
    """A table of text.

    Parameters
    ----------
    headers : the names of the columns.
    rows : one tuple of cells per row, as long as `headers`. A terminal shows the further lines of
        a cell dimmed.
    right : the numbers of the columns that are aligned to the right.
    wide : the numbers of the columns of prose, which a terminal wraps; others are kept whole.
    title : a line above the table.
    """

    headers: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    right: tuple[int, ...] = ()
    wide: tuple[int, ...] = ()
    title: str = ""


def show(sheet: Sheet, stream: TextIO) -> None:
    """Write `sheet` to `stream`, in the form that suits it.

    In a pipe every row is one line, however long, so that ``grep`` and ``cut`` work.
    """
    if stream.isatty():
        from rich.console import Console

        draw(sheet, Console(file=stream, highlight=False))
        return
    if sheet.title:
        write(stream, sheet.title)
    for line in aligned([sheet.headers, *sheet.rows], sheet.right):
        write(stream, line)


def draw(sheet: Sheet, console: Console) -> None:
    """Write `sheet` to a terminal, without a frame; a long title is as wide as the terminal."""
    from rich.table import Table
    from rich.text import Text

    if sheet.title:
        console.print(Text(sheet.title, "bold"))
    table = Table(box=None, pad_edge=False)
    table.header_style = "bold cyan"
    for index, header in enumerate(sheet.headers):
        table.add_column(
            header,
            justify="right" if index in sheet.right else "left",
            no_wrap=index not in sheet.wide,
            overflow="fold",
        )
    for row in sheet.rows:
        table.add_row(*map(_cell, row))
    console.print(table)


def _cell(text: str) -> Text:
    from rich.text import Text

    first, _, further = text.partition("\n")
    return Text.assemble(first, "\n" if further else "", (further, "dim"))


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Return lines with the cells of each column below one another, two spaces apart.

    >>> aligned([("name", "rows"), ("train.csv", "1,437")], right=(1,))
    ['name        rows', 'train.csv  1,437']
    """
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def paragraph(text: str, stream: TextIO, indent: str = "") -> None:
    """Write prose: wrapped to a terminal's width, or at 80 characters elsewhere."""
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size().columns, 100) if stream.isatty() else 80
    for line in textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent):
        write(stream, line)


def labelled(lines: Sequence[tuple[str, str]], stream: TextIO) -> None:
    """Write (label, text) lines with the texts below one another, wrapped on a terminal."""
    import shutil
    import textwrap

    width = max((len(label) for label, _ in lines), default=0) + 2
    columns = min(shutil.get_terminal_size().columns, 100) if stream.isatty() else 10**6
    for label, text in lines:
        for number, part in enumerate(textwrap.wrap(text, max(columns - width, 20)) or [""]):
            write(stream, f"{'' if number else label:<{width}}{part}".rstrip())


def heading(text: str, stream: TextIO) -> None:
    """Write the heading of a section, underlined."""
    write(stream, text)
    write(stream, glyphs_for(stream).rule * len(text))
