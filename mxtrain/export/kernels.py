"""Element types that onnxruntime has no kernel for, and what is computed in instead.

True of onnxruntime from 1.19 on, CPU, operator sets from 13 on. float16 is missing for most
operators, but onnxruntime converts to float32 and back by itself.
"""

from __future__ import annotations

_FLOATS = ("float16", "float32", "float64")
_NUMBERS = (*_FLOATS, "int32", "int64")
_SINGLE = ("float16", "float32")

# Operators that are not there for every element type; all others are.
_ONLY: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Mod", "Where"), _NUMBERS),
    **dict.fromkeys(("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"), _NUMBERS),
    **dict.fromkeys(("Abs", "Neg", "Sign", "ReduceSum", "MatMul"), _NUMBERS),
    **dict.fromkeys(("ReduceMax", "ReduceMin"), _NUMBERS),
    **dict.fromkeys(("ArgMax", "ArgMin"), (*_FLOATS, "int32")),
    "ReduceProd": (*_SINGLE, "int32", "int64"),
    **dict.fromkeys(("Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Tanh", "Sigmoid"), _FLOATS),
    **dict.fromkeys(("Relu", "Floor", "Ceil", "Round", "Softmax", "LogSoftmax"), _FLOATS),
    **dict.fromkeys(("ReduceMean", "Gemm", "Pow"), _FLOATS),
    **dict.fromkeys(("Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh"), _SINGLE),
    **dict.fromkeys(("Asinh", "Acosh", "Atanh", "Erf", "ConvTranspose"), _SINGLE),
    **dict.fromkeys(("Softsign", "Softplus", "Elu", "Selu", "LeakyRelu", "PRelu"), _SINGLE),
}
# In what order other types are tried: whole numbers in wider ones, float64 in what there is.
_NEXT = {
    "int8": "int32",
    "uint8": "int32",
    "int32": "float64",
    "int64": "float64",
    "float64": "float32",
}


def has(op_type: str, dtype: str) -> bool:
    """Return whether onnxruntime computes an operator in an element type.

    >>> has("Erf", "float32"), has("Erf", "float64"), has("Transpose", "bool")
    (True, False, True)
    """
    return op_type not in _ONLY or dtype in _ONLY[op_type]


def stand_in(op_type: str, dtype: str) -> str | None:
    """Return the element type to compute in instead of `dtype`; None where there is none.

    >>> stand_in("Add", "int8"), stand_in("Erf", "float64"), stand_in("Add", "bool")
    ('int32', 'float32', None)
    """
    other = _NEXT.get(dtype)
    while other is not None and not has(op_type, other):
        other = _NEXT.get(other)
    return other
