"""Where arrays live: `cpu` and `gpu`, under the names MXNet scripts use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """A device: its type (``"cpu"`` or ``"gpu"``) and number."""

    device_type: str = "cpu"
    device_id: int = 0

    def __str__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    __repr__ = __str__


def cpu(device_id: int = 0) -> Context:
    """Return the CPU context.

    >>> cpu()
    cpu(0)
    """
    return Context("cpu", device_id)


def gpu(device_id: int = 0) -> Context:
    """Return the context of a GPU by its number."""
    return Context("gpu", device_id)


def current_context() -> Context:
    """Return the context used when none is named: the CPU."""
    return cpu()
