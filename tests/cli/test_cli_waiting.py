"""Whoever sits at a terminal is told why a run does not begin at once, and nobody else."""

from __future__ import annotations

import io
import sys

import pytest

from mxtrain.backend import waiting
from mxtrain.cli.training import told_of_waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "wanted", "told"),
    [
        (Terminal(), True, "compiling\n"),
        (Terminal(), False, ""),
        (io.StringIO(), True, ""),
    ],
    ids=["terminal", "quiet", "file"],
)
def test_who_is_told(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, wanted: bool, told: str
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with told_of_waiting(wanted):
        waiting.say("compiling")
        waiting.say("compiling again")  # once is enough
    waiting.say("nobody listens any more")
    assert stream.getvalue() == told
