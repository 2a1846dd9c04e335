"""How much memory a run takes while it trains: every array it will hold, known before it begins.

Counted are arrays; Python, its libraries and compiled code come on top, and so does, for a moment,
what reading the data takes. That is over before anything else is allocated.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mxtrain.errors import size
from mxtrain.initializer.load import Load
from mxtrain.trainer.errors import SetupError

if TYPE_CHECKING:
    from mxtrain.module import Module
    from mxtrain.trainer.bound import BoundBatch
    from mxtrain.trainer.loop import Loop

Memory = tuple[tuple[str, int], ...]


def training_memory(loop: Loop) -> Memory:
    """Return kinds of arrays with their bytes.

    Computes a batch of every length there will be, which takes the memory of all of them and moves
    the weights. Raises SetupError as a run does before it begins.
    """
    loop.try_out()
    full, *others = loop.rehearse()
    module = loop.built.module
    weights = _bytes(module.parameter_arrays())
    lengths = " and ".join(str(bound.rows) for bound in others)
    rows = [rows for rows in (loop.built.data.train, loop.built.data.eval) if rows is not None]
    found = (
        ("parameters", weights),
        ("copies of them: the best, and to save", 2 * weights),
        ("weights they started from", _started_from(loop.built.initializer)),
        ("gradients", _bytes(module.flat_gradients())),
        ("optimizer states", module.optimizer_state_bytes()),
        ("scratch of the update", module.optimizer_scratch_bytes()),
        (f"activations, scratch and input of {full.rows} rows", _bytes_of(full)),
        (f"the same for batches of {lengths} rows", sum(map(_bytes_of, others))),
        ("outputs to be measured, order of rows", loop.nbytes()),
        ("rows in memory", sum(_bytes([one.data, *one.labels]) for one in rows)),
    )
    always = ("parameters", "gradients", "optimizer states")
    return tuple((what, number) for what, number in found if number or what in always)


def check_room(module: Module, free: int | None) -> None:
    """Refuse (SetupError) a network that `free` bytes of memory cannot hold, None for any number.

    To be called when arrays are there that nothing has written to: systems promise more memory
    than they have, and kill who uses it. Before the module has an optimizer all its arrays are
    such; with one, the weights are not.
    """
    weights = _bytes(module.parameter_arrays())
    kinds = {
        "gradients": _bytes(module.flat_gradients()),
        "a copy of the weights": weights,
        "a batch": module.executor.plan.nbytes(),
    }
    begun = module.optimizer_initialized
    kinds |= {"optimizer states": module.optimizer_state_bytes()} if begun else {"weights": weights}
    needed = sum(kinds.values())
    if free is not None and needed > free:
        parts = sorted(kinds.items(), key=lambda part: part[1], reverse=True)
        listed = ", ".join(f"{size(number)} for {what}" for what, number in parts)
        raise SetupError(
            f"training takes {size(needed)} of memory {'more' if begun else 'or more'}, and "
            f"{size(free)} are free: {listed}; take fewer units or smaller batches"
        )


def free_memory(system: Path = Path("/")) -> int | None:
    """Return the bytes that may still be used, with those of swap; None where nothing tells.

    `system` is the root of Linux's files about it.
    """
    try:
        lines = (system / "proc/meminfo").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        free = sizes["MemAvailable"] + sizes["SwapFree"]
    except (OSError, LookupError, ValueError):
        return None
    try:
        return min(free, int((system / "sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or "max": it has no limit
        return free


def _started_from(initializer: Any) -> int:
    return _bytes(initializer.param.values()) if isinstance(initializer, Load) else 0


def _bytes_of(bound: BoundBatch) -> int:
    """Return the bytes of a plan and of the inputs it reads."""
    inputs = [bound.data, *bound.labels]
    return bound.executor.plan.nbytes() + _bytes(inputs)


def _bytes(arrays: Iterable[Any]) -> int:
    return sum(int(array.nbytes) for array in arrays)
