"""What threads in compiled functions tell each other by: shared words, and bytes in pipes."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped
from numba.extending import intrinsic

cgutils: Any = untyped
_WORD, _BYTES = ir.IntType(64), 8
# LLVM's names for what tells a processor that a loop only waits.
_WAITING: dict[str, tuple[str, list[int]]] = {
    "x86_64": ("llvm.x86.sse2.pause", []),
    "AMD64": ("llvm.x86.sse2.pause", []),
    "aarch64": ("llvm.aarch64.hint", [1]),
    "arm64": ("llvm.aarch64.hint", [1]),
}


def _place(builder: Any, table: Any, number: Any) -> Any:
    return builder.gep(builder.inttoptr(table, _WORD.as_pointer()), [number])


def _read(context: Any, table: Any, number: Any) -> Any:
    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(_place(builder, *arguments), "acquire", _BYTES)

    return types.int64(types.int64, types.int64), generate


def _write(context: Any, table: Any, number: Any, value: Any) -> Any:
    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(builder, *arguments[:2])
        builder.store_atomic(arguments[2], place, "release", _BYTES)
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


def _replace(context: Any, table: Any, number: Any, old: Any, new: Any) -> Any:
    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(builder, *arguments[:2])
        pair = builder.cmpxchg(place, arguments[2], arguments[3], "acq_rel", "acquire")
        return builder.extract_value(pair, 1)

    return types.boolean(*[types.int64] * 4), generate


def _pause(context: Any) -> Any:
    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if platform.machine() in _WAITING:
            name, numbers = _WAITING[platform.machine()]
            number = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [number] * len(numbers))
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [ir.Constant(number, value) for value in numbers])
        return target.get_dummy_value()

    return types.void(), generate


def _write_byte(context: Any, function: Any, descriptor: Any) -> Any:
    byte, number = ir.IntType(8), ir.IntType(32)
    kind = ir.FunctionType(_WORD, [number, byte.as_pointer(), _WORD])

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call = builder.inttoptr(arguments[0], kind.as_pointer())
        written = cgutils.alloca_once_value(builder, ir.Constant(byte, 0))
        descriptor = builder.trunc(arguments[1], number)
        builder.call(call, [descriptor, written, ir.Constant(_WORD, 1)])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), generate


# Read and write an entry of a table: who reads a word sees everything written before it was.
read_word: Any = intrinsic(_read)
write_word: Any = intrinsic(_write)
# Write a new value where the old one is as expected; True if it was.
replace_word: Any = intrinsic(_replace)
# Wait for a moment that costs nothing to leave.
pause: Any = intrinsic(_pause)
# Write a byte to a file descriptor, by the address of the system's ``write``.
write_byte: Any = intrinsic(_write_byte)
