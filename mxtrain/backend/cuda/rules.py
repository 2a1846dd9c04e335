"""An update rule as one kernel over flat arrays; its scalars are read from device memory.

A step that was captured once then sees the rate and the bias correction of every later step: the
scalars of many updates lie in a table, and a counter on the device says which row is next.
"""

from __future__ import annotations

from collections.abc import Sequence

from mxtrain.backend.cuda.expressions import TYPES, filled_in, literal
from mxtrain.backend.cuda.kernel import Kernel, over_elements
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.formula import Program, Ref
from mxtrain.backend.numpy import Array, Rounded


def rule(
    program: Program,
    arrays: Sequence[Array],
    targets: Sequence[int],
    table: int,
    counter: int,
    rounded: Rounded | None = None,
) -> Kernel:
    """Return the kernel of a rule.

    Parameters
    ----------
    program, arrays, targets, rounded : as for `NumpyBackend.segment`.
    table : the address of rows of doubles, the scalars of an update each.
    counter : the address of a word, the number of the row.
    """
    kind = TYPES[arrays[targets[0]].dtype.name]
    before, body = _statements(program, kind, targets)
    held = list(arrays)
    if rounded is not None:
        number, array = rounded
        body += f"        p{len(held)}[i] = {TYPES[array.dtype.name]}(p{number}[i]);\n"
        held.append(array)
    parameters = ["const double* table", "const word* counter"]
    parameters += [f"{TYPES[array.dtype.name]}* p{number}" for number, array in enumerate(held)]
    words = [table, counter, *map(address_of, held)]
    return over_elements(arrays[0].size, parameters, body, words, before)


def _statements(program: Program, kind: str, targets: Sequence[int]) -> tuple[str, str]:
    """Return the statements over scalars, of a C type, and those for an element."""
    width = len(program.scalars)
    before = f"    const double* scalars = table + *counter * {width};\n"
    for number in range(width):
        before += f"    {kind} s{number} = {kind}(scalars[{number}]);\n"
    names = {("array", number): f"a{number}" for number in range(len(program.arrays))}
    names |= {("scalar", number): f"s{number}" for number in range(width)}

    def text(ref: Ref) -> str:
        return literal(ref.index, kind) if ref.kind == "literal" else names[ref.kind, ref.index]

    statements: dict[bool, str] = {True: "", False: ""}
    for number, instruction in enumerate(program.instructions):
        value = filled_in(instruction.op, kind, [text(ref) for ref in instruction.operands])
        names["value", number] = f"v{number}"
        indent = "    " if instruction.is_scalar else "        "
        statements[instruction.is_scalar] += f"{indent}{kind} v{number} = {kind}({value});\n"
    body = ""
    operands = [ref for instruction in program.instructions for ref in instruction.operands]
    read = {ref.index for ref in (*operands, *program.outputs) if ref.kind == "array"}
    for number in sorted(read):
        body += f"        {kind} a{number} = {kind}(p{number}[i]);\n"
    body += statements[False]
    for target, ref in zip(targets, program.outputs, strict=True):
        body += f"        p{target}[i] = {text(ref)};\n"
    return before + statements[True], body
