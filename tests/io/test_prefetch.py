from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mxtrain.errors import MXNetError
from mxtrain.io import DataBatch, DataIter, NDArrayIter, PrefetchingIter


def threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "mxtrain-prefetch"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert threads() == []


def numbers(it: Any) -> list[list[float]]:
    return [batch.data[0].tolist() for batch in it]


class Failing(DataIter):
    """Gives `good` batches, then fails; counts what is asked for."""

    def __init__(self, good: int, error: BaseException | None = None) -> None:
        super().__init__(1)
        self.good = good
        self.error = error
        self.given = 0
        self.provide_data = self.provide_label = []

    def reset(self) -> None:
        self.given = 0

    def next(self) -> DataBatch:
        if self.given == self.good and self.error:
            raise self.error
        self.given += 1
        return DataBatch([np.array([self.given])], [], 0)


def test_same_batches_as_the_inner_iterator() -> None:
    plain = NDArrayIter(np.arange(10), np.arange(10), 3)
    with PrefetchingIter(NDArrayIter(np.arange(10), np.arange(10), 3)) as it:
        assert it.provide_data == plain.provide_data
        assert it.provide_label == plain.provide_label
        for _ in range(3):
            got = [(b.data[0].tolist(), b.label[0].tolist(), b.pad, b.index) for b in it]
            assert got == [(b.data[0].tolist(), b.label[0].tolist(), b.pad, b.index) for b in plain]
            with pytest.raises(StopIteration):
                it.next()
            it.reset()
            plain.reset()


def test_reset_midway_starts_over() -> None:
    with PrefetchingIter(NDArrayIter(np.arange(8), batch_size=2)) as it:
        it.next()
        it.reset()
        assert numbers(it) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_several_iterators_side_by_side() -> None:
    a = NDArrayIter(np.arange(5), np.arange(5), 2)
    b = NDArrayIter(np.arange(5) * 10, batch_size=2)
    with PrefetchingIter([a, b], rename_data=[{"data": "x"}, {"data": "y"}]) as it:
        assert [d.name for d in it.provide_data] == ["x", "y"]
        assert [d.name for d in it.provide_label] == ["softmax_label"]
        last = list(it)[-1]
    assert [array.tolist() for array in last.data] == [[4, 0], [40, 0]]
    assert (len(last.label), last.pad) == (1, 1)


def test_reads_ahead_but_not_further_than_its_capacity() -> None:
    inner = Failing(good=1000)
    with PrefetchingIter(inner, capacity=3) as it:
        it.next()
        deadline = time.monotonic() + 5
        while inner.given < 5 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert inner.given == 5  # one handed out, three waiting, one in hand


def test_an_exception_is_carried_over_and_stays() -> None:
    with PrefetchingIter(Failing(good=2, error=OSError("disk"))) as it:
        assert [it.next().data[0][0], it.next().data[0][0]] == [1, 2]
        for _ in range(2):
            with pytest.raises(OSError, match="disk"):
                it.next()
        assert threads() == []
        it.reset()
        assert it.next().data[0][0] == 1


def test_close_ends_the_epoch() -> None:
    it = PrefetchingIter(Failing(good=1000))
    it.next()
    it.close()
    assert threads() == []
    with pytest.raises(StopIteration):
        it.next()
    it.close()


def test_dropping_it_ends_the_thread() -> None:
    it = PrefetchingIter(Failing(good=1000))
    it.next()
    assert len(threads()) == 1
    del it
    gc.collect()
    assert threads() == []


def test_iterators_of_different_length() -> None:
    inner = [NDArrayIter(np.arange(n), batch_size=2) for n in (4, 6)]
    with PrefetchingIter(inner) as it:
        it.next()
        it.next()
        with pytest.raises(MXNetError, match="iterator 0 has ended before the others"):
            it.next()


def test_different_pads() -> None:
    inner = [NDArrayIter(np.arange(n), batch_size=2) for n in (3, 4)]
    with PrefetchingIter(inner) as it:
        it.next()
        with pytest.raises(MXNetError, match=r"same pad, got \[1, 0\]"):
            it.next()


@pytest.mark.parametrize(
    ("iters", "kwargs", "match"),
    [
        ([], {}, "at least one iterator"),
        ([NDArrayIter(np.arange(2))], {"capacity": 0}, "at least 1, got 0"),
        ([NDArrayIter(np.arange(2))], {"rename_label": [{}, {}]}, "1 iterators, got 2"),
    ],
)
def test_bad_arguments(iters: list[Any], kwargs: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PrefetchingIter(iters, **kwargs)


def test_nothing_is_current_before_the_first_batch() -> None:
    with pytest.raises(MXNetError, match="call next"):
        PrefetchingIter(NDArrayIter(np.arange(2))).getdata()
