"""Where a run stands, and how the files of its checkpoints are called after that.

``model-NNNN`` is after NNNN epochs, ``model-NNNN-batch-BBBB`` after BBBB batches of epoch NNNN. A
checkpoint is two files: the weights (``.params``) and everything else (``.safetensors``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

PREFIX = "model"
WEIGHTS, STATE = ".params", ".safetensors"

_STEM = re.compile(rf"{PREFIX}-(\d{{4,}})(?:-batch-(\d{{4,}}))?")


@dataclass(frozen=True, order=True)
class Position:
    """A number of whole epochs, and of batches of the next one.

    >>> Position(12, 0).stem, Position(11, 34).stem
    ('model-0012', 'model-0012-batch-0034')
    >>> Position(11, 34) < Position.of("model-0012.params")
    True
    """

    epoch: int
    batch: int = 0

    @classmethod
    def of(cls, name: str) -> Self | None:
        """Return the position that the name of a checkpoint's file tells; None for other files."""
        ending = next((end for end in (WEIGHTS, STATE) if name.endswith(end)), "")
        found = _STEM.fullmatch(name.removesuffix(ending))
        if found is None:
            return None
        epoch, batch = int(found[1]), int(found[2] or 0)
        return cls(epoch - 1, batch) if found[2] else cls(epoch)

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        if self.batch:
            return f"{PREFIX}-{self.epoch + 1:04d}-batch-{self.batch:04d}"
        return f"{PREFIX}-{self.epoch:04d}"

    @property
    def weights(self) -> str:
        """The name of its file of weights."""
        return self.stem + WEIGHTS

    @property
    def state(self) -> str:
        """The name of the file with everything else."""
        return self.stem + STATE

    def __str__(self) -> str:
        if self.batch:
            return f"after batch {self.batch} of epoch {self.epoch + 1}"
        return f"after epoch {self.epoch}" if self.epoch else "before the first batch"
