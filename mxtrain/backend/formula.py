"""Formulas: element-wise mathematics written once and lowered by every backend.

A formula is an ordinary Python function over arrays and scalars that returns one expression or a
tuple of them. `trace` calls it once with symbols in place of numbers and keeps what it computed
as a `Program`: a straight line of instructions in which common parts appear once. Instructions
whose operands are all scalars come first, so that a backend computes them once and not per
element, in the arrays' own dtype: ``1 - beta1`` never becomes a float64 in a float32 rule.

>>> def axpy(x, y, a):
...     return a * x + y
>>> print(trace(axpy, arrays=["x", "y"], scalars=["a"]))
v0 = multiply(a, x)
v1 = add(v0, y)
-> v1
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

UNARY = frozenset(
    [
        "negative",
        "absolute",
        "sign",
        "square",
        "sqrt",
        "exp",
        "log",
        "log1p",
        "expm1",
        "sin",
        "cos",
        "tanh",
        "cbrt",
        "floor",
        "ceil",
        "rint",
        "trunc",
        "reciprocal",
        "erf",
        "isfinite",
        "logical_not",
    ]
)
BINARY = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "power",
        "remainder",
        "maximum",
        "minimum",
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "logical_and",
        "logical_or",
        "copysign",
    ]
)
TRUTH_VALUED = frozenset(
    [
        "greater",
        "greater_equal",
        "less",
        "less_equal",
        "equal",
        "not_equal",
        "isfinite",
        "logical_and",
        "logical_or",
        "logical_not",
    ]
)
_SPELLINGS = {"abs": "absolute"}


class Ref(NamedTuple):
    """An operand: ``kind`` is array, scalar, literal or value; ``index`` numbers it."""

    kind: str
    index: Any


_ZERO, _ONE = Ref("literal", 0.0), Ref("literal", 1.0)


class Instruction(NamedTuple):
    """One operation on operands; its result is the value of its position in the program."""

    op: str
    operands: tuple[Ref, ...]
    is_scalar: bool


@dataclass(frozen=True)
class Program:
    """A traced formula. `outputs` has one operand per returned expression."""

    arrays: tuple[str, ...]
    scalars: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[Ref, ...]

    def __str__(self) -> str:
        lines = [
            f"v{number} = {op}({', '.join(map(self._name, operands))})"
            for number, (op, operands, _) in enumerate(self.instructions)
        ]
        return "\n".join([*lines, "-> " + ", ".join(map(self._name, self.outputs))])

    def _name(self, ref: Ref) -> str:
        if ref.kind in ("array", "scalar"):
            names, number = self.arrays if ref.kind == "array" else self.scalars, int(ref.index)
            return names[number]
        return f"v{ref.index}" if ref.kind == "value" else repr(ref.index)

    def last_uses(self) -> dict[Ref, int]:
        """Return the number of the last instruction that reads each operand."""
        uses: dict[Ref, int] = {}
        for number, instruction in enumerate(self.instructions):
            for ref in instruction.operands:
                uses[ref] = number
        return uses


class Term:
    """A symbol inside a formula; arithmetic on it is recorded."""

    __slots__ = ("_trace", "is_scalar", "ref")

    def __init__(self, trace: _Trace, ref: Ref, is_scalar: bool) -> None:
        self._trace, self.ref, self.is_scalar = trace, ref, is_scalar

    def __bool__(self) -> bool:
        raise TypeError(
            "a formula cannot branch on the value of an array; use xp.where(condition, a, b)"
        )

    def __pow__(self, exponent: Any) -> Term:
        simple = {2: "square", 0.5: "sqrt", -1: "reciprocal"}
        if isinstance(exponent, (int, float)) and exponent in simple:
            return self._trace.call(simple[exponent], self)
        return self._trace.call("power", self, exponent)

    def __neg__(self) -> Term:
        return self._trace.call("negative", self)

    def __abs__(self) -> Term:
        return self._trace.call("absolute", self)


def _record_operator(op: str, reflected: bool) -> Callable[[Term, Any], Term]:
    def method(self: Term, other: Any) -> Term:
        operands = (other, self) if reflected else (self, other)
        return self._trace.call(op, *operands)

    return method


for _python, _op in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "mod": "remainder",
}.items():
    setattr(Term, f"__{_python}__", _record_operator(_op, reflected=False))
    setattr(Term, f"__r{_python}__", _record_operator(_op, reflected=True))
setattr(Term, "__rpow__", _record_operator("power", reflected=True))  # noqa: B010 (one table)
for _python, _op in {
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
}.items():
    setattr(Term, f"__{_python}__", _record_operator(_op, reflected=False))


class Maths:
    """The functions a formula may call, as attributes with NumPy's names (``xp.sqrt``)."""

    def __init__(self, trace: _Trace) -> None:
        self._trace = trace

    def __getattr__(self, name: str) -> Callable[..., Term]:
        op = _SPELLINGS.get(name, name)
        if op not in UNARY and op not in BINARY and op != "where":
            known = ", ".join(sorted({*UNARY, *BINARY, "where"}))
            raise AttributeError(f"a formula has no function '{name}'; it may use: {known}")
        return lambda *operands: self._trace.call(op, *operands)


class _Trace:
    """Records instructions, each distinct one once."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []
        self._known: dict[Instruction, Term] = {}

    def call(self, op: str, *operands: Any) -> Term:
        arity = 1 if op in UNARY else 3 if op == "where" else 2
        if len(operands) != arity:
            raise TypeError(f"{op} takes {arity} operands in a formula, {len(operands)} were given")
        terms = [self._term(operand, op) for operand in operands]
        simpler = self._simplified(op, terms)
        if simpler is not None:
            return simpler
        is_scalar = all(term.is_scalar for term in terms)
        instruction = Instruction(op, tuple(term.ref for term in terms), is_scalar)
        if instruction not in self._known:
            number = len(self.instructions)
            self.instructions.append(instruction)
            self._known[instruction] = Term(self, Ref("value", number), is_scalar)
        return self._known[instruction]

    def _simplified(self, op: str, terms: list[Term]) -> Term | None:
        """Drop products with a literal 0, sums with 0 and products with 1.

        A scalar known to be zero (no weight decay, say) is passed as the literal 0, and the terms
        it multiplies vanish from the formula.
        """
        if len(terms) != 2 or op not in ("add", "subtract", "multiply"):
            return None
        left, right = terms
        if op == "multiply":
            for one, other in ((left, right), (right, left)):
                if one.ref == _ZERO:
                    return one
                if one.ref == _ONE:
                    return other
        if right.ref == _ZERO:
            return left
        return right if left.ref == _ZERO and op == "add" else None

    def _term(self, operand: Any, op: str) -> Term:
        if isinstance(operand, Term):
            return operand
        if isinstance(operand, (bool, int, float)):
            return Term(self, Ref("literal", float(operand)), is_scalar=True)
        raise TypeError(
            f"{op} in a formula takes arrays, scalars and numbers, not {type(operand).__name__}"
        )


def trace(
    formula: Callable[..., Any],
    arrays: Sequence[str],
    scalars: Sequence[str] = (),
    takes_maths: bool = False,
    zero: Sequence[str] = (),
) -> Program:
    """Run `formula` on symbols and return the program it stands for.

    Parameters
    ----------
    formula : a function of the named arrays and scalars (by keyword), or, with `takes_maths`,
        a function of the namespace ``xp`` that returns such a function.
    zero : names of further scalars that are known to be 0 and need no place in the program.
    """
    recorder = _Trace()
    inputs = {name: Term(recorder, Ref("array", i), False) for i, name in enumerate(arrays)}
    inputs |= {name: Term(recorder, Ref("scalar", i), True) for i, name in enumerate(scalars)}
    inputs |= {name: Term(recorder, _ZERO, True) for name in zero}
    function: Callable[..., Any] = formula(Maths(recorder)) if takes_maths else formula
    returned = function(**inputs)
    results = returned if isinstance(returned, tuple) else (returned,)
    outputs = tuple(recorder._term(result, "the result").ref for result in results)
    return Program(tuple(arrays), tuple(scalars), *_prune(recorder.instructions, outputs))


def _prune(
    instructions: list[Instruction], outputs: tuple[Ref, ...]
) -> tuple[tuple[Instruction, ...], tuple[Ref, ...]]:
    """Drop what no output needs, put scalar instructions first, and number anew."""
    needed = {ref.index for ref in outputs if ref.kind == "value"}
    for number in range(len(instructions) - 1, -1, -1):
        if number in needed:
            operands = instructions[number].operands
            needed |= {ref.index for ref in operands if ref.kind == "value"}
    order = sorted(needed, key=lambda number: (not instructions[number].is_scalar, number))
    new_number = {old: new for new, old in enumerate(order)}

    def renumber(ref: Ref) -> Ref:
        return Ref("value", new_number[ref.index]) if ref.kind == "value" else ref

    kept = tuple(
        instructions[old]._replace(operands=tuple(map(renumber, instructions[old].operands)))
        for old in order
    )
    return kept, tuple(map(renumber, outputs))
