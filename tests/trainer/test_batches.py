"""The batches of an epoch: orders, short last batches, and what NDArrayIter gives beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain.io import NDArrayIter
from mxtrain.trainer.batches import Batches, Loader
from mxtrain.trainer.data import Rows

LASTS = ("keep", "pad", "discard", "roll_over")
counts = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(1, 12), st.sampled_from(LASTS), st.integers(0, 5))
def test_batches_are_those_of_the_iterator(count: int, size: int, last: str, seed: int) -> None:
    size = min(size, count)
    rows = np.arange(count, dtype=np.float32)
    iterator = NDArrayIter(rows, None, size, shuffle=True, last_batch_handle=last, seed=seed)
    batches = Batches(count, size, last, seed)
    for epoch in range(3):
        expected = [batch.data[0].astype(int).tolist() for batch in iterator]
        number = batches.per_epoch()
        found = [batch.rows.tolist() for batch in batches.epoch(epoch)]
        assert found == expected
        assert len(found) == number
        iterator.reset()


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(1, 12), st.sampled_from(["keep", "pad"]))
def test_every_row_counts_once(count: int, size: int, last: str) -> None:
    counted = [
        row
        for batch in Batches(count, size, last, seed=1).epoch(0)
        for row in batch.rows[: len(batch.rows) - batch.pad].tolist()
    ]
    assert sorted(counted) == list(range(count))


@settings(max_examples=40, deadline=None)
@given(counts, st.integers(1, 12))
def test_rolled_over_rows_are_never_lost(count: int, size: int) -> None:
    size = min(size, count)
    batches = Batches(count, size, "roll_over", seed=1)
    seen = [row for epoch in range(5) for b in batches.epoch(epoch) for row in b.rows.tolist()]
    left = batches.carried.tolist()
    assert sorted(seen + left) == sorted(list(range(count)) * 5)
    assert len(left) < size


def test_an_epoch_is_a_pure_function_of_seed_and_number() -> None:
    one, two = Batches(20, 6, "keep", 3), Batches(20, 6, "keep", 3)
    list(one.epoch(0))
    first, second = ([b.rows.tolist() for b in source.epoch(5)] for source in (one, two))
    assert first == second


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_loader_fills_buffers_in_place(dtype: type) -> None:
    data = np.arange(24, dtype=dtype).reshape(6, 2, 2)
    loader = Loader(Rows("here", data, (np.arange(6, dtype=np.float32),)))
    target, label = np.zeros((3, 2, 2), np.float32), np.zeros(3, np.float32)
    loader.fill(np.array([5, 0, 5]), target, [label])
    assert target.tolist() == data[[5, 0, 5]].tolist()
    assert label.tolist() == [5, 0, 5]
