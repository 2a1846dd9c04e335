"""A symbol bound to memory: the plan, the arena of parameters, the executor."""

from __future__ import annotations

from mxtrain.executor.binding import bind, simple_bind
from mxtrain.executor.executor import Executor

__all__ = ["Executor", "bind", "simple_bind"]
