"""What can go wrong in a run, beyond the errors of its parts."""

from __future__ import annotations

from pathlib import Path

from mxtrain.errors import MXNetError


class SetupError(MXNetError):
    """Config, network and data that do not go together; found before the first batch."""


class NotFiniteError(Exception):
    """A loss (or the gradient, where its norm is limited) is NaN or infinite.

    Weights and everything else are as before the batch.

    Parameters
    ----------
    what : ``loss`` or ``gradient``.
    epoch, batch : where, both counted from 1.
    tensor : the first tensor that is not finite, in words.
    advice : what may help.
    """

    def __init__(self, what: str, epoch: int, batch: int, tensor: str, advice: str) -> None:
        super().__init__(
            f"the {what} became NaN or infinite in epoch {epoch}, batch {batch}\n"
            f"first tensor that is not finite: {tensor}\n"
            f"try {advice}"
        )


class InterruptError(Exception):
    """The user asked the run to stop."""

    def __init__(self) -> None:
        super().__init__("stopped by the user")


class UnwritableError(Exception):
    """A file of the run that could not be written; `cause` is the OSError that says why."""

    def __init__(self, path: Path, cause: OSError) -> None:
        super().__init__(f"cannot write {path}: {cause.strerror or cause}")
        self.cause = cause
