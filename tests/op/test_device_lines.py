"""Which lines of which operators stay with the host on a CUDA device, and why.

Every operator is bound with the attributes and shapes of its recorded and gradient cases, in each
type of floats, with whole numbers for indices and labels, and with whole numbers alone. A new
operator has to be read, or to be entered here with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import test_golden_ops as golden
from gradient_cases_tensor import LEFT
from test_gradients import CASES, numbers

from mxtrain import symbol as sym
from mxtrain.backend.cuda.reading import read_line
from mxtrain.errors import MXNetError
from mxtrain.op import registry

ERROR = "an error has to be raised between two lines"
SPARSE = "the number of rows changes with every batch, and memory with it"
WHOLE = "cuBLAS multiplies matrices of floats"
FRACTIONS = "a function of floats; of whole numbers it makes no sense"

# Operator and kernel -> the types of its arrays, and why the host computes it.
ON_THE_HOST = {
    ("take", "refuse_outside"): ({"int64"}, ERROR),
    ("Embedding", "sum_rows"): ({"int64", "float16", "float32", "float64"}, SPARSE),
    ("Embedding", "clear_rows"): (set(), SPARSE),
    ("LeakyReLU", "erf"): ({"int32"}, FRACTIONS),
    ("FullyConnected", "dot"): ({"int32"}, WHOLE),
    ("UpSampling", "matmul"): ({"int32"}, WHOLE),
    ("batch_dot", "matmul"): ({"int32"}, WHOLE),
    ("dot", "matmul"): ({"int32"}, WHOLE),
}

FLOATS = ["float32", "float64", "float16"]


class Case(NamedTuple):
    """An operator with its attributes, inputs as (shape or values), and statistics."""

    op: str
    attrs: dict[str, Any]
    inputs: dict[str, np.ndarray]
    grads: list[str]


def cases() -> Iterator[Case]:
    for name in golden.PRESENT:
        row = golden.CASES[name]
        attrs = {k: tuple(v) if isinstance(v, list) else v for k, v in row["attrs"].items()}
        given = golden.stored(row, "in")
        inputs = {item["name"]: given[item["name"]] for item in row["inputs"]}
        yield Case(row["op"], attrs, inputs, [i["name"] for i in row["inputs"] if i["grad"]])
    random = np.random.default_rng(0)
    for row in CASES:
        inputs = {name: numbers(value, random) for name, value in row["inputs"].items()}
        yield Case(row["op"], row["attrs"], inputs, row["wrt"])
    table = {"data": np.zeros(3), "weight": np.zeros((4, 2))}
    sparse = {"input_dim": 4, "output_dim": 2, "sparse_grad": True}
    yield Case("Embedding", sparse, table, ["weight"])
    for op in registry.names():  # comparisons have no case of their own
        operator = registry.get(op)
        if operator.no_gradient and operator.no_gradient == operator.argument_names:
            attrs = {"scalar": 0.7} if op.endswith("_scalar") else {}
            if op not in ("argmax", "argmin", "argmax_channel", "one_hot"):
                yield Case(op, attrs, dict.fromkeys(operator.argument_names, LEFT), [])


def bound(case: Case, floats: str, indices: str) -> Any:
    """The executor of a case, None where the operator refuses these types."""
    operator = registry.get(case.op)
    names = list(case.inputs)
    positions = operator.argument_names if not operator.variadic else names
    types = {
        name: indices if position in operator.no_gradient else floats
        for name, position in zip(names, positions, strict=False)
    }
    net = getattr(sym, case.op)(*map(sym.Variable, names), name="op", **case.attrs)
    requests = {name: "write" if name in case.grads else "null" for name in names}
    shapes = {name: array.shape for name, array in case.inputs.items()}
    try:
        return net.simple_bind(grad_req=requests, type_dict=types, **shapes)
    except MXNetError:
        return None


def lines_of(executor: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    for is_train in (True, False):
        programs = [executor.plan.forward(is_train)]
        if any(grad is not None for grad in executor.grad_dict.values()):
            programs.append(executor.plan.backward(is_train)[0])
        for program in programs:
            for step in program.steps:
                yield from step.lines


def name_of(kernel: Any) -> str:
    owner = getattr(kernel, "__self__", None)
    start = f"{owner.__name__}." if isinstance(owner, np.ufunc) else ""
    return start + str(getattr(kernel, "__name__", kernel))


def refuses(kernel: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether NumPy does not compute the line either: fractions do not become whole numbers."""
    if not isinstance(kernel, np.ufunc):
        return False
    try:
        with np.errstate(all="ignore"):
            kernel(*arguments)
    except TypeError:
        return True
    return False


@cache
def unread() -> tuple[dict[tuple[str, str], set[str]], set[str]]:
    """Lines of the host with the types of their arrays, and the operators that were bound."""
    found: dict[tuple[str, str], set[str]] = {}
    seen = set()
    for case in cases():
        op = registry.name_of(registry.get(case.op))
        pairs = [(kind, kind) for kind in FLOATS] + [("float32", "int32"), ("int32", "int32")]
        for floats, indices in pairs:
            executor = bound(case, floats, indices)
            if executor is None:
                continue
            seen.add(op)
            try:
                lines = list(lines_of(executor))
            except (ValueError, OverflowError):  # softmax and smooth_l1 have no whole numbers
                assert floats == "int32"
                continue
            for kernel, arguments in lines:
                if read_line((kernel, arguments)) is None and not refuses(kernel, arguments):
                    types = {a.dtype.name for a in arguments if isinstance(a, np.ndarray)}
                    found.setdefault((op, name_of(kernel)), set()).update(types)
    return found, seen


def test_every_operator_is_bound() -> None:
    assert unread()[1] == set(registry.names())


def test_the_host_computes_what_is_listed_and_nothing_else() -> None:
    assert unread()[0] == {line: types for line, (types, _) in ON_THE_HOST.items()}
