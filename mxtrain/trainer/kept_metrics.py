"""The metrics that a run has written before it goes on: whole, or what an edit has left of them.

``metrics.jsonl`` and ``metrics.csv`` hold the same rows, so each can be told from the other.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.folder import EDITED, METRICS, METRICS_CSV, METRICS_JSONL
from mxtrain.trainer.metric_lines import Row, as_csv, as_json, csv_rows, json_rows

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass
class KeptMetrics:
    """What the metrics files have to hold when a run goes on.

    `contents` are the bytes by file. `notes` say what was not as the run wrote it. `aside` are the
    files whose rows had to be taken from somewhere, and under which name the old one is kept.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    aside: dict[str, str] = field(default_factory=dict)


def read_metrics(
    folder: Path,
    recorded: Mapping[str, Mapping[str, Any]],
    epochs: Sequence[int],
    columns: Sequence[str],
    force: bool,
) -> KeptMetrics:
    """Return what the metrics files held when `recorded`, their lengths and SHA-256, was stored.

    A file that does not begin so is refused (SetupError) unless `force`. Then an editor's line ends
    and coding are undone; where that is not all, rows are taken from the other file, or as they are
    where that is no better. `epochs` are those that have rows, `columns` what a row holds.
    """
    kept = KeptMetrics()
    for name in METRICS:
        content = _read(folder / name)
        for tried in (content, *_put_right(content)) if force else (content,):
            start = tried[: recorded[name]["bytes"]]
            if hashlib.sha256(start).hexdigest() == recorded[name]["sha256"]:
                kept.contents[name] = start
                if tried is not content:
                    kept.notes.append(
                        f"{folder / name} had another program's line ends or coding; it is written "
                        "as it was, no row differs"
                    )
                break
        else:
            if not force:
                raise SetupError(_refusal(folder / name, recorded[name]["bytes"]))
            kept.aside[name] = _free_name(folder, name)
    if kept.aside:
        _take_rows(folder, kept, epochs, columns)
    return kept


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _put_right(content: bytes) -> Iterable[bytes]:
    """Yield content as the run may have written it, before an editor saved it in its own way."""
    text = _decoded(content)
    if text is not None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n")
        yield lines.encode()
        yield f"{lines}\n".encode()


def _decoded(content: bytes) -> str | None:
    """Return the text of a file, without a byte order mark; None where it is no text."""
    marked = (pair for pair in _BYTE_ORDER_MARKS if content.startswith(pair[0]))
    mark, coding = next(marked, (b"", "utf-8"))
    try:
        return content[len(mark) :].decode(coding)
    except UnicodeDecodeError:
        return None


def _refusal(path: Path, size: int) -> str:
    wrong = f"is not as the run wrote it (SHA-256 of its first {size} bytes)"
    return (
        f"{path} {wrong if path.exists() else 'is missing'}; put it back as it was, take the rows "
        "that are left with --force, or begin a new run from the weights: "
        f"mxtrain fit CONFIG --weights {path.parent}"
    )


def _take_rows(
    folder: Path, kept: KeptMetrics, epochs: Sequence[int], columns: Sequence[str]
) -> None:
    """Fill in the contents of the replaced files, and say where their rows are from."""
    found = {
        name: _decoded(kept.contents.get(name, _read(folder / name))) or "" for name in METRICS
    }
    rows = {
        METRICS_JSONL: _rows(json_rows(found[METRICS_JSONL]), epochs),
        METRICS_CSV: _rows(csv_rows(found[METRICS_CSV]), epochs),
    }
    whole = set(kept.contents)
    for name, aside in kept.aside.items():
        other = METRICS[1 - METRICS.index(name)]
        own = {} if other in whole else rows[name]
        merged = {
            epoch: rows[other].get(epoch, {}) | own.get(epoch, {})
            for epoch in epochs
            if epoch in own or epoch in rows[other]
        }
        if other in whole and merged:
            columns = list(next(iter(merged.values())))
        write = as_csv if name == METRICS_CSV else as_json
        kept.contents[name] = write(list(merged.values()), columns).encode()
        kept.notes.append(
            "; ".join([_what(folder / name, aside), *_from(own, merged, epochs, other)])
        )


def _free_name(folder: Path, name: str) -> str:
    """Return a name under which a file can be kept aside."""
    number, free = 1, name + EDITED
    while (folder / free).exists():
        number += 1
        free = f"{name}{EDITED}{number}"
    return free


def _what(path: Path, aside: str) -> str:
    if not path.exists():
        return f"{path} is missing"
    return f"{path} is not as the run wrote it (SHA-256), and is kept as {aside}"


def _from(
    own: Mapping[int, Row], merged: Mapping[int, Row], epochs: Sequence[int], other: str
) -> list[str]:
    """Say where the rows are from, and which are lost."""
    parts = []
    if own:
        parts.append(f"rows taken as they stand there: {_epochs(own)}")
    lent = [epoch for epoch in merged if epoch not in own]
    if lent:
        parts.append(f"rows taken from {other}: {_epochs(lent)}")
    lost = [epoch for epoch in epochs if epoch not in merged]
    if lost:
        parts.append(f"rows lost: {_epochs(lost)}")
    return parts


def _epochs(numbers: Collection[int]) -> str:
    """Return epochs in words, those in sequence by their ends.

    >>> _epochs([1, 2, 3, 5, 7, 8])
    'epochs 1-3, 5, 7-8'
    """
    spans: list[list[int]] = []
    for epoch in numbers:
        if spans and epoch == spans[-1][-1] + 1:
            spans[-1][1:] = [epoch]
        else:
            spans.append([epoch])
    listed = ", ".join("-".join(map(str, span)) for span in spans)
    return f"epoch{'s' if len(numbers) > 1 else ''} {listed}"


def _rows(rows: Iterable[Row], epochs: Sequence[int]) -> dict[int, Row]:
    return {row["epoch"]: row for row in rows if row.get("epoch") in epochs}
