"""``mxtrain predict``: what a trained network says about rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxtrain.cli import saved_options
from mxtrain.cli.errors import UserError, refuse_replacing
from mxtrain.cli.options import shared

if TYPE_CHECKING:
    from mxtrain.trainer.predict import Predictor
    from mxtrain.trainer.saved import SavedModel


@click.command("predict")
@saved_options.saved_model
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a file; the ending decides: .csv, .jsonl, .parquet, .npz. Default: CSV on stdout.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@click.option("--probabilities", is_flag=True, help="Add those of all classes.")
@saved_options.ignore
@saved_options.batch_size
@shared("quiet", "as_json")
def command(
    model: Path,
    data: Path,
    epoch: int | None,
    which: str | None,
    output: Path | None,
    overwrite: bool,
    probabilities: bool,
    ignore: tuple[str, ...],
    batch_size: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Predict the rows of DATA with MODEL.

    MODEL is the folder of a run, one of its checkpoints, or MXNet's prefix ("digits" for
    digits-symbol.json and digits-0012.params, the newest epoch unless --epoch is given).

    DATA is a table (.csv, .tsv, .parquet), an .npz or an IDX file. A run scales its columns as in
    training and finds them by name; others, the label among them, are passed over. A model of no
    run takes all columns as they are, in the order of the file.

    There is a row for each row of DATA: a classifier gives "prediction" (the class) and its
    "probability", other networks their values. With several outputs the names of the columns begin
    with that of the output. --json writes JSON lines instead of CSV, and with --output what was
    written.
    """
    write = _writer(output, as_json)
    _check_output(output, data, overwrite)
    from mxtrain.checkpoint.atomic import naming
    from mxtrain.trainer.predict import Predictor
    from mxtrain.trainer.saved import open_model
    from mxtrain.trainer.saved_data import read_data
    from mxtrain.trainer.threads import limited_threads

    opened = open_model(model, epoch, which)
    dataset = read_data(opened, data, ignore)
    with limited_threads(opened.spec.threads if opened.spec is not None else None):
        predictor = Predictor(opened, dataset.data.shape[1:], batch_size)
        if not quiet:
            _tell(opened, predictor)
        flat = output is None or output.suffix != ".npz"
        pieces = predictor.pieces(dataset, probabilities, flat)
        if output is None:
            with naming("standard output"):
                write(sys.stdout.buffer, pieces)
                sys.stdout.buffer.flush()
            return
        rows = _write_file(output, write, pieces)
    if as_json or not quiet:
        _tell_written(opened, output, rows, as_json)


def _writer(output: Path | None, as_json: bool) -> Any:
    from mxtrain.trainer.prediction_files import FORMATS

    ending = (".jsonl" if as_json else ".csv") if output is None else output.suffix
    if ending not in FORMATS:
        raise UserError(f"'{output}' should end in one of {', '.join(FORMATS)}")
    return FORMATS[ending]


def _check_output(output: Path | None, data: Path, overwrite: bool) -> None:
    """Refuse a file that must not be replaced (UserError), before anything is computed."""
    if output is None:
        if overwrite:
            raise UserError("--overwrite needs --output; without it nothing is replaced")
        return
    if output.exists() and data.exists() and output.samefile(data):
        raise UserError(f"--output {output} would replace the data; choose another file")
    refuse_replacing(output, overwrite)


def _write_file(output: Path, write: Any, pieces: Iterator[Any]) -> int:
    from mxtrain.checkpoint.atomic import replacing

    with replacing(output) as file:
        return int(write(file, pieces))


def _tell(model: SavedModel, predictor: Predictor) -> None:
    for note in saved_options.notes_on(model):
        click.echo(f"note: {note}", err=True)
    if predictor.left_out:
        names = ", ".join(predictor.left_out)
        click.echo(f"note: left out, for it tells nothing without labels: {names}", err=True)


def _tell_written(model: SavedModel, output: Path, rows: int, as_json: bool) -> None:
    if as_json:
        from mxtrain.console.jsonl import dumps

        told = {"output": str(output), "rows": rows, "weights": str(model.files.weights)}
        click.echo(dumps(told | {"epoch": model.files.epoch}))
        return
    from mxtrain.console.format import count

    click.echo(f"{count(rows, 'prediction')} of {model.files.weights} written to {output}")
