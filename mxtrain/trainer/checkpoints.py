"""Which weights a run keeps on disk.

``model-NNNN.params`` has the weights after NNNN epochs; ``model-NNNN-batch-BBBB.params`` those
after BBBB batches of epoch NNNN, where a run was stopped in the middle of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxtrain.trainer.folder import PREFIX

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.folder import RunFolder


class Checkpoints:
    """Writes weights every few epochs, keeps the newest of them and those of the best epoch.

    Parameters
    ----------
    files : the run's folder.
    module : whose weights are written.
    every : epochs between two checkpoints; the last epoch has one in any case.
    keep : how many of these stay; None keeps all. The best epoch's stay besides.
    """

    def __init__(self, files: RunFolder, module: Module, every: int, keep: int | None) -> None:
        self._files, self._module = files, module
        self._every, self._keep = every, keep
        self._regular: list[int] = []
        self._on_disk: list[int] = []
        self._best: int | None = None
        self.newest = ""

    def after(self, epoch: int, is_best: bool, is_last: bool) -> None:
        """Write and delete what is due after `epoch` epochs."""
        regular = epoch % self._every == 0 or is_last
        if not (regular or is_best):
            return
        self.save(epoch)
        if regular:
            self._regular.append(epoch)
        if is_best:
            self._best = epoch
        self._prune()

    def save(self, epoch: int) -> str:
        """Write the weights after `epoch` epochs and return the file's name."""
        name = epoch_file(epoch)
        if epoch not in self._on_disk:
            self._files.save_weights(self._module, name)
            self._on_disk.append(epoch)
        self.newest = name
        return name

    def save_within(self, epoch: int, batches: int, whole_epoch: bool) -> str:
        """Write the weights after some batches of `epoch` and return the file's name."""
        if whole_epoch:
            return self.save(epoch)
        self.newest = f"{PREFIX}-{epoch:04d}-batch-{batches:04d}.params"
        self._files.save_weights(self._module, self.newest)
        return self.newest

    def best_file(self) -> str:
        """Return the name of the best epoch's weights, empty before there are any."""
        return "" if self._best is None else epoch_file(self._best)

    def _prune(self) -> None:
        newest = self._regular if self._keep is None else self._regular[-self._keep :]
        for epoch in [e for e in self._on_disk if e not in newest and e != self._best]:
            self._files.remove(epoch_file(epoch))
            self._on_disk.remove(epoch)


def epoch_file(epoch: int) -> str:
    """Return the name of the weights after `epoch` epochs.

    >>> epoch_file(12)
    'model-0012.params'
    """
    return f"{PREFIX}-{epoch:04d}.params"
