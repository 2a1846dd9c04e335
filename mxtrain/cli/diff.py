"""``mxtrain diff``: how two files or run folders differ."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import click

from mxtrain.cli.errors import UserError
from mxtrain.cli.options import shared

DIFFERENT = 1


@click.command("diff")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--tolerance",
    metavar="NUMBER",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Differences that count as none: absolute up to 1, relative to larger values.",
)
@shared("quiet", "as_json")
@click.pass_context
def command(
    context: click.Context, a: Path, b: Path, tolerance: float, quiet: bool, as_json: bool
) -> None:
    """Show how A and B differ.

    Both are files of arrays (.params, .safetensors, .npz, also mixed), graphs (-symbol.json), or
    folders of runs, of which settings, last metrics and weights are compared.

    "arg:fc1_weight" of one file is "fc1_weight" of another. NaN in the same place is equal, and
    so are 0 and -0.

    The exit code is 0 when they are equal, 1 when they differ, 2 when they cannot be compared.
    """
    if not math.isfinite(tolerance):
        raise UserError(f"--tolerance should be a finite number, got {tolerance}")
    from mxtrain.inspection.comparison import compare

    found = compare(a, b, tolerance)
    if as_json:
        from mxtrain.console.jsonl import dumps

        click.echo(dumps(found.as_json(), indent=2))
    elif not quiet:
        from mxtrain.console.differences import show_comparison

        show_comparison(found, sys.stdout)
    if not found.is_equal:
        context.exit(DIFFERENT)
