"""Reading and writing memory by address, for generated functions.

An array argument costs a generated function dozens of words and hides from the compiler which
arrays overlap. Addresses cost one word each, and every access here says which region of memory it
belongs to: regions are disjoint, so loops over them need no checks before they use vector
instructions, and what lies in another region than the one written may stay in a register.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_POINTEES = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.uint8: ir.IntType(8),
    types.int64: ir.IntType(64),
}


def _scope(module: Any, region: int) -> Any:
    """Return the alias scope of a region, one object per module."""
    domain = module.add_metadata([ir.MetaDataString(module, "regions")])
    return module.add_metadata([ir.MetaDataString(module, f"region {region}"), domain])


def _mark(builder: Any, instruction: Any, region: int, regions: int) -> None:
    """Say that `instruction` touches `region`, and none of the others."""
    module = builder.module
    mine = module.add_metadata([_scope(module, region)])
    others = [_scope(module, other) for other in range(regions) if other != region]
    instruction.set_metadata("alias.scope", mine)
    if others:
        instruction.set_metadata("noalias", module.add_metadata(others))


def _place(builder: Any, kind: Any, address: Any, index: Any) -> Any:
    pointer = builder.inttoptr(address, _POINTEES[kind].as_pointer())
    return builder.gep(pointer, [index])


def _make_load(kind: Any) -> Any:
    @intrinsic(prefer_literal=True)
    def load(context: Any, address: Any, index: Any, region: Any, regions: Any) -> Any:
        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = builder.load(_place(builder, kind, *arguments[:2]))
            _mark(builder, value, region.literal_value, regions.literal_value)
            return value

        return kind(types.int64, types.int64, region, regions), generate

    return load


def _make_store(kind: Any) -> Any:
    @intrinsic(prefer_literal=True)
    def store(context: Any, address: Any, index: Any, value: Any, region: Any, regions: Any) -> Any:
        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            stored = builder.store(arguments[2], _place(builder, kind, *arguments[:2]))
            _mark(builder, stored, region.literal_value, regions.literal_value)
            return target.get_dummy_value()

        return types.void(types.int64, types.int64, kind, region, regions), generate

    return store


def _make_entry(kind: Any) -> Any:
    @intrinsic
    def entry(context: Any, table: Any, number: Any) -> Any:
        def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(_place(builder, kind, *arguments))

        return kind(types.int64, types.int64), generate

    return entry


def _put(context: Any, table: Any, number: Any, value: Any) -> Any:
    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _place(builder, types.int64, *arguments[:2]))
        return target.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


# Write an entry of a table of words.
put_word: Any = intrinsic(_put)
# Entries of the tables that functions are called with.
word_of, number_of = _make_entry(types.int64), _make_entry(types.float64)
load_float32 = _make_load(types.float32)
load_float64 = _make_load(types.float64)
load_uint8 = _make_load(types.uint8)
store_float32 = _make_store(types.float32)
store_float64 = _make_store(types.float64)
store_uint8 = _make_store(types.uint8)
