"""Damaged ``.params`` files: every one is refused with its name, the place and what is wrong."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.checkpoint.params import load_params
from mxtrain.errors import FileFormatError, MXNetError

FOLDER = Path(__file__).parents[1] / "golden/files"

U64, I64, U32, I32 = (struct.Struct("<" + code).pack for code in "QqIi")
HEAD = U64(0x112) + U64(0)


def record(shape: tuple[int, ...] = (1,), dtype: int = 0, values: bytes = b"\0\0\x80\x3f") -> bytes:
    axes = I32(len(shape)) + b"".join(map(I64, shape))
    return U32(0xF993FAC9) + I32(0) + axes + I32(1) + I32(0) + I32(dtype) + values


def one(record: bytes, names: bytes = U64(0)) -> bytes:
    return HEAD + U64(1) + record + names


def name(data: bytes) -> bytes:
    return U64(len(data)) + data


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "byte 0: the magic number takes 8 bytes but only 0 are left"),
        (b"PK\3\4" + bytes(20), r"byte 0: not a \.params file: it begins with 0x.* expected 0x112"),
        (HEAD + U64(2**62), "byte 24: a list of 4611686018427387904 arrays takes"),
        (one(U32(0xF993FAC7)), "byte 24: array 0 of 1 has the unknown version 0xf993fac7"),
        (one(U32(0xF993FAC9) + I32(3)), "byte 28: array 0 of 1 has the unknown storage type 3"),
        (one(U32(0xF993FACA) + I32(1)), "unknown storage type 1"),
        (one(U32(0xF993FAC9) + I32(0) + I32(-1)), "has -1 axes, expected 0 to 64"),
        (one(U32(0xF993FAC9) + I32(0) + I32(2**31 - 1)), "has 2147483647 axes"),
        (one(record((-1,))), r"impossible shape \(-1,\)"),
        (one(record((2**62, 2**62))), "impossible shape"),
        (one(record((0, 2**61))), "impossible shape"),
        (one(record((2**40,))), r"float32 of shape \(1099511627776,\), takes 4398046511104 bytes"),
        (one(record((2,))), r"names takes 8 bytes but only 4|takes"),
        (one(record(dtype=13)), "element type 13, known are 0 to 12"),
        (one(record(dtype=-1)), "element type -1"),
        (one(record(), U64(2)), "2 names for 1 arrays, expected 0 or 1"),
        (one(record(), U64(1)), "the length of name 0 takes 8 bytes but only 0 are left"),
        (one(record(), U64(1) + U64(2**63)), "name 0 takes 9223372036854775808 bytes"),
        (one(record(), U64(1) + name(b"\xff\xfe")), "byte 76: name 0 is not UTF-8 text"),
        (one(record(), U64(0) + b"x"), "1 bytes follow the end of the list"),
        (
            HEAD + U64(2) + record() * 2 + U64(2) + name(b"w") * 2,
            "the name 'w' occurs twice",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_damaged_file(tmp_path: Path, data: bytes, match: str) -> None:
    (tmp_path / "f.params").write_bytes(data)
    with pytest.raises(FileFormatError, match=match) as caught:
        load_params(tmp_path / "f.params")
    assert str(tmp_path / "f.params") in str(caught.value)


def test_reserved_types_and_odd_truth_values_are_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(one(record((2,), 9, b"\1\0\xff\xff")))
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, list) and loaded[0].tolist() == [1, 65535]
    (tmp_path / "f").write_bytes(one(record((3,), 7, b"\0\1\2")))
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, list) and loaded[0].tolist() == [False, True, True]
    assert loaded[0].tobytes() == b"\0\1\1"


def test_bfloat16_is_read_as_float32_of_the_same_value(tmp_path: Path) -> None:
    halves = np.array([0x3F80, 0xC049, 0x7F80, 0x0001], "<u2").tobytes()
    (tmp_path / "f").write_bytes(one(record((4,), 12, halves)))
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, list) and loaded[0].dtype == np.float32
    assert loaded[0].tolist() == [1, -3.140625, np.inf, 2.0**-133]


INT64 = 6


def sparse(
    storage: int, stored: int, shape: tuple[int, int], *indices: list[int], code: int = INT64
) -> bytes:
    """A record of float32 ones in one column (row_sparse) or of single entries (csr)."""
    values = (stored, shape[1]) if storage == 1 else (stored,)
    axes = I32(len(values)) + b"".join(map(I64, values)) + I32(2) + b"".join(map(I64, shape))
    headers = b"".join(I32(code) + I32(1) + I64(len(part)) for part in indices)
    data = np.ones(values, np.float32).tobytes()
    numbers = b"".join(I64(n) for part in indices for n in part)
    return (
        U32(0xF993FAC9) + I32(storage) + axes + I32(1) + I32(0) + I32(0) + headers + data + numbers
    )


HALF = 2**62


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (sparse(1, 2, (4, 1), [1, 4]), r"row numbers .* within 0 and 3, these are \[1, 4\]"),
        (sparse(1, 2, (4, 1), [2, 1]), "row numbers are strictly ascending"),
        (sparse(1, 2, (4, 1), [1, 1]), "row numbers are strictly ascending"),
        (sparse(1, 2, (4, 1), [-1, 1]), "row numbers are strictly ascending"),
        # Differences of these wrap around, so that all of them are above zero.
        (sparse(1, 5, (4, 1), [0, 2 * HALF - 1, -2 * HALF, -HALF, 3]), "row numbers are strictly"),
        (sparse(1, 2, (4, 1), [1]), r"\(2, 1\) and \(1,\) were given"),
        (sparse(1, 2, (4, 1), [1, 2], code=4), "indices of array 0 .* type int32, expected int64"),
        (sparse(2, 2, (2, 3), [0, 1, 2], [0, 3]), "columns .* within 0 and 2, these are 0 to 3"),
        (sparse(2, 2, (2, 3), [0, 1, 2], [-1, 0]), "columns .* these are -1 to 0"),
        (sparse(2, 2, (2, 3), [0, 2, 2], [1, 1]), "column 1 of row 0 comes twice"),
        (sparse(2, 2, (2, 3), [1, 1, 2], [0, 1]), r"indptr .* this one is \[1, 1, 2\]"),
        (sparse(2, 2, (2, 3), [0, 3, 2], [0, 1]), "indptr of a csr matrix begins with 0, never"),
        (sparse(2, 2, (2, 3), [0, 1, 1], [0, 1]), "ends with the number of entries, 2"),
        (sparse(2, 2, (2, 3), [0, 2], [0, 1]), "one number more than rows"),
        (sparse(2, 2, (2, 3), [0, 1, 2], [0]), r"arrays of shape \(2,\) and \(1,\)"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_damaged_indices(tmp_path: Path, data: bytes, match: str) -> None:
    (tmp_path / "f.params").write_bytes(one(data))
    with pytest.raises(FileFormatError, match=rf"f\.params: byte \d+: .*{match}"):
        load_params(tmp_path / "f.params")


def test_columns_of_a_row_may_stand_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(one(sparse(2, 3, (2, 3), [0, 2, 3], [2, 0, 1])))
    loaded = load_params(tmp_path / "f")
    assert isinstance(loaded, list)
    assert loaded[0].asnumpy().tolist() == [[1, 0, 1], [0, 1, 0]]


def test_an_absent_array_behind_others_is_named(tmp_path: Path) -> None:
    absent = U32(0xF993FAC9) + I32(0) + I32(0)
    names = U64(2) + name(b"a") + name(b"b")
    (tmp_path / "f").write_bytes(HEAD + U64(2) + record((2,), values=bytes(8)) + absent + names)
    with pytest.raises(FileFormatError, match="array 'b' is absent"):
        load_params(tmp_path / "f")


def test_an_absent_sparse_array_ends_after_its_shape(tmp_path: Path) -> None:
    absent = U32(0xF993FAC9) + I32(1) + I32(2) + I64(0) * 2 + I32(0)
    (tmp_path / "f").write_bytes(
        HEAD + U64(2) + record() + absent + U64(2) + name(b"a") + name(b"b")
    )
    with pytest.raises(FileFormatError, match="array 'b' is absent"):
        load_params(tmp_path / "f")


@pytest.mark.parametrize("file", ["names.params", "old_records.params", "csr.params"])
def test_cut_off_at_every_byte(tmp_path: Path, file: str) -> None:
    whole = (FOLDER / file).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "f").write_bytes(whole[:end])
        with pytest.raises(FileFormatError, match=r"byte \d+: .*(left|list)"):
            load_params(tmp_path / "f")


@pytest.mark.parametrize("file", ["dtypes.params", "old_records.params", "row_sparse.params"])
def test_flipped_bits_give_arrays_or_a_clear_error(tmp_path: Path, file: str) -> None:
    whole = (FOLDER / file).read_bytes()
    refused = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position * 5 % 8)
        (tmp_path / "f").write_bytes(damaged)
        try:
            load_params(tmp_path / "f")
        except FileFormatError as error:
            assert str(tmp_path / "f") in str(error)
            refused += 1
    assert refused > len(whole) / 10


@given(data=st.binary(max_size=80), prefix=st.sampled_from([b"", HEAD, HEAD + U64(1)]))
def test_any_bytes(data: bytes, prefix: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.params"
    file.write_bytes(prefix + data)
    try:
        assert len(load_params(file)) <= len(data) // 4
    except FileFormatError as error:
        assert str(file) in str(error)


def test_sizes_are_checked_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    empty = np.empty

    def noted(shape: Any, dtype: Any) -> Any:
        taken.append(np.dtype(dtype).itemsize * int(np.prod(shape)))
        return empty(shape, dtype)

    monkeypatch.setattr("mxtrain.checkpoint.reader.np.empty", noted)
    (tmp_path / "f").write_bytes(one(record((1 << 20,))))
    with pytest.raises(FileFormatError, match="takes 4194304 bytes"):
        load_params(tmp_path / "f")
    assert taken == []
    (tmp_path / "f").write_bytes(one(record()))
    assert load_params(tmp_path / "f")
    assert taken == [4]


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(MXNetError, match=r"cannot read .*none\.params: No such file"):
        load_params(tmp_path / "none.params")
    with pytest.raises(MXNetError, match="Is a directory"):
        load_params(tmp_path)


def test_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MXNetError, match=r"cannot read .*pipe: it is a pipe or a device"):
        load_params(tmp_path / "pipe")
    with pytest.raises(MXNetError, match="it is a pipe or a device"):
        load_params("/dev/zero")


@pytest.mark.parametrize("mapped", [False, True])
def test_an_empty_file(tmp_path: Path, mapped: bool) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(FileFormatError, match="only 0 are left"):
        load_params(tmp_path / "f", mmap=mapped)
