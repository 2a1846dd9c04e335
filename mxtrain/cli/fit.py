"""``mxtrain fit``: train the network of a config."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import click

from mxtrain.cli.options import CONFIG_OPTIONS, load_spec, shared
from mxtrain.cli.training import leave, told_as_failure


@click.command("fit")
@shared(*CONFIG_OPTIONS, "output")
@click.option("--overwrite", is_flag=True, help="Let --output replace the run it holds.")
@click.option("--profile", is_flag=True, help="Time each kernel and show the slowest at the end.")
@shared("quiet", "as_json")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    seed: int | None,
    output: Path | None,
    overwrite: bool,
    profile: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the network of CONFIG (default: ./config.yaml).

    On a terminal a live table shows the run; in a pipe there is one line per epoch, and with
    --json one JSON object per line. Ctrl-C (or SIGTERM) ends the run after the running batch and
    a checkpoint; once more, and it ends at once.

    Exit codes: 0 done, 1 the run failed, 2 the config or the command line is wrong, 130
    interrupted (143 by SIGTERM).
    """
    spec = load_spec(config, overrides, backend, seed)
    from mxtrain.console import make_reporter
    from mxtrain.trainer.run import fit

    with told_as_failure(), closing(make_reporter(as_json, quiet, sys.stdout)) as reporter:
        result = fit(
            spec,
            reporter,
            output=output,
            overwrite=overwrite,
            profile=profile,
            config=str(config or "config.yaml"),
        )
    leave(result.status, result.signal)
