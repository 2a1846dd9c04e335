"""Calling compiled functions, and moving memory, by address."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped
from numba.extending import intrinsic

cgutils: Any = untyped
typed: Any = types
_WORD, _POINTER = ir.IntType(64), ir.IntType(8).as_pointer()


def address_of(function: Any) -> int:
    """Return the address of the machine code of a function compiled for one signature."""
    (compiled,) = function.overloads.values()
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return address


def _make_call(count: int) -> Any:
    # Numba's own convention: where to put the result, and an exception, before the arguments.
    kind = ir.FunctionType(ir.IntType(32), [_POINTER, _POINTER, *[_WORD] * count])

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = [builder.extract_value(arguments[1], place) for place in range(count)]
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        result = cgutils.alloca_once(builder, _POINTER)
        failure = cgutils.alloca_once(builder, _POINTER)
        outs = [builder.bitcast(slot, _POINTER) for slot in (result, failure)]
        builder.call(function, [*outs, *words])
        return target.get_dummy_value()

    words_kind: Any = typed.UniTuple(types.int64, count)

    def call(context: Any, function: Any, words: Any) -> Any:
        return types.void(types.int64, words_kind), generate

    return intrinsic(call)


def _move(context: Any, target: Any, source: Any, size: Any) -> Any:
    def generate(target_context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, of = (builder.inttoptr(address, _POINTER) for address in arguments[:2])
        cgutils.raw_memcpy(builder, to, of, arguments[2], 1)
        return target_context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


# Call a function that returns nothing, with a tuple of three, four or thirteen words.
call3, call4, call13 = _make_call(3), _make_call(4), _make_call(13)
# Copy so many bytes to one address from another; the two do not overlap.
move: Any = intrinsic(_move)
