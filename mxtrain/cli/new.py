"""``mxtrain new``: write a starter config with its data into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from mxtrain.cli.errors import UserError

FILES = ("config.yaml", "train.csv", "test.csv")


@click.command("new")
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write a commented config with its data into FOLDER (default: here).

    It runs as it is: "mxtrain fit". Existing files are never overwritten.
    """
    from importlib.resources import files

    from mxtrain.checkpoint.atomic import atomic_write

    if folder.exists() and not folder.is_dir():
        raise UserError(f"'{folder}' is a file; name a folder that is new or empty")
    present = [name for name in FILES if (folder / name).exists()]
    if present:
        raise UserError(
            f"'{folder}' already has {', '.join(present)}, which would be overwritten; "
            "name another folder: mxtrain new FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    starter = files("mxtrain.starter")
    for name in FILES:
        atomic_write(folder / name, starter.joinpath(name).read_bytes())
    click.echo(f"{folder}: {', '.join(FILES)}")
    there = "" if folder == Path() else f"cd {folder}, then "
    click.echo(f"Next: {there}mxtrain fit")
