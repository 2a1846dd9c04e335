"""YAML's syntax errors in plain words."""

from __future__ import annotations

import re
from typing import Any

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_PLAIN: tuple[tuple[str, str], ...] = (
    (
        "mapping values are not allowed",
        "a ':' cannot stand here; check the indentation, and the line above for a missing ':'",
    ),
    ("expected <document start>", "indented less than the first line; all keys start alike"),
    ("could not find expected ':'", "a ':' is missing after the key"),
    ("did not find expected key", "a key is expected here; check indentation and brackets"),
    ("did not find expected '-' indicator", "a '-' is expected here; check the indentation"),
    ("expected <block end>", "not part of the block above; check the indentation"),
    ("block sequence entries are not allowed", "a '-' cannot stand here; put it on its own line"),
    ("found unexpected end of stream", "the quote that opens at {context} is not closed"),
    ("did not find expected ',' or ']'", "the '[' at {context} is not closed, or a ',' is missing"),
    (
        "did not find expected ',' or '}'",
        "the '{{' at {context} is not closed, or a ',' is missing",
    ),
    ("expected ',' or ']'", "the '[' at {context} is not closed, or a ',' is missing"),
    ("expected ',' or '}'", "the '{{' at {context} is not closed, or a ',' is missing"),
    ("unknown escape character", "unknown escape after '\\'; use single quotes"),
    ("cannot start any token", "this character cannot start a value; put the text in quotes"),
    ("did not find expected node content", "a value is expected here"),
    ("expected the node content", "a value is expected here"),
    ("undefined tag handle", "a value cannot start with '!'; put the text in quotes"),
)


def explain(error: Any, text: str) -> tuple[int, int, str]:
    """Return line and column (from 1) and a plain sentence for an error of the YAML parser."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return _bad_character(text)
    lines = text.split("\n")
    for number in (mark.line, mark.line - 1):
        if 0 <= number < len(lines) and (found := re.match(r" *\t", lines[number])):
            return number + 1, found.end(), "a tab indents this line; YAML wants spaces"
    problem = str(error.problem or error.context or error)
    context = getattr(error, "context_mark", None) or mark
    for words, plain in _PLAIN:
        if words in problem:
            place = f"{context.line + 1}:{context.column + 1}"
            return mark.line + 1, mark.column + 1, plain.format(context=place)
    return mark.line + 1, mark.column + 1, f"not valid YAML: {problem}"


def _bad_character(text: str) -> tuple[int, int, str]:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return 1, 1, "not valid YAML text"
    line = text.count("\n", 0, found.start()) + 1
    column = found.start() - (text.rfind("\n", 0, found.start()) + 1) + 1
    return line, column, f"character U+{ord(found.group()):04X} cannot stand in YAML"
