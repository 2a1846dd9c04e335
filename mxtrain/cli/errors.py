"""What a command says when it cannot do what it was asked, and the exit code it ends with.

0 done, 1 the run failed, 2 the config or the command line is wrong, 130 interrupted (128 plus the
signal), 141 the reader of the output has gone.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import IO, Any

import click

INTERRUPTED = 130
READER_GONE = 141


class UserError(click.ClickException):
    """Something the user can put right; shown as it is, without a traceback. Exit code 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to standard error."""
        click.echo(self.message, file=file, err=True)


def refuse_replacing(path: Path, overwrite: bool) -> None:
    """Raise UserError where a file is there that must not be replaced."""
    if path.exists() and not overwrite:
        raise UserError(f"'{path}' is there already; choose another name, or --overwrite")


class RunFailedError(UserError):
    """The config was right and the run began, but it could not be ended. Exit code 1."""

    exit_code = 1


def is_input_error(error: BaseException) -> bool:
    """Return whether `error` says that a config, its data or its plugins are wrong."""
    from mxtrain.errors import PluginError

    loaded = _loaded_classes(
        ("mxtrain.config", "ConfigErrors"),
        ("mxtrain.io", "DataError"),
        ("mxtrain.trainer.errors", "SetupError"),
    )
    return isinstance(error, (PluginError, FileNotFoundError, FileExistsError, *loaded))


def explain(error: BaseException) -> str | None:
    """Return the message for a user's mistake, None when `error` is a defect of the program."""
    from mxtrain.errors import MXNetError

    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        if not names and error.errno == errno.ENOSPC:
            names = ["standard output"]  # what writes files says which
        return ": ".join([*names, error.strerror])
    if isinstance(error, MemoryError):
        reason = f": {error}" if str(error) else ""
        return f"there is not enough memory{reason}; take fewer units, or smaller batches"
    if isinstance(error, (MXNetError, OSError)) or is_input_error(error):
        return str(error)
    return None


def _loaded_classes(*names: tuple[str, str]) -> tuple[type[BaseException], ...]:
    """The exception classes of modules in use: one never imported cannot have raised anything."""
    loaded = ((sys.modules.get(module), name) for module, name in names)
    return tuple(getattr(module, name) for module, name in loaded if hasattr(module, name))
