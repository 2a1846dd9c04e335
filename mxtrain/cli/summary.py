"""``mxtrain summary``: layers, shapes, parameters and memory of a config's network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mxtrain.cli.options import CONFIG_OPTIONS, load_spec, shared

if TYPE_CHECKING:
    from mxtrain.trainer.report import ParameterRow, Summary


@click.command("summary")
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
    """Show layers, shapes, parameters and memory of CONFIG (default: ./config.yaml).

    The memory is that of all arrays a run holds while it trains, those of its short last batches
    and of its eval rows included. The program itself comes on top, and so does, for a moment before
    training begins, what reading the data takes.
    """
    spec = load_spec(config, overrides, backend, device, math, seed)
    from mxtrain.trainer.preview import summary

    found = summary(spec)
    if as_json:
        from dataclasses import asdict

        from mxtrain.console.jsonl import dumps

        click.echo(dumps(asdict(found), indent=2))
    else:
        _show(found)


def _show(summary: Summary) -> None:
    from mxtrain.console.format import count, size
    from mxtrain.console.glyphs import write
    from mxtrain.console.tables import Sheet, show

    layers = [
        (row.name, row.op, _shape(row.output_shape), count(row.parameters), row.note)
        for row in summary.layers
    ]
    with_notes = 5 if any(row.note for row in summary.layers) else 4
    headers = ("layer", "operator", "output", "parameters", "note")[:with_notes]
    rows = [row[:with_notes] for row in layers]
    show(Sheet(headers, rows, right=(3,), wide=(4,), title=summary.network), sys.stdout)
    write(sys.stdout, "")
    parameters = [
        (row.name, _shape(row.shape), row.initializer, *_multipliers(row))
        for row in summary.parameters
    ]
    headers = ("parameter", "shape", "initializer", "lr_mult", "wd_mult")
    show(Sheet(headers, parameters, right=(3, 4), wide=(2,)), sys.stdout)
    write(sys.stdout, "")
    total = sum(number for _, number in summary.memory)
    memory = [*((what, size(number)) for what, number in summary.memory), ("total", size(total))]
    title = f"{count(summary.num_parameters, 'parameter')}; at batch size {summary.batch_size}"
    show(Sheet(("memory while training", "size"), memory, right=(1,), title=title), sys.stdout)


def _multipliers(row: ParameterRow) -> tuple[str, str]:
    return ("fixed", "-") if row.fixed else (f"{row.lr_mult:g}", f"{row.wd_mult:g}")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
