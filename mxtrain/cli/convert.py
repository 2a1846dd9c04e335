"""``mxtrain convert``: a file of arrays in another format."""

from __future__ import annotations

from pathlib import Path

import click

from mxtrain.checkpoint.naming import FORMATS
from mxtrain.cli.errors import UserError, refuse_replacing
from mxtrain.cli.options import shared


@click.command("convert")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--symbol",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The graph that says which arrays are auxiliary states.",
)
@click.option("--keep-names", is_flag=True, help="Neither cut off nor add arg: and aux:.")
@click.option("--dense", is_flag=True, help="Write sparse arrays with all their zeros.")
@click.option("--overwrite", is_flag=True, help="Replace TARGET if it is there.")
@shared("quiet")
def command(
    source: Path,
    target: Path,
    symbol: Path | None,
    keep_names: bool,
    dense: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write the arrays of SOURCE as TARGET: .params, .safetensors or .npz.

    The ending of TARGET says its format; that of SOURCE is seen from its contents. Element types
    and values stay as they are, and what TARGET cannot hold is refused by name.

    In .params names begin with arg: (parameters) or aux: (auxiliary states). Elsewhere the prefix
    is cut off, unless two arrays would then have one name. On the way back a .safetensors file
    written here knows its old names, and gives the same bytes. For others the graph tells
    auxiliary states: that of --symbol, else PREFIX-symbol.json beside PREFIX-0003.npz or
    PREFIX.npz. Without a graph they are the names that end in moving_mean, moving_var,
    running_mean, running_var or moving_avg.
    """
    if target.suffix.lower() not in FORMATS:
        raise UserError(f"'{target}' should end in one of {', '.join(FORMATS)}")
    if target.is_dir():
        raise UserError(f"'{target}' is a folder; name a file in it")
    refuse_replacing(target, overwrite)
    from mxtrain.console.format import count, size
    from mxtrain.inspection.conversion import convert

    done = convert(source, target, symbol, keep_names, dense)
    if quiet:
        return
    for note in done.notes:
        click.echo(note)
    click.echo(f"written to {target}: {count(done.arrays, 'array')}, {size(done.nbytes)}")
