"""What the commands that train have in common: how a failure is told, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from mxtrain.cli.errors import INTERRUPTED, RunFailedError, explain, is_input_error

EXIT_CODES = {"done": 0, "stopped early": 0, "failed": 1, "interrupted": INTERRUPTED}


@contextmanager
def told_as_failure() -> Iterator[None]:
    """Turn an error of the run itself into a message and exit code 1.

    Those of what the user gave keep their own exit code, and unexpected ones their traceback.
    """
    try:
        yield
    except Exception as error:
        message = explain(error)
        if message is None or isinstance(error, BrokenPipeError) or is_input_error(error):
            raise
        raise RunFailedError(message) from error


def leave(status: str, signal: int) -> NoReturn:
    """End the command with the exit code of a run's status, or of the signal that stopped it."""
    code = EXIT_CODES[status]
    raise click.exceptions.Exit(128 + signal if code == INTERRUPTED and signal else code)
