"""MXNet's module API: `Module`, a graph that trains, scores and predicts.

`roles` says which argument is what, `inputs` describes batches, `memory` holds the arrays and the
executors, `parameters` the values users see, `optimization` the optimizer; `Module` joins them
under the loops of `BaseModule`.
"""

from __future__ import annotations

from mxtrain.module.base_module import BaseModule
from mxtrain.module.module import Module

__all__ = ["BaseModule", "Module"]
