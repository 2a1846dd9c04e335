"""Update rules as compiled loops over flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from mxtrain.backend.compiled import cache
from mxtrain.backend.compiled.calls import address_of
from mxtrain.backend.compiled.expressions import EXPRESSIONS
from mxtrain.backend.compiled.source import filled_in
from mxtrain.backend.compiled.team import helpers, share_update
from mxtrain.backend.formula import Program, Ref
from mxtrain.backend.numpy import Array

SIGNATURE = "void(int64, int64, int64, int64)"


class CompiledSegment:
    """A rule bound to equally long flat arrays, run in one loop.

    Parameters are those of the NumPy backend's `Segment`.
    """

    def __init__(self, program: Program, arrays: Sequence[Array], targets: Sequence[int]) -> None:
        kind = arrays[0].dtype.name
        self._kept = list(arrays)  # addresses do not keep memory alive
        self._addresses = np.array([array.ctypes.data for array in arrays], np.int64)
        self.size = arrays[0].size
        self.nbytes = 0
        self._scalars = np.zeros(len(program.scalars), np.float64)
        self._values: tuple[float, ...] | None = None
        self._run = _compiled(program, kind, tuple(targets))
        tables = self._addresses.ctypes.data, self._scalars.ctypes.data
        self._call = (tables[0], 0, self.size, tables[1])
        self._shared = (address_of(self._run), *self._call)

    def entry(self) -> tuple[int, int, int, int]:
        """Return the address of the function, and its arguments but for the scalars."""
        return self._shared[:4]

    def run(self, scalars: tuple[float, ...]) -> None:
        """Apply the rule once with these scalar values, in the order the rule names them."""
        if scalars != self._values:
            self._scalars[:] = self._values = scalars
        team, most = helpers(self.size)
        if team:
            share_update(team, most, *self._shared)
        else:
            self._run(*self._call)


@lru_cache(maxsize=1024)
def _compiled(program: Program, kind: str, targets: tuple[int, ...]) -> Callable[..., Any]:
    return cache.compiled(lambda keep: source(program, kind, targets, keep))


def source(program: Program, kind: str, targets: Sequence[int], keep: bool) -> str:
    """Return the source of a rule over elements of type `kind`."""
    decorator = f'@njit("{SIGNATURE}", nogil=True, error_model="numpy", cache={keep})'
    lines = [decorator, f"def {cache.NAME}(P, start, stop, S):"]
    arrays = len(program.arrays)
    lines += [f"    p{number} = word_of(P, {number})" for number in range(arrays)]
    lines += [
        f"    s{number} = {kind}(number_of(S, {number}))" for number in range(len(program.scalars))
    ]
    names = {("array", number): f"a{number}" for number in range(arrays)}
    names |= {("scalar", number): f"s{number}" for number in range(len(program.scalars))}

    def text(ref: Ref) -> str:
        return f"{kind}({ref.index!r})" if ref.kind == "literal" else names[ref.kind, ref.index]

    scalar: list[str] = []
    element: list[str] = []
    for number, instruction in enumerate(program.instructions):
        value = filled_in(instruction.op, kind, [text(ref) for ref in instruction.operands])
        if EXPRESSIONS[instruction.op].truth_valued:
            value = f"{kind}({value})"
        names["value", number] = f"v{number}"
        (scalar if instruction.is_scalar else element).append(f"v{number} = {value}")
    lines += [f"    {line}" for line in scalar]
    lines.append("    for i in range(start, stop):")
    operands = [ref for instruction in program.instructions for ref in instruction.operands]
    read = {ref.index for ref in (*operands, *program.outputs) if ref.kind == "array"}
    lines += [f"        a{n} = load_{kind}(p{n}, i, {n}, {arrays})" for n in sorted(read)]
    lines += [f"        {line}" for line in element]
    lines += [
        f"        store_{kind}(p{target}, i, {kind}({text(ref)}), {target}, {arrays})"
        for target, ref in zip(targets, program.outputs, strict=True)
    ]
    return "\n".join(lines) + "\n"
