"""``mxtrain evaluate``: what a trained network is worth on rows with labels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxtrain.cli import saved_options
from mxtrain.cli.errors import UserError
from mxtrain.cli.options import load_plugins, shared

if TYPE_CHECKING:
    from mxtrain.trainer.evaluate import Evaluation
    from mxtrain.trainer.saved import SavedModel


@click.command("evaluate")
@saved_options.saved_model
@click.argument("data", required=False, type=click.Path(path_type=Path))
@click.option(
    "--metrics",
    metavar="NAME,...",
    help="What to measure beside the loss; by default what the run measures.",
)
@click.option(
    "--label",
    metavar="NAME",
    multiple=True,
    help="The label: a column, an array of an NPZ, or the IDX file of labels; repeatable.",
)
@saved_options.ignore
@click.option("--confusion", is_flag=True, help="Show each class, and which is taken for which.")
@saved_options.batch_size
@shared("plugins", "as_json")
def command(
    model: Path,
    data: Path | None,
    epoch: int | None,
    which: str | None,
    metrics: str | None,
    label: tuple[str, ...],
    ignore: tuple[str, ...],
    confusion: bool,
    batch_size: int | None,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure loss and metrics of MODEL on DATA, every row counted once.

    MODEL is the folder of a run, one of its checkpoints, or MXNet's prefix. Without DATA the rows
    are the eval rows of the run, and the numbers those that "mxtrain fit" has shown for that epoch.

    DATA is a table, an .npz or an IDX file. A run knows which column is the label; for a model of
    no run --label says so, and the classes are numbers from 0.
    """
    _check_options(data, label=label, ignore=ignore)
    load_plugins(plugins)
    from mxtrain.trainer.evaluate import evaluate
    from mxtrain.trainer.saved import open_model
    from mxtrain.trainer.saved_data import labelled_rows
    from mxtrain.trainer.threads import limited_threads

    opened = open_model(model, epoch, which)
    spec = opened.spec
    measured = _metrics(opened, metrics)
    rows = labelled_rows(opened, data, label, ignore)
    with limited_threads(None if spec is None else spec.threads):
        found = evaluate(opened, rows, measured, batch_size, confusion)
    for note in saved_options.notes_on(opened):
        click.echo(f"note: {note}", err=True)
    if as_json:
        from mxtrain.console.jsonl import dumps

        click.echo(dumps(_plain(found), indent=2))
        return
    from mxtrain.console.evaluation import show_evaluation

    show_evaluation(found, sys.stdout)


def _check_options(data: Path | None, **options: tuple[str, ...]) -> None:
    """Refuse options that tell how a file is read where there is none (UserError)."""
    given = [f"--{name}" for name, values in options.items() if values]
    if data is None and given:
        verb = "needs" if len(given) == 1 else "need"
        raise UserError(
            f"{' and '.join(given)} {verb} DATA; without it the rows are the eval rows of the run, "
            "read as the run read them"
        )


def _metrics(model: SavedModel, given: str | None) -> Any:
    """Return the metrics that are given, or the run's, or those that the outputs ask for."""
    if given is not None:
        from mxtrain.config.fit import metrics_of

        return metrics_of(given)
    if model.spec is not None:
        return model.spec.fit.metrics
    from mxtrain.config.network import usual_metrics

    return usual_metrics(model.symbol)


def _plain(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation for JSON, with how each class was recognized."""
    from dataclasses import asdict

    plain = asdict(found)
    for each, told in zip(found.confusion, plain["confusion"], strict=True):
        told["recognized"] = [asdict(row) for row in each.rows()]
    return plain
