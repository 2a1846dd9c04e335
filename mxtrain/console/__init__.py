"""What a run looks like: a live table, plain lines, JSON lines, or nothing.

The trainer reports numbers (`mxtrain.trainer.report`); the reporters here decide how they look.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol, TextIO

from mxtrain.trainer.report import Reporter


class ConsoleReporter(Reporter, Protocol):
    """A reporter that owns part of the terminal until it is closed."""

    def close(self) -> None:
        """Give the terminal back; safe to call twice, and after an exception."""


def make_reporter(json: bool, quiet: bool, stream: TextIO) -> ConsoleReporter:
    """Return the reporter for `stream`: live on a terminal, plain lines anywhere else.

    `json` asks for JSON lines and `quiet` for silence until the run has ended; with both, the one
    line is the result.
    """
    if json:
        from mxtrain.console.jsonl import JsonReporter
        from mxtrain.console.quiet import QuietReporter

        reporter = JsonReporter(stream)
        return QuietReporter(sys.stderr, last=reporter) if quiet else reporter
    if quiet:
        from mxtrain.console.quiet import QuietReporter

        return QuietReporter(sys.stderr)
    if can_redraw(stream):
        from mxtrain.console.live import LiveReporter

        return LiveReporter(stream)
    from mxtrain.console.plain import PlainReporter

    return PlainReporter(stream)


def can_redraw(stream: TextIO) -> bool:
    """Return whether `stream` is a terminal whose cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM", "") not in {"dumb", "unknown"}
