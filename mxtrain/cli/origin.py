"""Where an algorithm comes from, and what it keeps for each weight."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.cli.catalog import Entry

_PAPER = re.compile(r"\(([^()]*\b(?:19|20)\d\d\b[^()]*)\)")
_SOURCE = re.compile(r"^Source: (.*?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_REFERENCE = re.compile(r"^(?:MXNet|``mxnet\.)")


def source(entry: Entry) -> str:
    """Return the papers that the first line names, and the paragraph ``Source`` of the docstring.

    Empty when there is neither.
    """
    return "; ".join([*_papers(entry), *_paragraph(entry)])


def short_source(entry: Entry) -> str:
    """Return the same in few words: of MXNet its release alone, else the first sentence."""
    found = []
    for text in _paragraph(entry):
        first = re.split(r"(?<=[a-z\d)`])[.;](?:\s|$)", text)[0]
        found.append("MXNet 1.9.1" if _REFERENCE.match(text) else first)
    return "; ".join([*_papers(entry), *found])


def _papers(entry: Entry) -> list[str]:
    return _PAPER.findall(entry.meaning)


def _paragraph(entry: Entry) -> list[str]:
    return [" ".join(text.split()) for text in _SOURCE.findall(entry.docstring)]


def states(entry: Entry) -> str:
    """Return how many numbers an optimizer keeps for each weight, with their names.

    Empty for what is no optimizer.
    """
    if entry.kind != "optimizer":
        return ""
    forms = [f"{len(form['names'])}{_when(form)}" for form in state_forms(entry)]
    return "; ".join(forms) or getattr(entry.cls, "keeps", "") or "as its create_state makes them"


def state_forms(entry: Entry) -> list[dict[str, Any]]:
    """Return the states of an optimizer for JSON: names, and the setting that asks for them."""
    from mxtrain.optimizer.states import states_of

    return [{"names": list(form.names), "when": form.when} for form in states_of(entry.cls)]


def _when(form: dict[str, Any]) -> str:
    names = f" ({', '.join(form['names'])})" if form["names"] else ""
    return f"{names} {form['when']}".rstrip()
