"""Putting a checkpoint back: into the run built anew, and into the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mxtrain.errors import MXNetError
from mxtrain.trainer import folder as folders
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.resume import needed_weights, states_in

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.best import Best
    from mxtrain.trainer.checkpoints import Checkpoints
    from mxtrain.trainer.files import RunFolder
    from mxtrain.trainer.pieces import Pieces
    from mxtrain.trainer.resume import Stored


def put_back(stored: Stored, module: Module, pieces: Pieces, best: Best) -> None:
    """Give a run that has not begun the weights and the state of a checkpoint.

    Raises SetupError for those of another network or optimizer.
    """
    folder, metadata, values = stored.found.folder, *stored.state
    source = str(folder / stored.position.state)
    try:
        if not best.set_state(values["best"]):
            stored.notes.append(f"{best.name} is followed now: the best epoch is told anew")
        elif metadata["best_weights"] in stored.damaged:
            best.lose()
        elif metadata["best_weights"] is not None:
            module.load_params(_inside(folder, metadata["best_weights"]))
            best.keep(module)
        module.load_params(_inside(folder, metadata["weights"]))
        pieces.set_state(stored.position, values, source)
        float(values["seconds"])
    except (MXNetError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise SetupError(f"{source} does not fit this run: {error}") from error


def settle(stored: Stored | None, files: RunFolder, checkpoints: Checkpoints) -> None:
    """Let the folder be as it was when the checkpoint was written; without one, but a config.

    What came later is removed: checkpoints (each state before its weights), then lines of metrics.
    Raises UnwritableError where that is not possible.
    """
    if stored is None:
        files.clear()
        return
    folder, position = files.path, stored.position
    files.remove_for_good(*(one.state for one in states_in(folder) if one > position))
    files.cut_back(stored.metrics)
    needs = {one: needed_weights(folder, one) for one in states_in(folder)}
    weights = {one.weights for one in folders.positions_in(folder)}
    needed = set().union(*needs.values())
    files.remove(*sorted(weights - needed))
    files.clean()
    checkpoints.found(needs, needed)
    checkpoints.remove_old()  # the run may have ended before it came to that


def _inside(folder: Path, name: str) -> str:
    return str(folder / Path(name).name)
