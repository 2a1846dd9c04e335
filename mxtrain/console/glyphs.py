"""The few characters beyond ASCII that the console draws with, and what stands in for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Glyphs:
    """Characters for drawing; `UNICODE` and `ASCII` are the two sets there are."""

    unicode: bool
    best: str
    arrow: str
    rule: str
    bar_done: str
    bar_tip: str
    bar_left: str
    dots: str
    skipped: str
    up: str
    down: str


UNICODE = Glyphs(True, "★", "→", "─", "━", "╸", "─", "…", "⋮", "↑", "↓")
ASCII = Glyphs(False, "*", "->", "-", "=", ">", "-", "...", ":", "^", "v")


def glyphs_for(stream: TextIO) -> Glyphs:
    """Return the set that `stream` can show, judged by its encoding."""
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("_", "-")
    return UNICODE if encoding in {"utf-8", "utf8", "utf-8-sig", "utf-16", "cp65001"} else ASCII


def write(stream: TextIO, text: str) -> None:
    """Write `text` and a newline at once; characters the encoding lacks are written escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()
