"""What a model is worth, as tables: loss and metrics, classes, and which is taken for which."""

from __future__ import annotations

from typing import TextIO

from mxtrain.console.format import count, metric
from mxtrain.console.glyphs import write
from mxtrain.console.tables import Sheet, aligned, show
from mxtrain.trainer.confusion import Confusion
from mxtrain.trainer.evaluate import Evaluation

WIDTH = 78
MOST_MISTAKES = 12
LONGEST_HEADER = 6


def show_evaluation(found: Evaluation, stream: TextIO) -> None:
    """Write an evaluation to `stream`."""
    epoch = "" if found.epoch is None else f", epoch {found.epoch}"
    write(stream, f"model  {found.weights}{epoch}")
    write(stream, f"data   {found.data}, {count(found.rows, 'row')}")
    write(stream, "")
    rows = [(name, f"{value:.6g}") for name, value in found.values.items()]
    show(Sheet(("metric", "value"), rows, right=(1,)), stream)
    for each in found.confusion:
        write(stream, "")
        _show_classes(each, stream, len(found.confusion) > 1)
        write(stream, "")
        _show_confusion(each, stream)


def _show_classes(found: Confusion, stream: TextIO, named: bool) -> None:
    rows = [
        (row.name, count(row.count), metric(row.precision), metric(row.recall))
        for row in found.rows()
    ]
    headers = ("class", "rows", "precision", "recall")
    show(Sheet(headers, rows, right=(1, 2, 3), title=found.node if named else ""), stream)


def _show_confusion(found: Confusion, stream: TextIO) -> None:
    """The whole matrix where it fits, else the most frequent mistakes."""
    show(_matrix(found) or _mistakes(found), stream)


def _matrix(found: Confusion) -> Sheet | None:
    """A row and a column for each class; None where it is too wide, or names cut are the same."""
    names = [_short(name) for name in found.classes]
    rows = [
        (name, *(count(number) if number else "." for number in row))
        for name, row in zip(found.classes, found.counts, strict=True)
    ]
    headers = ("class", *names)
    numbers = tuple(range(1, len(headers)))
    if len(set(names)) < len(names) or len(aligned([headers, *rows], numbers)[0]) > WIDTH:
        return None
    return Sheet(headers, rows, right=numbers, title="rows: the class; columns: taken for")


def _mistakes(found: Confusion) -> Sheet:
    mistakes = sorted(
        (-number, true, told)
        for true, row in zip(found.classes, found.counts, strict=True)
        for told, number in zip(found.classes, row, strict=True)
        if number and told != true
    )
    rows = [(true, told, count(-number)) for number, true, told in mistakes[:MOST_MISTAKES]]
    title = "the most frequent mistakes" if rows else "no mistakes"
    return Sheet(("class", "taken for", "rows"), rows, right=(2,), title=title)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_HEADER else name[: LONGEST_HEADER - 1] + "."
