"""A group of commands whose modules are imported only when one of them is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from mxtrain.cli.errors import INTERRUPTED, READER_GONE, UserError, explain


class LazyGroup(click.Group):
    """A click group over a table of modules.

    Parameters
    ----------
    commands_by_name : for each command its module, where it is called ``command``, and the line
        shown for it in the help of the group.
    """

    def __init__(
        self, *args: Any, commands_by_name: dict[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table, which is that of the help."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of `cmd_name` and return its command, None for an unknown name."""
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(self._modules[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that `args` begin with; for an unknown one name the nearest."""
        name = args[0]
        if name not in self._modules and not name.startswith("-") and not ctx.resilient_parsing:
            from mxtrain.errors import closest

            near = closest(name, self._modules)
            hint = f"Did you mean '{near}'?" if near else "'mxtrain --help' lists them."
            raise click.UsageError(f"There is no command '{name}'. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._modules.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; help that cannot be written ends it with a message."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            stop_writing()
            click.echo(explain(error), err=True)
            sys.exit(UserError.exit_code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a user's mistake ends it with a message and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            stop_writing()
            raise click.exceptions.Exit(READER_GONE) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
            raise UserError(message) from error


def stop_writing() -> None:
    """Let what is still buffered go nowhere, so that the interpreter ends without a complaint."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
