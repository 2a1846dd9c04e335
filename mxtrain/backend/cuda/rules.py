"""An update rule as one kernel over flat arrays; its scalars are read from device memory.

A step that was captured once then sees the rate and the bias correction of every later step: the
scalars of many updates lie in a table, and a counter on the device says which row is next.
"""

from __future__ import annotations

from collections.abc import Sequence

from mxtrain.backend.cuda.expressions import TYPES, filled_in, literal
from mxtrain.backend.cuda.kernel import Kernel, over_elements
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.formula import TRUTH_VALUED, Program, Ref
from mxtrain.backend.numpy import Array


def rule(
    program: Program,
    arrays: Sequence[Array],
    targets: Sequence[int],
    table: int,
    counter: int,
) -> Kernel:
    """Return the kernel of a rule.

    Parameters
    ----------
    program, arrays, targets : as for the NumPy backend's `Segment`.
    table : the address of rows of doubles, the scalars of an update each.
    counter : the address of a word, the number of the row.
    """
    kind = TYPES[arrays[0].dtype.name]
    parameters = ["const double* table", "const word* counter"]
    parameters += [f"{kind}* p{number}" for number in range(len(arrays))]
    before, body = _statements(program, kind, targets)
    words = [table, counter, *map(address_of, arrays)]
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
        value = f"{kind}{value}" if instruction.op in TRUTH_VALUED else value
        names["value", number] = f"v{number}"
        indent = "    " if instruction.is_scalar else "        "
        statements[instruction.is_scalar] += f"{indent}{kind} v{number} = {value};\n"
    body = ""
    operands = [ref for instruction in program.instructions for ref in instruction.operands]
    read = {ref.index for ref in (*operands, *program.outputs) if ref.kind == "array"}
    for number in sorted(read):
        body += f"        {kind} a{number} = p{number}[i];\n"
    body += statements[False]
    for target, ref in zip(targets, program.outputs, strict=True):
        body += f"        p{target}[i] = {text(ref)};\n"
    return before + statements[True], body
