"""What all measurements are told, and what they write down on the way."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers import Workers


@dataclass(frozen=True)
class Options:
    """How long to measure.

    rounds : how often every side is measured. block : seconds of one measurement.
    quick : fewer and smaller cases, for trying the command out.
    """

    rounds: int = 15
    block: float = 0.1
    quick: bool = False

    def fewer(self, values: Sequence[Any], count: int = 2) -> Sequence[Any]:
        """Return all values, or the first few of a quick run."""
        return values[:count] if self.quick else values


@dataclass
class Bench:
    """A run of the command: its options, its processes, and what is to be told beside figures."""

    options: Options
    workers: Workers
    notices: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def notice(self, text: str) -> None:
        """Keep what a reader must know, once."""
        if text not in self.notices:
            self.notices.append(text)
            self.progress(text)

    def failure(self, text: str) -> None:
        """Keep what went wrong: the command goes on and ends with status 1."""
        self.failures.append(text)
        self.progress(f"failed: {text}")

    def progress(self, text: str) -> None:
        """Tell the person at the terminal."""
        print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Table:
    """A table of results: cells are text, the first column is a name."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Curve:
    """A line of a plot."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """Lines over logarithmic axes, as plain data."""

    name: str
    title: str
    x: str
    y: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Topic:
    """One part of the command.

    measure : returns what was measured, as JSON can keep it.
    tables, plots : what is shown of that.
    """

    key: str
    title: str
    measure: Callable[[Bench], Any]
    tables: Callable[[Any], list[Table]]
    plots: Callable[[Any], list[Plot]] = lambda data: []
