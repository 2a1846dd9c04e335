"""Which weights a run keeps on disk.

``model-NNNN.params`` has the weights after NNNN epochs; ``model-NNNN-batch-BBBB.params`` those
after BBBB batches of epoch NNNN, where a run was stopped in the middle of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mxtrain.trainer.folder import PREFIX

if TYPE_CHECKING:
    from mxtrain.config.spec import CheckpointSpec
    from mxtrain.module import Module
    from mxtrain.trainer.best import Best
    from mxtrain.trainer.folder import RunFolder


class Checkpoints:
    """Writes weights every few epochs, keeps the newest of them and those of the best epoch.

    Parameters
    ----------
    files : the run's folder.
    module : whose weights are written.
    best : the best epoch so far. Its weights are written with the next checkpoint.
    spec : how often weights are written and how many of these files stay. The last epoch has one
        in any case, and the best epoch's stays besides.

    Attributes
    ----------
    newest : the file written last, the best epoch's apart; empty before the first.
    """

    def __init__(self, files: RunFolder, module: Module, best: Best, spec: CheckpointSpec) -> None:
        self._files, self._module, self._best = files, module, best
        self._every, self._keep = spec.every, spec.keep
        self._regular: list[int] = []
        self._on_disk: list[int] = []
        self.newest = ""

    def after(self, epoch: int, is_last: bool) -> None:
        """Write and delete what is due after `epoch` epochs."""
        if epoch % self._every and not is_last:
            return
        self.save(epoch)
        self._regular.append(epoch)
        self._save_best()
        newest = self._regular if self._keep is None else self._regular[-self._keep :]
        for old in [e for e in self._on_disk if e not in newest and e != self._best.epoch]:
            self._files.remove(epoch_file(old))
            self._on_disk.remove(old)

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
            self.save(epoch)
        else:
            name = f"{PREFIX}-{epoch:04d}-batch-{batches:04d}.params"
            self._files.save_weights(self._module, name)
            self.newest = name
        self._save_best()
        return self.newest

    def best_file(self) -> str:
        """Return the name of the best epoch's weights, empty where they are not on the disk."""
        epoch = self._best.epoch
        return epoch_file(epoch) if epoch is not None and epoch in self._on_disk else ""

    def _save_best(self) -> None:
        epoch = self._best.epoch
        if epoch is None or epoch in self._on_disk:
            return
        with self._best.in_place(self._module):
            self._files.save_weights(self._module, epoch_file(epoch))
        self._on_disk.append(epoch)


def epoch_file(epoch: int) -> str:
    """Return the name of the weights after `epoch` epochs.

    >>> epoch_file(12)
    'model-0012.params'
    """
    return f"{PREFIX}-{epoch:04d}.params"
