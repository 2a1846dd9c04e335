"""``mxtrain schema``: the JSON schema of configs."""

from __future__ import annotations

import click


@click.command("schema")
def command() -> None:
    """Print the JSON schema of configs, for editors.

    With "mxtrain schema > mxtrain.schema.json", an editor with a YAML language server completes and
    checks a config that begins with the line

    \b
    # yaml-language-server: $schema=mxtrain.schema.json
    """
    from mxtrain.config import schema
    from mxtrain.console.jsonl import dumps

    click.echo(dumps(schema(), indent=2))
