"""``mxtrain lr``: the learning rate over a run, before any training."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mxtrain.cli.options import CONFIG_OPTIONS, load_spec, shared

if TYPE_CHECKING:
    from mxtrain.console.tables import Sheet
    from mxtrain.trainer.report import Rates

MOST_ROWS = 20


@click.command("lr")
@shared(*CONFIG_OPTIONS, "as_json")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    device: int | None,
    math: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Show the learning rate of CONFIG (default: ./config.yaml) over the run.

    These are the rates that "mxtrain fit" uses, as a table and a plot. With --json there is one
    number per update.
    """
    spec = load_spec(config, overrides, backend, device, math, seed)
    from mxtrain.trainer.preview import rates

    found = rates(spec)
    if as_json:
        from dataclasses import asdict

        from mxtrain.console.jsonl import dumps

        click.echo(dumps(asdict(found)))
    else:
        _show(found)


def _show(found: Rates) -> None:
    from mxtrain.console.glyphs import glyphs_for, write
    from mxtrain.console.plot import plot
    from mxtrain.console.tables import show

    steps = _steps(found)
    sheet = _changes(found, steps) if len(steps) <= MOST_ROWS else _epochs(found)
    show(sheet, sys.stdout)
    width = min(shutil.get_terminal_size().columns, 100) if sys.stdout.isatty() else 80
    write(sys.stdout, "")
    for line in plot(found.rates, width, unicode=glyphs_for(sys.stdout).unicode):
        write(sys.stdout, line)
    write(sys.stdout, "learning rate over the updates of the run")


def _steps(found: Rates) -> list[tuple[int, int, float]]:
    """(first update, last update, rate) for each stretch of one rate, updates from 1."""
    steps: list[tuple[int, int, float]] = []
    for number, rate in enumerate(found.rates, start=1):
        if steps and steps[-1][2] == rate:
            steps[-1] = (steps[-1][0], number, rate)
        else:
            steps.append((number, number, rate))
    return steps


def _changes(found: Rates, steps: list[tuple[int, int, float]]) -> Sheet:
    """A row for each rate: few enough to name them all."""
    from mxtrain.console.tables import Sheet

    rows = [
        (_span(first, last), _span(_epoch(found, first), _epoch(found, last)), f"{rate:.6g}")
        for first, last, rate in steps
    ]
    return Sheet(("updates", "epochs", "rate"), rows, (0, 1, 2), title=_title(found))


def _epochs(found: Rates) -> Sheet:
    """A row for each epoch, or for some of them, evenly spread, in a long run."""
    from mxtrain.console.tables import Sheet

    size = max(found.batches_per_epoch, 1)
    number = -(-len(found.rates) // size)
    shown = min(number, MOST_ROWS)
    picked = sorted({round(i * (number - 1) / max(shown - 1, 1)) for i in range(shown)})
    rows = []
    for index in picked:
        first, last = index * size + 1, min((index + 1) * size, len(found.rates))
        ends = (f"{found.rates[first - 1]:.6g}", f"{found.rates[last - 1]:.6g}")
        rows.append((str(_epoch(found, first)), _span(first, last), *ends))
    headers = ("epoch", "updates", "first rate", "last rate")
    return Sheet(headers, rows, (0, 1, 2, 3), title=_title(found))


def _epoch(found: Rates, update: int) -> int:
    return found.begin_epoch + 1 + (update - 1) // max(found.batches_per_epoch, 1)


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _title(found: Rates) -> str:
    return f"{found.optimizer}, {found.lr_scheduler}"
