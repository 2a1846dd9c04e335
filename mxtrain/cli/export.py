"""``mxtrain export``: a saved model as a file of another system."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import click

from mxtrain.cli import saved_options
from mxtrain.cli.errors import RunFailedError, UserError
from mxtrain.cli.options import shared

_SHAPE = re.compile(r"(?:(?P<name>[^=]+)=)?(?P<axes>(?:N|\d+)(?:,(?:N|\d+))*)")


@click.command("export")
@saved_options.saved_model
@click.option(
    "--onnx",
    "target",
    metavar="FILE",
    required=True,
    type=click.Path(path_type=Path),
    help="Write the model as this ONNX file.",
)
@click.option(
    "--preprocessing/--no-preprocessing",
    default=True,
    show_default=True,
    help="Let the model scale the columns as the run did.",
)
@click.option(
    "--data-shape",
    "shapes",
    metavar="[NAME=]SHAPE",
    multiple=True,
    help="Shape of a row of an input, such as 784 or 3,28,28; N is the batch where it is not "
    "the first axis: 10,N,5. Needed where the weights do not tell it; repeatable.",
)
@click.option(
    "--batch-size",
    metavar="ROWS",
    type=click.IntRange(min=1),
    help="Fix the batch size of the model; without it any will do where the network allows it.",
)
@click.option("--opset", type=int, metavar="NUMBER", help="ONNX operator set.  [default: 17]")
@click.option(
    "--tolerance",
    metavar="NUMBER",
    type=click.FloatRange(min=0),
    help="Largest difference to mxtrain's own outputs: absolute up to 1, relative to larger "
    "values.  [default: 1e-5; with float16 1e-2]",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@shared("quiet", "as_json")
def command(
    model: Path,
    epoch: int | None,
    which: str | None,
    target: Path,
    preprocessing: bool,
    shapes: tuple[str, ...],
    batch_size: int | None,
    opset: int | None,
    tolerance: float | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Write MODEL as an ONNX file that other programs run.

    MODEL is the folder of a run, one of its checkpoints, or MXNet's prefix ("digits" for
    digits-symbol.json and digits-0012.params, the newest epoch unless --epoch is given).

    The model predicts: it has no labels, and no node that only learns. It takes the columns of the
    data file in their order and scales them itself, unless --no-preprocessing. Class names, columns
    and scaling stand in its metadata.

    Before it is written it is run with onnxruntime on the run's eval rows (random ones without a
    run) and compared with mxtrain's own outputs. Where they differ by more than the tolerance,
    nothing is written and the first node that differs is named.

    Exit codes: 0 written, 1 it differs, 2 MODEL cannot be exported or the command line is wrong.
    """
    if tolerance is not None and not math.isfinite(tolerance):
        raise UserError(f"--tolerance should be a finite number, got {tolerance}")
    from mxtrain.export.errors import DifferenceError
    from mxtrain.trainer.export import export_model
    from mxtrain.trainer.saved import open_model

    opened = open_model(model, epoch, which)
    try:
        exported = export_model(
            opened,
            target,
            preprocessing=preprocessing,
            shapes=_given_shapes(shapes, opened.data_names[0]),
            opset=opset,
            batch=batch_size,
            tolerance=tolerance,
            overwrite=overwrite,
        )
    except DifferenceError as error:
        raise RunFailedError(str(error)) from error
    for note in saved_options.notes_on(opened):
        click.echo(f"note: {note}", err=True)
    if as_json:
        from mxtrain.console.exported import as_json as plain
        from mxtrain.console.jsonl import dumps

        click.echo(dumps(plain(exported), indent=2))
    elif not quiet:
        from mxtrain.console.exported import show_exported

        show_exported(exported, sys.stdout)


def _given_shapes(texts: tuple[str, ...], default: str) -> dict[str, Any]:
    """Return the shapes of --data-shape by input, the batch where N stands or in front."""
    from mxtrain.export.axes import BATCH

    found: dict[str, Any] = {}
    for text in texts:
        match = _SHAPE.fullmatch(text)
        axes = match["axes"].split(",") if match else []
        if match is None or axes.count("N") > 1 or "0" in axes:
            raise UserError(
                f"--data-shape {text} is no shape; write it like 784, 3,28,28 or data=10,N,5"
            )
        lengths = [BATCH if axis == "N" else int(axis) for axis in axes]
        found[match["name"] or default] = tuple(lengths if "N" in axes else [BATCH, *lengths])
    return found
