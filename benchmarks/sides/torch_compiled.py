"""PyTorch with forward and backward compiled by `torch.compile`, and fused optimizers."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import torch
from cases import Task

from sides.torch_eager import TorchEager

# It tells of a GPU's absence.
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
COMPILERS = ("c++", "g++", "clang++")


class TorchCompiled(TorchEager):
    """The eager side with network and loss as one compiled function."""

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return what is missing for compiling."""
        if not any(map(shutil.which, COMPILERS)):
            return f"needs a C++ compiler, none of {', '.join(COMPILERS)} is there"
        return ""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        # Its limit of recompilations counts over all networks of the process.
        torch._dynamo.reset()
        self.forward = torch.compile(self.forward)
