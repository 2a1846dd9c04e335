"""``mxtrain fit``: train the network of a config, or go on with a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mxtrain.cli.errors import UserError
from mxtrain.cli.options import CONFIG_OPTIONS, load_spec, shared
from mxtrain.cli.starting import saved_as_given, weights_options, weights_overrides
from mxtrain.cli.training import closed, leave, told_as_failure, told_of_waiting

if TYPE_CHECKING:
    from mxtrain.trainer.resume import Found


@click.command("fit")
@shared(*CONFIG_OPTIONS, "output")
@click.option("--overwrite", is_flag=True, help="Let --output replace the run it holds.")
@weights_options
@click.option(
    "--resume",
    metavar="RUN",
    help="Go on with a run: its folder, one of its checkpoints, or 'latest' (under runs/).",
)
@click.option(
    "--force",
    is_flag=True,
    help="With --resume: take changes that may alter weights, do without damaged files.",
)
@click.option("--profile", is_flag=True, help="Show where the time went, at the end.")
@shared("quiet", "as_json")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    device: int | None,
    math: str | None,
    seed: int | None,
    output: Path | None,
    overwrite: bool,
    weights: Path | None,
    allow_missing: bool,
    ignore_extra: bool,
    resume: str | None,
    force: bool,
    profile: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train the network of CONFIG (default: ./config.yaml).

    On a terminal a live table shows the run; in a pipe there is one line per epoch, and with
    --json one JSON object per line. Ctrl-C (or SIGTERM, or a closed terminal) ends the run
    after the running batch and a checkpoint; Ctrl-C once more, and it ends at once.

    With --resume a run goes on where its newest checkpoint was written, with the config saved in
    its folder unless CONFIG is given, and ends with the same weights as if it had never stopped.
    Changed settings are named; those that may alter the weights need --force, and so do damaged
    files that the run can do without.

    Exit codes: 0 done, 1 the run failed, 2 the config or the command line is wrong, 130
    interrupted (143 by SIGTERM, 129 by SIGHUP), 141 the reader of the output has gone.
    """
    given = weights_overrides(weights, allow_missing, ignore_extra)
    found = _found(resume, force, output, overwrite, bool(given))
    if found is not None and config is None:
        config = found.config
    graph = None if found is None else found.graph
    spec = load_spec(config, (*overrides, *given), backend, device, math, seed, graph)
    shown = str(config or "config.yaml")
    from mxtrain.console import make_reporter

    if profile and quiet and not as_json:
        raise click.UsageError("--profile shows a table and --quiet shows none: leave one out")
    with (
        told_as_failure(),
        told_of_waiting(not quiet),
        closed(make_reporter(as_json, quiet, sys.stdout)) as reporter,
    ):
        if found is None:
            from mxtrain.trainer.run import fit

            spec = saved_as_given(spec, weights)
            result = fit(
                spec, reporter, output=output, overwrite=overwrite, profile=profile, config=shown
            )
        else:
            from mxtrain.trainer.run import fit_on

            result = fit_on(found, spec, reporter, force=force, profile=profile, config=shown)
    leave(result.status, result.signal)


def _found(
    resume: str | None, force: bool, output: Any, overwrite: bool, weights: bool
) -> Found | None:
    """Return the run to go on with, None without ``--resume`` (UserError for what excludes it)."""
    if resume is None:
        if force:
            raise UserError("--force belongs to --resume; --overwrite replaces a run")
        return None
    if output is not None or overwrite:
        option = "--output" if output is not None else "--overwrite"
        raise UserError(f"--resume goes on in the folder of the run, so {option} has no place here")
    if weights:
        raise UserError(
            "--resume goes on with the weights of the run, so --weights, --allow-missing and "
            "--ignore-extra have no place here"
        )
    from mxtrain.trainer.resume import find

    return find(resume)
