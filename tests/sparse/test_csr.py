"""CSR matrices, and the changes between storage types."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import mxtrain as mx
from mxtrain.checkpoint.params import load_params, save_params
from mxtrain.errors import MXNetError
from mxtrain.nd import sparse

matrices = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6),
    elements=st.sampled_from([0, 0, 0, 1, 2.5]),
)


@given(dense=matrices)
def test_every_storage_type_holds_the_same_matrix(
    dense: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forms = [mx.nd.array(dense).tostype(stype) for stype in ("default", "row_sparse", "csr")]
    file = tmp_path_factory.getbasetemp() / "sparse.params"
    save_params(file, forms)
    for form, again in zip(forms, load_params(file), strict=True):
        assert (form.stype, again.stype) == (again.stype, form.stype)
        for array in (form, again, form.copy(), form.tostype(form.stype)):
            assert np.array_equal(array.asnumpy(), dense)
            assert array.asnumpy().dtype == array.dtype == np.float32
            assert type(array.asnumpy()) is np.ndarray


@given(dense=matrices, seed=st.integers(0, 99))
def test_entries_by_their_places_in_any_order(dense: Any, seed: int) -> None:
    row, column = np.nonzero(dense)
    order = np.random.default_rng(seed).permutation(len(row))
    row, column = row[order], column[order]
    made = sparse.csr_matrix((dense[row, column], (row, column)), shape=dense.shape)
    assert np.array_equal(made.asnumpy(), dense)


def test_parts() -> None:
    matrix = sparse.csr_matrix(mx.nd.array([[0, 3, 0], [0, 0, 0], [4, 0, 5]]))
    assert (matrix.data.tolist(), matrix.indices.tolist()) == ([3, 4, 5], [1, 0, 2])
    assert matrix.indptr.tolist() == [0, 1, 1, 3]
    assert (matrix.shape, matrix.ndim, matrix.context) == ((3, 3), 2, mx.cpu())
    assert repr(matrix) == "<CSRNDArray 3 entries, shape (3, 3)>"
    assert matrix.astype("float64").dtype == np.float64


def test_constructors() -> None:
    assert sparse.csr_matrix(([1, 2], [0, 4], [0, 1, 2])).shape == (2, 5)
    assert sparse.csr_matrix((3, 2)).asnumpy().tolist() == [[0, 0]] * 3
    assert sparse.zeros("csr", (2, 3), dtype="int32").dtype == np.int32
    assert sparse.csr_matrix(([1, 2, 3], ([1, 1, 0], [2, 2, 0]))).asnumpy().tolist() == [
        [3, 0, 0],
        [0, 0, 3],
    ]
    parts = SimpleNamespace(
        data=np.ones(1), indices=np.array([1]), indptr=np.array([0, 1]), shape=(1, 2)
    )
    scipy_like = SimpleNamespace(tocsr=lambda: parts)
    made = sparse.csr_matrix(scipy_like)
    assert made.dtype == np.float64 and made.asnumpy().tolist() == [[0, 1]]
    assert sparse.row_sparse_array((4, 2)).asnumpy().tolist() == [[0, 0]] * 4
    assert sparse.row_sparse_array(mx.nd.array([0, 1, 2])).indices.tolist() == [1, 2]


def test_copies_of_sparse_arrays() -> None:
    matrix = sparse.csr_matrix([[0, 1]])
    copy = sparse.array(matrix, dtype="float64")
    assert copy.dtype == np.float64 and sparse.array(matrix).data is not matrix.data
    with pytest.raises(ValueError, match=r"takes a sparse array, got list; use nd\.array"):
        sparse.array([[0, 1]])


def test_numpy_sees_the_dense_array() -> None:
    matrix = sparse.csr_matrix([[0, 1]])
    assert np.array_equal(np.asarray(matrix), [[0, 1]])
    assert np.add(matrix, 1).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="always a copy"):
        np.array(matrix, copy=False)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: sparse.csr_matrix([1, 2]), r"two axes, a source of shape \(2,\)"),
        (lambda: sparse.csr_matrix(([1], [0], [0, 1]), shape=(1, 2, 3)), r"shape \(1, 2, 3\)"),
        (
            lambda: sparse.csr_matrix(([1], [3], [0, 1]), shape=(1, 2)),
            "1, these are 3 to 3",
        ),
        (lambda: sparse.csr_matrix(([1], ([2], [0])), shape=(1, 2)), "rows .* these are 2 to 2"),
        (lambda: sparse.csr_matrix(([1], ([2], [0, 1]))), "1 entries, 1 rows and 2 columns"),
        (lambda: sparse.csr_matrix(([1, 2], [1, 1], [0, 2])), "column 1 of row 0 comes twice"),
        (lambda: sparse.row_sparse_array(mx.nd.array(3)), "at least one axis"),
        (lambda: mx.nd.ones((1, 1)).tostype("coo"), "default, row_sparse or csr, got 'coo'"),
        (lambda: sparse.zeros("coo", (1,)), "default, row_sparse or csr, got 'coo'"),
        (lambda: sparse.csr_matrix([[1]]).tostype("row_sparse"), r"by way of tostype\('default'\)"),
    ],
)
def test_errors_say_what_was_received(make: Any, match: str) -> None:
    with pytest.raises(MXNetError, match=match):
        make()


def test_long_indptr_is_shortened_in_messages() -> None:
    with pytest.raises(MXNetError, match=r"this one is \[(0, ){10}\.\.\., 9\]"):
        sparse.csr_matrix(([1], [0], [0] * 30 + [9]))


def test_sparse_parameters_of_a_file_fill_dense_weights(tmp_path: Any) -> None:
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, no_bias=True, name="fc")
    weight = mx.nd.array([[0, 1, 0], [0, 0, 2]])
    for stype in ("row_sparse", "csr"):
        file = str(tmp_path / "f.params")
        mx.nd.save(file, {"arg:fc_weight": weight.tostype(stype)})
        module = mx.mod.Module(net, label_names=None)
        module.bind([("data", (1, 3))], for_training=False)
        module.load_params(file)
        assert np.array_equal(module.get_params()[0]["fc_weight"], weight)
        loaded = np.empty((2, 3), np.float32)
        mx.init.Load(file)("fc_weight", loaded)
        assert np.array_equal(loaded, weight)
