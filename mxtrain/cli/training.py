"""What the commands that train have in common: how a failure is told, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol, TypeVar

import click

from mxtrain.cli.errors import INTERRUPTED, RunFailedError, explain, is_input_error
from mxtrain.cli.group import stop_writing

EXIT_CODES = {"done": 0, "stopped early": 0, "failed": 1, "interrupted": INTERRUPTED}


class Closable(Protocol):
    """What has to be closed, such as a reporter that draws on a terminal."""

    def close(self) -> None:
        """Leave the terminal as it was."""


C = TypeVar("C", bound=Closable)


@contextmanager
def closed(reporter: C) -> Iterator[C]:
    """Close a reporter at the end of the ``with`` block.

    Where its output has gone, that must not hide how the run ended.
    """
    try:
        yield reporter
    finally:
        with suppress(OSError):
            reporter.close()


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
        _flush()
        raise RunFailedError(message) from error


@contextmanager
def told_of_waiting(wanted: bool) -> Iterator[None]:
    """Tell whoever sits at a terminal why a run does not begin at once.

    On standard error: the table of the run has not begun, and is not for this.
    """
    if not wanted or not sys.stderr.isatty():
        yield
        return
    from mxtrain.backend.waiting import said

    with said(lambda text: click.echo(text, err=True)):
        yield


def leave(status: str, signal: int) -> NoReturn:
    """End the command with the exit code of a run's status, or of the signal that stopped it."""
    _flush()
    code = EXIT_CODES[status]
    raise click.exceptions.Exit(128 + signal if code == INTERRUPTED and signal else code)


def _flush() -> None:
    """Write what is buffered; where nothing takes it, the interpreter's end must not complain."""
    try:
        sys.stdout.flush()
    except OSError:
        stop_writing()
