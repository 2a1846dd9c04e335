"""Docstrings as blocks of prose, formulas and code, with their markup taken off."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mxtrain.console.latex import unicode_math

_MATH_ROLE = re.compile(r":math:`([^`]*)`")
_OTHER_ROLE = re.compile(r":[\w:]+:`~?([^`<]*?)(?:\s*<[^`>]*>)?`")
_LITERAL = re.compile(r"``([^`]*)``|`([^`]*)`")
_UNDERLINE = re.compile(r"^([-=~])\1{2,}$")

LONGEST_FORMULA = 76


@dataclass(frozen=True)
class Block:
    """A part of a docstring; `kind` is ``text``, ``math``, ``code`` or ``heading``."""

    kind: str
    text: str


def blocks(docstring: str, unicode: bool = True) -> list[Block]:
    """Return the parts of a docstring that has been freed of its indentation.

    Formulas become Unicode text, or stay LaTeX where `unicode` cannot be shown.
    """
    found: list[Block] = []
    for lines in _paragraphs(docstring):
        found += _paragraph_blocks(lines, unicode)
    return found


def _paragraphs(docstring: str) -> list[list[str]]:
    """Groups of lines between empty ones; a directive keeps its indented body."""
    groups: list[list[str]] = [[]]
    in_directive = False
    for line in docstring.splitlines():
        if in_directive and line.strip() and not line.startswith(" "):
            in_directive = False
            groups.append([])
        if not line.strip() and not in_directive:
            groups.append([])
            continue
        if line.startswith(".. "):
            in_directive = True
            groups.append([])
        groups[-1].append(line)
    return [group for group in groups if any(line.strip() for line in group)]


def _paragraph_blocks(lines: list[str], unicode: bool) -> list[Block]:
    if lines[0].startswith(".. math::"):
        body = [lines[0].removeprefix(".. math::").strip(), *(line.strip() for line in lines[1:])]
        return [Block("math", _formula(part, unicode)) for part in _split_at_empty(body)]
    if lines[0].startswith(".. "):
        return [Block("text", plain(" ".join(line.strip() for line in lines[1:]), unicode))]
    if len(lines) > 1 and _UNDERLINE.match(lines[1]):
        rest = [_definitions(lines[2:], unicode)] if lines[2:] else []
        return [Block("heading", lines[0]), *rest]
    if lines[0].lstrip().startswith(">>>") or all(line.startswith("    ") for line in lines):
        return [Block("code", "\n".join(lines))]
    if lines[0].startswith(("- ", "* ", "| ")):
        return [Block("code", plain("\n".join(lines), unicode))]
    return [Block("text", plain(" ".join(line.strip() for line in lines), unicode))]


def _definitions(lines: list[str], unicode: bool) -> Block:
    """The body of a section: one line per entry, its continuation lines joined to it."""
    joined: list[str] = []
    for line in lines:
        if joined and line.startswith(" "):
            joined[-1] += " " + line.strip()
        else:
            joined.append(line.strip())
    return Block("code", "\n".join(plain(line, unicode) for line in joined))


def _split_at_empty(lines: list[str]) -> list[str]:
    """The formulas of one directive, which are separated by empty lines."""
    parts = re.split(r"\n\s*\n", "\n".join(lines).strip())
    return [part for part in parts if part.strip()]


def _formula(latex: str, unicode: bool) -> str:
    if not unicode:
        return latex
    text = unicode_math(latex.replace("\n", " "))
    # the parts of a formula stand side by side in LaTeX, which a terminal has no room for
    return text if len(text) <= LONGEST_FORMULA else text.replace("   ", "\n")


def plain(text: str, unicode: bool = True) -> str:
    r"""Return prose without its markup.

    >>> plain(r"the rate :math:`\eta` of `Adam`, see ``lr``")
    'the rate η of Adam, see lr'
    """
    text = _MATH_ROLE.sub(lambda found: _formula(found[1], unicode), text)
    text = _OTHER_ROLE.sub(lambda found: found[1].split(".")[-1], text)
    return _LITERAL.sub(lambda found: found[1] or found[2] or "", text)
