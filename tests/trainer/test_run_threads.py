"""How many threads a network gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from threadpoolctl import threadpool_info
from trainer_runs import CONFIG, write_config

from mxtrain.backend import threads
from mxtrain.config import load
from mxtrain.trainer.bound import BoundBatch
from mxtrain.trainer.build import build
from mxtrain.trainer.threads import largest_product, limited_threads, suitable_threads


def batch_of(folder: Path, hidden: int) -> BoundBatch:
    text = CONFIG.replace("num_hidden: 8", f"num_hidden: {hidden}")
    spec = load(write_config(folder, text))
    return BoundBatch(build(spec), spec.data.batch_size, {})


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info()}


def test_the_largest_product_counts(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, 100)  # 8 rows: 2 numbers to 100, 100 to 3
    assert largest_product(batch) == 2 * 8 * 100 * 3


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_small_products_get_one_thread(
    tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("MXTRAIN_BACKEND", backend)
    small = batch_of(tmp_path, 100)
    with limited_threads(2):
        with suitable_threads(None, small):
            assert (blas_threads(), threads.count()) == ({1}, 1)
        assert (blas_threads(), threads.count()) == ({2}, 2)
        with suitable_threads(2, small):
            assert (blas_threads(), threads.count()) == ({2}, 2)


def test_large_products_keep_theirs(tmp_path: Path) -> None:
    large = batch_of(tmp_path, 10**6)
    with limited_threads(2), suitable_threads(None, large):
        assert blas_threads() == {2}
