from __future__ import annotations

import gzip
import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.io import MNISTIter, read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array: np.ndarray[Any, Any]) -> bytes:
    head = struct.pack(">BBBB", 0, 0, CODES[array.dtype.str[1:]], array.ndim)
    return (
        head
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", CODES)
def test_round_trip(tmp_path: Path, dtype: str, packed: bool) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = idx_bytes(array)
    file = tmp_path / "any-name"
    file.write_bytes(gzip.compress(data) if packed else data)
    found = read_idx(file)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)
    assert found.flags.writeable


GOOD = idx_bytes(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", r"not an IDX file; .* first bytes are \[0, 0, 8\]"),
        (b"\1" + GOOD[1:], "not an IDX file"),
        (GOOD[:2] + b"\x0a" + GOOD[3:], "not an IDX file"),
        (GOOD[:3] + b"\0" + GOOD[4:], "0 axes, expected 1 to 32"),
        (GOOD[:3] + b"\xff" + GOOD[4:], "255 axes"),
        (GOOD[:9], "ends at byte 9 inside the list of its 2 axes"),
        (GOOD[:-1], r"shape \(2, 3\) of uint8 takes 6 bytes, more than the file|only 5 follow"),
        (GOOD + b"\0", "takes 6 bytes, but there are more bytes after them"),
        (b"\0\0\x0e\4" + b"\xff" * 16, "more than the file can hold"),
    ],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_bad_file(tmp_path: Path, data: bytes, match: str, packed: bool) -> None:
    file = tmp_path / "x"
    file.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(FileFormatError, match=match):
        read_idx(file)


def test_damaged_gzip(tmp_path: Path) -> None:
    file = tmp_path / "x.gz"
    whole = gzip.compress(GOOD)
    for end in range(2, len(whole)):
        file.write_bytes(whole[:end])
        with pytest.raises(FileFormatError, match=r"x\.gz"):
            read_idx(file)


@given(position=st.integers(0, len(GOOD) - 1), bit=st.integers(0, 7), packed=st.booleans())
def test_a_flipped_bit_gives_an_array_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int, packed: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "flipped"
    data = bytearray(gzip.compress(GOOD, mtime=0) if packed else GOOD)
    data[position] ^= 1 << bit
    file.write_bytes(data)
    try:
        assert read_idx(file).size <= 6
    except FileFormatError as error:
        assert str(file) in str(error)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MXNetError, match=r"cannot read .*none: No such file"):
        read_idx(tmp_path / "none")


# -- MNISTIter ---------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Ten images of 2x3; all pixels of image i are i, and its label is i."""
    images = np.repeat(np.arange(10, dtype=np.uint8), 6).reshape(10, 2, 3)
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx_bytes(images)))
    (tmp_path / "labels").write_bytes(idx_bytes(np.arange(10, dtype=np.uint8)))
    return tmp_path / "images.gz", tmp_path / "labels"


def epoch(it: MNISTIter) -> list[float]:
    found: list[float] = []
    for batch in it:
        pixels = batch.data[0].reshape(it.batch_size, -1)
        assert np.array_equal(pixels, np.repeat(batch.label[0][:, None] / 256, 6, axis=1))
        assert pixels.dtype == np.float32
        found += batch.label[0].tolist()
    return found


def test_mnist_in_file_order(pair: tuple[Path, Path]) -> None:
    it = MNISTIter(*pair, batch_size=4, shuffle=False, silent=True)
    assert tuple(it.provide_data[0]) == ("data", (4, 1, 2, 3))
    assert it.provide_data[0].dtype == np.float32
    assert tuple(it.provide_label[0]) == ("softmax_label", (4,))
    for _ in range(2):
        assert epoch(it) == [0, 1, 2, 3, 4, 5, 6, 7]  # an incomplete batch is dropped
        it.reset()


def test_mnist_shuffled_once(pair: tuple[Path, Path]) -> None:
    orders = []
    for seed in (0, 0, 1):
        it = MNISTIter(*pair, batch_size=5, flat=True, seed=seed, silent=True)
        assert it.provide_data[0].shape == (5, 6)
        orders.append(epoch(it))
        it.reset()
        assert epoch(it) == orders[-1]
    assert sorted(orders[0]) == list(range(10))
    assert orders[0] == orders[1] != orders[2]


def test_mnist_parts(pair: tuple[Path, Path]) -> None:
    parts = [
        epoch(MNISTIter(*pair, 1, shuffle=False, silent=True, num_parts=3, part_index=i))
        for i in range(3)
    ]
    assert parts == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.raises(ValueError, match="part_index must be 0 to 2, got 3"):
        MNISTIter(*pair, num_parts=3, part_index=3)


def test_mnist_says_what_it_read(pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        MNISTIter(*pair, batch_size=2, silent=True)
        assert caplog.records == []
        MNISTIter(*pair, batch_size=2)
    assert "10 images of 2x3" in caplog.text


@pytest.mark.parametrize(
    ("images", "labels", "match"),
    [
        (np.zeros((3, 2), np.uint8), np.zeros(3, np.uint8), r"expected images, .* shape \(3, 2\)"),
        (np.zeros((3, 2, 2), np.int32), np.zeros(3, np.uint8), "expected images, .* got int32"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros((3, 1), np.uint8), "expected labels, 1 axis"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros(4, np.uint8), "holds 3 images but .* 4 labels"),
    ],
)
def test_mnist_files_that_do_not_fit(tmp_path: Path, images: Any, labels: Any, match: str) -> None:
    (tmp_path / "i").write_bytes(idx_bytes(images))
    (tmp_path / "l").write_bytes(idx_bytes(labels))
    with pytest.raises(FileFormatError, match=match):
        MNISTIter(tmp_path / "i", tmp_path / "l")
