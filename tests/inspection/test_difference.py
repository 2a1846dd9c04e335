"""Differences of arrays and files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain.checkpoint.arrays import write_arrays
from mxtrain.inspection import difference as module
from mxtrain.inspection.difference import compare_arrays, compare_files, matched
from mxtrain.sparse import row_sparse_array

NAN = math.nan


def compared(a: Any, b: Any, tolerance: float = 0.0) -> Any:
    return compare_arrays("w", np.asarray(a), np.asarray(b), tolerance)


def test_equal_values() -> None:
    found = compared([1.0, NAN, math.inf], [1.0, NAN, math.inf])
    assert (found.found, found.bitwise, found.differing, found.largest) == ("equal", True, 0, 0.0)
    found = compared([0.0, 1.0], [-0.0, 1.0])
    assert (found.found, found.bitwise, found.differing, found.largest) == ("equal", False, 0, 0.0)


def test_largest_difference_and_its_place() -> None:
    found = compared([[1.0, 2.0], [0.0, -8.0]], [[1.0, 2.5], [0.0, -10.0]])
    assert (found.found, found.differing, found.size) == ("different", 2, 4)
    assert (found.largest, found.largest_relative, found.place) == (2.0, 0.2, (1, 1))


@pytest.mark.parametrize("other", [1.0, NAN, -math.inf])
def test_what_is_not_finite_on_one_side(other: float) -> None:
    for a, b in ((math.inf, other), (other, math.inf)):
        found = compared([0.0, a], [0.0, b], tolerance=1e9)
        assert (found.differing, found.largest) == (1, math.inf)
        assert (found.largest_relative, found.place) == (math.inf, (1,))


def test_tolerance_is_absolute_below_one_and_relative_above() -> None:
    a, b = np.array([0.001, 1000.0]), np.array([0.0015, 1000.5])
    assert compared(a, b).differing == 2
    assert compared(a, b, 0.0005).differing == 0
    assert compared(a, b, 0.0004).differing == 2
    assert compared(a, b, 0.0005).found == "equal"


def test_integers_near_each_other_and_far_apart() -> None:
    found = compared([2**62, -(2**63)], [2**62 + 1, 2**63 - 1])
    assert (found.differing, found.largest) == (2, 2.0**64)
    assert compared([2**62], [2**62 + 1]).largest == 1.0
    assert compared(np.array([True]), np.array([False])).largest == 1.0
    assert compared(np.array([1j]), np.array([-1j])).largest == 2.0


def test_text_and_what_cannot_be_compared() -> None:
    found = compared(["a", "b"], ["a", "c"])
    assert (found.found, found.differing, found.largest) == ("different", 1, None)
    assert compared(np.zeros(2), np.zeros((2, 1))).found == "other shape"
    found = compared(np.zeros(2, "f4"), np.zeros(2, "f8"))
    assert (found.found, found.a, found.b) == ("other type", "float32 2", "float64 2")
    assert compared(np.zeros((0, 3)), np.zeros((0, 3))).bitwise


def test_sparse_arrays_are_compared_by_value() -> None:
    sparse = row_sparse_array(([[1.0, 2.0]], [1]), shape=(3, 2))
    dense = sparse.asnumpy()
    assert compare_arrays("w", sparse, dense).found == "equal"
    assert compare_arrays("w", dense + 1, sparse).differing == 6


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=(40, 30))
    b = np.where(rng.random(a.shape) < 0.3, a + rng.normal(size=a.shape), a)
    whole = compared(a, b)
    monkeypatch.setattr(module, "_BLOCK", 64)
    assert compared(a, b) == whole
    assert whole.differing == np.count_nonzero(a != b)
    assert whole.largest == np.abs(a - b).max()


FLOATS = hnp.arrays("f4", 6, elements=st.floats(width=32))


@given(FLOATS, FLOATS)
def test_comparing_is_symmetric(a: Any, b: Any) -> None:
    found, back = compared(a, b), compared(b, a)
    assert (found.differing, found.largest) == (back.differing, back.largest)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    assert found.differing == np.count_nonzero(~same)
    assert compared(a, a).bitwise


names = st.sampled_from(["w", "arg:w", "aux:w", "v", "arg:v"])


@given(st.lists(names, unique=True), st.lists(names, unique=True))
def test_every_name_has_one_place(a: list[str], b: list[str]) -> None:
    pairs = matched(a, b)
    assert [x for x, _ in pairs if x is not None] == a
    assert sorted(y for _, y in pairs if y is not None) == sorted(b)
    assert {(name, name) for name in set(a) & set(b)} <= set(pairs)
    cut = [tuple(n.split(":")[-1] for n in pair if n is not None) for pair in pairs]
    assert all(len(set(pair)) == 1 for pair in cut)


def test_files_of_any_format(tmp_path: Path) -> None:
    arrays = {"w": np.arange(4.0, dtype=np.float32), "v": np.ones(2), "only": np.ones(1)}
    write_arrays(tmp_path / "a.params", {f"arg:{name}": array for name, array in arrays.items()})
    arrays["w"] = arrays["w"] + 1
    arrays["more"] = arrays.pop("only")
    write_arrays(tmp_path / "b.npz", arrays)
    found = compare_files(tmp_path / "a.params", tmp_path / "b.npz")
    assert [(each.name, each.found) for each in found] == [
        ("arg:w", "different"),
        ("arg:v", "equal"),
        ("arg:only", "only in A"),
        ("more", "only in B"),
    ]
