"""PyTorch on a GPU, eager and with forward and backward captured as CUDA graphs."""

from __future__ import annotations

from typing import Any

import torch
from cases import Task

from sides.torch_eager import TorchEager


class TorchGpu(TorchEager):
    """The eager side, its batches on the device beforehand."""

    device = "cuda"

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return why there is no GPU for it."""
        return "" if torch.cuda.is_available() else "it finds no GPU"

    def steps(self, count: int) -> None:
        """Take steps."""
        super().steps(count)
        torch.cuda.synchronize()


class TorchGraphs(TorchGpu):
    """Network and loss as one compiled function, whose kernels are captured and replayed."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        # Its limit of recompilations counts over all networks of the process.
        torch._dynamo.reset()
        compiled = torch.compile(self.forward, mode="reduce-overhead")

        def forward(data: Any, label: Any) -> Any:
            # The graphs may write over the outputs and gradients of the step before.
            torch.compiler.cudagraph_mark_step_begin()
            return compiled(data, label)

        self.forward = forward
