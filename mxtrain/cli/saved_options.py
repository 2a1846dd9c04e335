"""Arguments of the commands that use a saved model, and what they say about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mxtrain.trainer.saved import SavedModel

F = TypeVar("F", bound=Callable[..., Any])
MOST_NAMED = 5

_EPOCH = click.option(
    "--epoch", type=click.IntRange(min=0), metavar="N", help="Take the weights after N epochs."
)
_WHICH = click.option(
    "--which",
    type=click.Choice(["best", "last"]),
    help="Take the best weights of a run, or the last; by default those it ended with.",
)
batch_size = click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    metavar="N",
    help="Rows computed together; by default as in the run.",
)
ignore = click.option(
    "--ignore",
    metavar="COLUMN",
    multiple=True,
    help="Leave out a column of DATA; repeatable. A run knows which columns it reads.",
)


def saved_model(function: F) -> F:
    """Add the argument MODEL and the options that choose among its weights."""
    function = _EPOCH(_WHICH(function))
    return click.argument("model", type=click.Path(path_type=Path))(function)


def notes_on(model: SavedModel) -> list[str]:
    """Return what the user should know about a model that was opened."""
    if not model.unused:
        return []
    names = ", ".join(model.unused[:MOST_NAMED]) + (", ..." if model.unused[MOST_NAMED:] else "")
    verb = "is" if len(model.unused) == 1 else "are"
    return [f"{len(model.unused)} of the arrays in {model.files.weights} {verb} not used: {names}"]
