"""Which checkpoints a run has on disk, how one is written, and which ones go.

A checkpoint is there when its state is: that is written last and removed first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from mxtrain.trainer.folder import PREPROCESSING, SYMBOL
from mxtrain.trainer.position import Position

if TYPE_CHECKING:
    from mxtrain.config.spec import CheckpointSpec
    from mxtrain.module import Module
    from mxtrain.trainer.best import Best
    from mxtrain.trainer.files import RunFolder

State = tuple[dict[str, Any], dict[str, Any]]


class Checkpoints:
    """Writes checkpoints, keeps the newest of them and that of the best epoch.

    Parameters
    ----------
    files : the run's folder.
    module : whose weights are written.
    best : the best epoch so far. Its weights are written with the next checkpoint, and stay with
        every checkpoint that needs them.
    spec : how often checkpoints are written and how many stay.
    state : gives metadata and values of the run as it is now.
    notice : is told, once, what a checkpoint lacks.

    Attributes
    ----------
    newest : the file of weights written last, the best epoch's apart; empty before the first.
    """

    def __init__(
        self,
        files: RunFolder,
        module: Module,
        best: Best,
        spec: CheckpointSpec,
        state: Callable[[], State],
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._files, self._module, self._best = files, module, best
        self._every, self._keep = spec.every, spec.keep
        self._state, self._notice = state, notice
        self._told: set[str] = set()
        self._needs: dict[Position, set[str]] = {}
        self._on_disk: set[str] = set()
        self.newest = ""

    def after_epoch(self, position: Position, is_wanted: bool) -> bool:
        """Write and delete what is due after an epoch; return whether anything was.

        `is_wanted` asks for it in any case.
        """
        is_due = is_wanted or position.epoch % self._every == 0
        if is_due:
            self.save(position)
        return is_due

    def save(self, position: Position) -> str:
        """Write the checkpoint of a position unless it is there; return its file of weights."""
        if position not in self._needs:
            self.write(position)
        self.newest = position.weights
        self.remove_old()
        return self.newest

    def write(self, position: Position) -> None:
        """Write the checkpoint of a position, over an older one."""
        metadata, values = self._state()
        with self._files.together():
            self._save_weights(position.weights)
            best = self._save_best()
            weights = dict.fromkeys((position.weights, *([best] if best else [])))
            needed = (*weights, SYMBOL, PREPROCESSING)
            metadata |= {
                "epoch": position.epoch,
                "batch": position.batch,
                "files": {name: self._files.digest(name) for name in needed},
                "weights": position.weights,
                "best_weights": best or None,
                "restores_best": self._best.restores,
            }
            try:
                self._files.save_state(position.state, metadata, values)
            except TypeError as error:
                self.tell(f"this run cannot be resumed, only its weights are saved: {error}")
        self._needs[position] = set(weights)

    def found(self, needs: dict[Position, set[str]], weights: Iterable[str]) -> None:
        """Take note of what is there already: the files each checkpoint needs, and all files."""
        self._needs, self._on_disk = dict(needs), set(weights)
        self.newest = max(needs).weights

    def best_file(self) -> str:
        """Return the name of the best epoch's weights, empty where they are not on the disk."""
        name = self._best_name()
        # A checkpoint that the disk did not take is removed again, with the best weights of it.
        is_there = name in self._on_disk and (self._files.path / name).exists()
        return name if is_there else ""

    def _best_name(self) -> str:
        return "" if self._best.epoch is None else Position(self._best.epoch).weights

    def _save_best(self) -> str:
        name = self._best_name()
        if name and name not in self._on_disk:
            with self._best.in_place(self._module):
                self._save_weights(name)
        return name

    def _save_weights(self, name: str) -> None:
        self._files.save_weights(self._module, name)
        self._on_disk.add(name)

    def remove_old(self) -> None:
        """Remove all but the newest and the best, and weights that no checkpoint needs."""
        positions = sorted(self._needs)
        kept = set(positions if self._keep is None else positions[-self._keep :])
        if self._best.epoch is not None:
            kept.add(Position(self._best.epoch))
        for position in [one for one in positions if one not in kept]:
            self._files.remove(position.state)
            del self._needs[position]
        needed = {self._best_name()}.union(*self._needs.values())
        for name in sorted(self._on_disk - needed):
            self._files.remove(name)
            self._on_disk.discard(name)

    def tell(self, text: str) -> None:
        """Say, once, what a checkpoint lacks."""
        if text not in self._told:
            self._notice(text)
        self._told.add(text)
