"""``mxtrain init``: the initial weights of a config, as a table and as a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxtrain.checkpoint.naming import FORMATS
from mxtrain.cli.errors import UserError, refuse_replacing
from mxtrain.cli.options import CONFIG_OPTIONS, load_spec, shared

if TYPE_CHECKING:
    from mxtrain.trainer.report import InitialWeight


@click.command("init")
@shared(*CONFIG_OPTIONS)
@click.option(
    "--dump",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the weights; the ending decides: .params (also without one), .npz, .safetensors.",
)
@click.option("--overwrite", is_flag=True, help="Let --dump replace FILE if it is there.")
@shared("quiet", "as_json")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    device: int | None,
    math: str | None,
    seed: int | None,
    dump: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Show the initial weights of CONFIG (default: ./config.yaml), and write them with --dump.

    The table has for each parameter its shape, the initializer that filled it, mean, standard
    deviation, smallest and largest value. "mxtrain fit" starts from the same bits.
    """
    target = _target(dump, overwrite)
    spec = load_spec(config, overrides, backend, device, math, seed)
    from mxtrain.trainer.preview import initial_weights

    weights = initial_weights(spec)
    if target is not None:
        _write(target, weights)
    if as_json:
        from mxtrain.console.jsonl import dumps

        click.echo(dumps([_numbers(weight) for weight in weights], indent=2))
    elif not quiet:
        _show(weights)
        if target is not None:
            click.echo(f"\nwritten to {target}")


def _target(dump: Path | None, overwrite: bool) -> Path | None:
    """Return the file to write (UserError for one that is there, unless it may be replaced)."""
    if dump is None:
        if overwrite:
            raise UserError("--overwrite needs --dump; without it nothing is replaced")
        return None
    target = _with_ending(dump)
    refuse_replacing(target, overwrite)
    return target


def _with_ending(path: Path) -> Path:
    if path.suffix in FORMATS:
        return path
    if path.suffix:
        raise UserError(
            f"'{path}' ends in '{path.suffix}'; weights are written as {', '.join(FORMATS)}"
        )
    return path.with_suffix(".params")


def _numbers(weight: InitialWeight) -> dict[str, Any]:
    import numpy as np

    values = np.asarray(weight.values, dtype=np.float64)
    return {
        "name": weight.name,
        "kind": weight.kind,
        "shape": list(values.shape),
        "initializer": weight.initializer,
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }


def _show(weights: Sequence[InitialWeight]) -> None:
    from mxtrain.console.format import metric
    from mxtrain.console.tables import Sheet, show

    rows = []
    for weight in weights:
        found = _numbers(weight)
        statistics = tuple(metric(found[key]) for key in ("mean", "std", "min", "max"))
        shape = "x".join(map(str, found["shape"]))
        rows.append((weight.name, shape, weight.initializer, *statistics))
    headers = ("name", "shape", "initializer", "mean", "std", "min", "max")
    show(Sheet(headers, rows, right=(3, 4, 5, 6), wide=(2,)), sys.stdout)


def _write(path: Path, weights: Sequence[InitialWeight]) -> None:
    from mxtrain.checkpoint.arrays import write_parameters

    write_parameters(path, {f"{w.kind}:{w.name}": w.values for w in weights})
