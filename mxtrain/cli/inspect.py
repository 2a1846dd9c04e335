"""``mxtrain inspect``: what lies in files and run folders."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mxtrain.cli.options import shared

if TYPE_CHECKING:
    from mxtrain.inspection.report import Report


@click.command("inspect")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option(
    "--name",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    help="Only arrays whose names match, e.g. 'fc*_weight'; repeatable.",
)
@shared("as_json")
def command(files: tuple[Path, ...], patterns: tuple[str, ...], as_json: bool) -> None:
    """Show what lies in each FILE.

    Of arrays (.params, .safetensors, .npz): names, shapes, statistics, how many are NaN, infinite
    or zero, a histogram. Statistics are those of the finite values. One array alone, chosen by
    --name, is shown in more detail.

    Of a graph (-symbol.json): operators, arguments, outputs, and shapes where weights of the same
    prefix lie beside it.

    Of a run's folder: what ran, how far it came, its checkpoints.
    """
    from mxtrain.inspection.report import report_of

    reports = [report_of(path, patterns) for path in files]
    if as_json:
        from mxtrain.console.jsonl import dumps
        from mxtrain.inspection.report import as_json as plain

        click.echo(dumps([plain(report) for report in reports], indent=2))
        return
    for index, report in enumerate(reports):
        if index:
            click.echo()
        _show(report)


def _show(report: Report) -> None:
    from mxtrain.inspection.arrays import ArraysReport
    from mxtrain.inspection.graph import GraphReport
    from mxtrain.inspection.report import StateFileReport

    if isinstance(report, ArraysReport):
        from mxtrain.console.arrays import show_arrays

        show_arrays(report, sys.stdout)
    elif isinstance(report, GraphReport):
        from mxtrain.console.graph import show_graph

        show_graph(report, sys.stdout)
    elif isinstance(report, StateFileReport):
        from mxtrain.console.arrays import show_arrays
        from mxtrain.console.run_folder import show_state

        show_state(report.state, report.arrays.file, sys.stdout)
        show_arrays(replace(report.arrays, metadata={}), sys.stdout)
    else:
        from mxtrain.console.run_folder import show_run

        show_run(report, sys.stdout)
