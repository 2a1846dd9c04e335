"""``mxtrain validate``: check a config without running it."""

from __future__ import annotations

from pathlib import Path

import click

from mxtrain.cli.options import CONFIG_OPTIONS, find_config, load_spec, shared


@click.command("validate")
@shared(*CONFIG_OPTIONS, "quiet", "as_json")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    backend: str | None,
    device: int | None,
    math: str | None,
    seed: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Check CONFIG (default: ./config.yaml) without running it.

    Every problem is shown with its line and column, all at once. Exit codes: 0 nothing is wrong,
    2 something is.
    """
    from mxtrain.config import ConfigErrors

    path = find_config(config)
    try:
        load_spec(path, overrides, backend, device, math, seed)
    except ConfigErrors as errors:
        if not as_json:
            raise
        click.echo(_as_json(errors))
        raise click.exceptions.Exit(2) from None
    if as_json:
        click.echo("[]")
    elif not quiet:
        click.echo(f"{path}: nothing is wrong")


def _as_json(errors: Exception) -> str:
    from mxtrain.console.jsonl import dumps

    problems = [
        {
            "file": problem.mark.source,
            "line": problem.mark.line,
            "column": problem.mark.column,
            "path": problem.path,
            "message": problem.text,
        }
        for problem in getattr(errors, "problems", ())
    ]
    return dumps(problems, indent=2)
