"""``.params`` files without the package: a parser and a writer made from the format alone.

The parser says what the bytes say, so that a reader can be held against it. It refuses what the
package promises to refuse: besides what the format forbids, names that repeat, bytes after the end,
more than 64 axes, more than 2**60 elements, absent arrays, and indices that do not fit.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

TYPES = {
    0: ("float32", 4),
    1: ("float64", 8),
    2: ("float16", 2),
    3: ("uint8", 1),
    4: ("int32", 4),
    5: ("int8", 1),
    6: ("int64", 8),
    7: ("bool", 1),
    8: ("int16", 2),
    9: ("uint16", 2),
    10: ("uint32", 4),
    11: ("uint64", 8),
    12: ("float32", 2),  # bfloat16, widened
}
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA


class Bad(Exception):
    """These bytes are no file that the package reads."""


@dataclass
class Said:
    """One array as the bytes say it: `parts` has the bytes of its values and indices."""

    stype: str
    shape: tuple[int, ...]
    dtype: str
    parts: dict[str, bytes]
    name: str | None = None


@dataclass
class Parsed:
    arrays: list[Said]
    named: bool


@dataclass
class Cursor:
    data: bytes
    at: int = 0
    # Where integers stand and how long they are: what a mutation may aim at.
    fields: list[tuple[int, int]] = field(default_factory=list)

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Bad("ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, code: str) -> int:
        size = struct.calcsize("<" + code)
        self.fields.append((self.at, size))
        return int(struct.unpack("<" + code, self.take(size))[0])


def parse(data: bytes, cursor: Cursor | None = None) -> Parsed:
    at = cursor or Cursor(data)
    if at.number("Q") != 0x112:
        raise Bad("magic")
    at.number("Q")
    arrays: list[Said] = []
    for _ in range(at.number("Q")):
        arrays.append(record(at))
    names = at.number("Q")
    if names not in (0, len(arrays)):
        raise Bad("names")
    for array in arrays if names else []:
        try:
            array.name = at.take(at.number("Q")).decode()
        except UnicodeDecodeError:
            raise Bad("name") from None
    if at.at != len(data) or len({a.name for a in arrays}) < (len(arrays) if names else 0):
        raise Bad("rest")
    return Parsed(arrays, bool(names))


def record(at: Cursor) -> Said:
    version = at.number("I")
    storage, stored = 0, None
    if version in (V2, V3):
        storage = at.number("i")
        if storage not in ((0, 1, 2) if version == V2 else (0,)):
            raise Bad("storage")
        stored = axes(at, at.number("i"), "q") if storage else None
    known = version in (V1, V2, V3)
    shape = axes(at, at.number("i") if known else version, "q" if known else "I")
    if not shape and version != V3:
        raise Bad("absent")
    at.number("i")
    at.number("i")
    code = at.number("i")
    if code not in TYPES:
        raise Bad("type")
    extra = []
    for _ in range(storage):
        if at.number("i") != 6:
            raise Bad("index type")
        extra.append(axes(at, at.number("i"), "q"))
    parts = {"data": values(at, code, shape if stored is None else stored)}
    indices = [list(struct.unpack(f"<{product(s)}q", at.take(8 * product(s)))) for s in extra]
    if stored is not None:
        check_indices(storage, shape, stored, extra, indices)
        for key, numbers in zip(("indptr", "indices")[2 - storage :], indices, strict=True):
            parts[key] = struct.pack(f"<{len(numbers)}q", *numbers)
    return Said(("default", "row_sparse", "csr")[storage], shape, TYPES[code][0], parts)


def axes(at: Cursor, rank: int, code: str) -> tuple[int, ...]:
    if not 0 <= rank <= 64:
        raise Bad("rank")
    shape = tuple(at.number(code) for _ in range(rank))
    if any(n < 0 for n in shape) or product(tuple(n for n in shape if n)) >= 2**60:
        raise Bad("shape")
    return shape


def product(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def values(at: Cursor, code: int, shape: tuple[int, ...]) -> bytes:
    data = at.take(product(shape) * TYPES[code][1])
    if code == 7:
        return bytes(int(byte != 0) for byte in data)
    if code == 12:
        return b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
    return data


def check_indices(
    storage: int, shape: Any, stored: Any, extra: list[Any], indices: list[list[int]]
) -> None:
    count = len(indices[-1])
    if extra[-1] != (count,) or stored != (count, *(shape[1:] if storage == 1 else ())):
        raise Bad("sparse shapes")
    if storage == 1:
        if sorted(set(indices[0])) != indices[0] or not all(0 <= n < shape[0] for n in indices[0]):
            raise Bad("rows")
        return
    pointers, columns = indices
    if len(shape) != 2 or extra[0] != (shape[0] + 1,):
        raise Bad("csr shapes")
    if sorted(pointers) != pointers or pointers[0] != 0 or pointers[-1] != count:
        raise Bad("indptr")
    for start, end in pairwise(pointers):
        row = columns[start:end]
        if len(set(row)) < len(row) or not all(0 <= n < shape[1] for n in row):
            raise Bad("columns")


# -- writing -----------------------------------------------------------------------------------


def build(random: Random) -> bytes:
    """Return a file of random records, most of them valid, in every version."""
    count = random.choice([0, 1, 1, 2, 3, 5])
    named = random.random() < 0.7
    data = struct.pack("<QQQ", 0x112, random.choice([0, 0, 7]), count)
    data += b"".join(build_record(random) for _ in range(count))
    names = [random.choice(["w", "arg:fc", "aux:m", "é", "", "a" * 40]) for _ in range(count)]
    if random.random() < 0.8:
        names = [f"{name}{i}" for i, name in enumerate(names)]
    data += struct.pack("<Q", count if named else 0)
    for name in names if named else []:
        data += struct.pack("<Q", len(name.encode())) + name.encode()
    return data


def build_record(random: Random) -> bytes:
    kind = random.choice([0, 1, V1, V2, V2, V2, V3, "row_sparse", "csr"])
    code = random.randrange(13)
    if random.random() < 0.04:
        return struct.pack("<Iii", V2, 0, 0)  # absent
    device = struct.pack("<ii", random.choice([1, 1, 2]), random.choice([0, 3]))
    if kind == "row_sparse":
        return build_row_sparse(random, code, device)
    if kind == "csr":
        return build_csr(random, code, device)
    low = 0 if kind == V3 or random.random() < 0.1 else 1
    rank = random.randint(low, 4)
    shape = [random.randint(low, 4) for _ in range(rank)]
    if random.random() < 0.02:
        rank = random.choice([64, 65, 70])
        shape = [1] * rank
    content = random.randbytes(product(tuple(shape)) * TYPES[code][1])
    tail = device + struct.pack("<i", code) + content
    if kind in (0, 1):
        return struct.pack(f"<I{rank}I", rank, *shape) + tail
    head = struct.pack("<I", kind) + (struct.pack("<i", 0) if kind != V1 else b"")
    return head + packed(shape) + tail


def packed(shape: list[int]) -> bytes:
    return struct.pack(f"<i{len(shape)}q", len(shape), *shape)


def build_row_sparse(random: Random, code: int, device: bytes) -> bytes:
    rows, rest = random.randint(1, 6), [random.randint(1, 3) for _ in range(random.randint(0, 2))]
    kept = sorted(random.sample(range(rows), random.randint(0, rows)))
    if random.random() < 0.1:
        kept = [random.randint(-1, rows) for _ in kept]
    head = struct.pack("<Ii", V2, 1) + packed([len(kept), *rest]) + packed([rows, *rest])
    head += device + struct.pack("<ii", code, 6) + packed([len(kept)])
    content = random.randbytes(product((len(kept), *rest)) * TYPES[code][1])
    return head + content + struct.pack(f"<{len(kept)}q", *kept)


def build_csr(random: Random, code: int, device: bytes) -> bytes:
    rows, width = random.randint(1, 5), random.randint(1, 5)
    entries = [random.sample(range(width), random.randint(0, width)) for _ in range(rows)]
    columns = [column for row in entries for column in row]
    ends = [sum(map(len, entries[:i])) for i in range(rows + 1)]
    if random.random() < 0.1:
        ends[random.randrange(len(ends))] += random.choice([-1, 1])
    count = len(columns)
    head = struct.pack("<Ii", V2, 2) + packed([count]) + packed([rows, width]) + device
    head += struct.pack("<ii", code, 6) + packed([rows + 1]) + struct.pack("<i", 6)
    head += packed([count]) + random.randbytes(count * TYPES[code][1])
    return head + struct.pack(f"<{rows + 1}q{count}q", *ends, *columns)
