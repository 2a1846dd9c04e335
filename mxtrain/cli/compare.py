"""``mxtrain compare``: the same network with one optimizer after the other."""

from __future__ import annotations

import sys
from math import inf, nan
from pathlib import Path

import click

from mxtrain.cli.options import CONFIG_OPTIONS, load_spec, shared
from mxtrain.cli.training import closed, leave, told_as_failure


def _words(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the words of comma-separated texts, None where there are none."""
    words = tuple(word.strip() for text in given for word in text.split(",") if word.strip())
    if given and not words:
        raise click.BadParameter("names at least one", ctx, option)
    return words or None


def _rates(
    ctx: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> tuple[float, ...] | None:
    """Return the positive numbers of comma-separated texts, None where there are none."""
    found = []
    for word in _words(ctx, option, given) or ():
        try:
            rate = float(word)
        except ValueError:
            rate = nan
        if not (0 < rate < inf):
            raise click.BadParameter(f"expected numbers above 0, received '{word}'", ctx, option)
        found.append(rate)
    return tuple(found) or None


@click.command("compare")
@shared(*CONFIG_OPTIONS)
@click.option(
    "--optimizer",
    "names",
    metavar="NAME,...",
    multiple=True,
    callback=_words,
    help="What to try; by default compare.optimizers of the config, else all there are.",
)
@click.option(
    "--rates",
    metavar="RATE,...",
    multiple=True,
    callback=_rates,
    help="Learning rates to try each optimizer with; by default its own.",
)
@click.option("--target", type=float, help="Tell the first epoch whose metric is this good.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Trials at the same time; the cores are divided among them.",
)
@click.option(
    "--output",
    "-o",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where the results go; without it a new numbered folder is made under compare/.",
)
@click.option("--overwrite", is_flag=True, help="Let --output replace what it holds.")
@click.option("--png", is_flag=True, help="Draw the curves as PNG too (needs mxtrain[plot]).")
@shared("quiet", "as_json")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    device: int | None,
    math: str | None,
    seed: int | None,
    names: tuple[str, ...] | None,
    rates: tuple[float, ...] | None,
    target: float | None,
    jobs: int,
    output: Path | None,
    overwrite: bool,
    png: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train CONFIG (default: ./config.yaml) with one optimizer after the other.

    Every trial starts from the same weights and sees the same batches. The optimizers have the
    settings that "compare" in the config gives, or their defaults; that of the config itself keeps
    its own. They are ranked by the metric that "mxtrain fit" follows. One that diverges, or does
    not take the network, ends its own trial, and the table says why.

    The folder gets the table, the epochs, the curves as SVG and a config that repeats it all.
    Ctrl-C ends it after the running batches, with the table so far.

    Exit codes: 0 done, 1 no trial learned to the end, 2 the config or the command line is wrong,
    130 interrupted (143 by SIGTERM, 129 by SIGHUP), 141 the reader of the output has gone.
    """
    spec = load_spec(config, overrides, backend, device, math, seed)
    from mxtrain.console.comparing import make_compare_reporter
    from mxtrain.trainer.compare.compare import compare

    with told_as_failure(), closed(make_compare_reporter(as_json, quiet, sys.stdout)) as reporter:
        result = compare(
            spec,
            reporter,
            names=names,
            rates=rates,
            target=target,
            jobs=jobs,
            output=output,
            overwrite=overwrite,
            png=png,
            config=str(config or "config.yaml"),
        )
    leave(result.status, result.signal)
