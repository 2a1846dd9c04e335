"""Damage to files: of their bytes, of the integers in them, and of JSON values."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

INTEGERS = [0, 1, 2, 3, 7, 63, 64, 65, 255, 274, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40]
INTEGERS += [2**48, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 8]
MARKS = [0xF993FAC8, 0xF993FAC9, 0xF993FACA]
Fields = Sequence[tuple[int, int]]


def cut(random: Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def flip_bits(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        if damaged:
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def change_bytes(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.choice([1, 2, 8])):
        if damaged:
            damaged[random.randrange(len(damaged))] = random.choice([0, 255, random.randrange(256)])
    return bytes(damaged)


def splice_size(random: Random, data: bytes, fields: Fields = ()) -> bytes:
    """Put a large, negative or odd number where an integer stands, or anywhere."""
    at, size = random.choice(fields) if fields and random.random() < 0.9 else (0, 0)
    if not size:
        size = random.choice([4, 8])
        at = random.randrange(max(1, len(data) - size))
    value = random.choice([*INTEGERS, *(-n for n in INTEGERS), *MARKS, random.getrandbits(64)])
    number = (value % 2 ** (8 * size)).to_bytes(size, "little")
    return data[:at] + number + data[at + size :]


def nudge_size(random: Random, data: bytes, fields: Fields = ()) -> bytes:
    """Change an integer by a little."""
    if not fields:
        return splice_size(random, data)
    at, size = random.choice(fields)
    value = int.from_bytes(data[at : at + size], "little") + random.choice([-2, -1, 1, 2, 8])
    return data[:at] + (value % 2 ** (8 * size)).to_bytes(size, "little") + data[at + size :]


def repeat_piece(random: Random, data: bytes) -> bytes:
    """Repeat, remove, move or overwrite a piece."""
    a, b = sorted(random.randrange(len(data) + 1) for _ in range(2))
    if random.random() < 0.5:
        a, b = a // 4 * 4, b // 4 * 4
    piece, at = data[a:b], random.randrange(len(data) + 1)
    what = random.randrange(4)
    if what == 0:
        return data[:b] + piece * random.choice([1, 2, 5]) + data[b:]
    if what == 1:
        return data[:a] + data[b:]
    if what == 2:
        rest = data[:a] + data[b:]
        return rest[:at] + piece + rest[at:]
    return data[:at] + piece + data[at + len(piece) :]


def random_bytes(random: Random, data: bytes) -> bytes:
    """Bytes of chance behind a true beginning of the file."""
    return data[: random.choice([0, 8, 16, 24, 28, 32])] + random.randbytes(random.randrange(200))


BYTES: dict[str, Callable[[Random, bytes], bytes]] = {
    "truncated": cut,
    "bits flipped": flip_bits,
    "bytes changed": change_bytes,
    "pieces repeated": repeat_piece,
    "random bytes": random_bytes,
}
SIZES: dict[str, Callable[..., bytes]] = {
    "huge sizes": splice_size,
    "sizes off by a little": nudge_size,
}

# -- JSON --------------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 2, 64, 10901, 800, 899, 903, 20000, 2**31, 2**63, 10**30, 0.0, 1.5, -1e300]
RAW = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 3000, "9" * 5000, "-0", "01", '"\\ud800"']
RAW += ['"\\udc00x"', '"\\u0000"', "[" * 3000, '{"a":' * 3000, '"' + "x" * 3000 + '"', "'a'", ""]
TEXTS = ["", "null", "FullyConnected", "BatchNorm", "Concat", "SliceChannel", "NoSuch", "data"]
TEXTS += ["(" * 1000, "()", "(1,", "(3, 3)", "[1, 2]", "1,2", "None", "True", "1e999", "nan", "-1"]
TEXTS += ["999999999999", "9" * 5000, "٣", "\ud800", "\0", " 1 ", "x" * 5000, "__import__('os')"]
KEYS = ["op", "name", "attrs", "attr", "param", "inputs", "num_hidden", "num_args", "num_outputs"]
KEYS += ["__shape__", "lr_mult", "weight_lr_mult", "mxnet_version", "zzz", "__metadata__", "dtype"]


class Raw(str):
    """Text that goes into the file as it is."""


class Pairs(list[Any]):
    """An object as a list of pairs, which may have the same key twice."""


def parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=Pairs)


def dumped(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(k)}: {dumped(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(dumped(item) for item in value) + "]"
    return json.dumps(value)


def places(value: Any, found: list[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Every list or object below `value`, with the number of each of its members."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            found.append((value, number))
            places(item[1] if isinstance(value, Pairs) else item, found)
    return found


def change_values(random: Random, text: str) -> str:
    tree = parsed(text)
    for _ in range(random.choice([1, 1, 2, 3])):
        found = places(tree, [])
        if not found:
            break
        holder, number = random.choice(found)
        item = holder[number]
        old = item[1] if isinstance(holder, Pairs) else item
        new = changed(random, old, tree)
        holder[number] = (item[0], new) if isinstance(holder, Pairs) else new
    return dumped(tree)


def changed(random: Random, old: Any, tree: Any) -> Any:
    what = random.random()
    if what < 0.35 and isinstance(old, str):
        return random.choice(TEXTS)
    if what < 0.35 and isinstance(old, int):
        return random.choice([old - 1, old + 1, random.randrange(40), *NUMBERS])
    if what < 0.5:
        return random.choice([*NUMBERS, None, True, [], Pairs(), [[]], *TEXTS])
    if what < 0.6:
        return Raw(random.choice(RAW))
    if what < 0.7:
        return [old]
    holder, number = random.choice(places(tree, []))
    taken = holder[number]
    # A copy: no value may come to hold itself.
    return deepcopy(taken[1] if isinstance(holder, Pairs) else taken)


def change_members(random: Random, text: str) -> str:
    """Remove, repeat, rename, add or exchange members of lists and objects."""
    tree = parsed(text)
    found = places(tree, [])
    for _ in range(random.choice([1, 1, 2])):
        holder, number = random.choice(found)
        number = min(number, len(holder) - 1)
        if number < 0:
            continue
        what = random.randrange(5)
        if what == 0:
            del holder[number]
        elif what == 1:
            holder.insert(random.randrange(len(holder) + 1), holder[number])
        elif what == 2 and isinstance(holder, Pairs):
            holder[number] = (random.choice(KEYS), holder[number][1])
        elif what == 3 and isinstance(holder, Pairs):
            holder.append((random.choice(KEYS), random.choice([*TEXTS, *NUMBERS, Pairs()])))
        else:
            other = random.randrange(len(holder))
            holder[number], holder[other] = holder[other], holder[number]
    return dumped(tree)


JSON: dict[str, Callable[[Random, str], str]] = {
    "values changed": change_values,
    "members changed": change_members,
}


def in_table(mutation: Callable[[Random, str], str]) -> Callable[[Random, bytes], bytes]:
    """Apply a mutation of JSON to the table of a safetensors file."""

    def mutate(random: Random, data: bytes) -> bytes:
        size = int.from_bytes(data[:8], "little")
        text = mutation(random, data[8 : 8 + size].decode()).encode(errors="replace")
        return struct.pack("<Q", len(text)) + text + data[8 + size :]

    return mutate


def in_metadata(mutation: Callable[[Random, str], str]) -> Callable[[Random, str], str]:
    """Apply a mutation to the JSON that the metadata of a table hold as text."""

    def mutate(random: Random, text: str) -> str:
        table = json.loads(text)
        inner = table["__metadata__"]
        inner["mxtrain"] = mutation(random, inner["mxtrain"])
        return json.dumps(table)

    return mutate
