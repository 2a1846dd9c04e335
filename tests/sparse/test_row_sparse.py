"""Row-sparse arrays, and an Embedding that feeds them through Module."""

from __future__ import annotations

import numpy as np
import pytest

import mxtrain as mx
from mxtrain import symbol as sym
from mxtrain.errors import MXNetError
from mxtrain.sparse import RowSparseNDArray, row_sparse_array

WORDS, SIZE, BATCH = 50, 3, 8


def network(sparse_grad):
    table = sym.Embedding(
        sym.Variable("data"),
        input_dim=WORDS,
        output_dim=SIZE,
        sparse_grad=sparse_grad,
        name="embed",
    )
    flat = sym.FullyConnected(sym.Flatten(table), num_hidden=2, name="fc")
    return sym.SoftmaxOutput(flat, name="softmax")


def batches(seed=0, count=6, rows=BATCH):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield mx.io.DataBatch(
            [mx.nd.array(rng.integers(0, WORDS, (rows, 4)))],
            [mx.nd.array(rng.integers(0, 2, rows))],
        )


def trained(sparse_grad, optimizer, **params):
    mx.random.seed(3)
    module = mx.mod.Module(network(sparse_grad))
    module.bind([("data", (BATCH, 4))], [("softmax_label", (BATCH,))])
    module.init_params(mx.init.Xavier())
    module.init_optimizer(optimizer=optimizer, optimizer_params=params)
    for batch in [*batches(), *batches(seed=1, count=2, rows=5)]:
        module.forward_backward(batch)
        module.update()
    return module


def test_gradient_lists_the_rows_used_and_equals_the_dense_one():
    grads = {}
    for sparse_grad in (False, True):
        executor = network(sparse_grad).simple_bind(None, data=(BATCH, 4))
        executor.arg_dict["embed_weight"][:] = 1
        executor.arg_dict["fc_weight"][:] = np.arange(24).reshape(2, 12) / 10
        (batch,) = batches(count=1)
        executor.forward(True, data=batch.data[0], softmax_label=batch.label[0])
        executor.backward()
        grads[sparse_grad] = executor.grad_dict["embed_weight"]
    assert isinstance(grads[True], RowSparseNDArray)
    (batch,) = batches(count=1)
    assert grads[True].indices.tolist() == np.unique(batch.data[0]).astype(int).tolist()
    np.testing.assert_allclose(grads[True].asnumpy(), grads[False], rtol=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "params"),
    [
        ("sgd", {"learning_rate": 0.5}),
        ("sgd", {"learning_rate": 0.5, "momentum": 0.9, "lazy_update": False, "wd": 0.01}),
        ("adam", {"lazy_update": False}),
        ("adagrad", {"learning_rate": 0.1}),
        ("nag", {"learning_rate": 0.5, "momentum": 0.9}),
        ("lamb", {}),
    ],
)
def test_training_as_with_dense_gradients(optimizer, params):
    """Where no rule is lazy, and for rules whose lazy rows would not move anyway."""
    dense, sparse = (trained(s, optimizer, **params).get_params()[0] for s in (False, True))
    for name, array in dense.items():
        np.testing.assert_allclose(sparse[name], array, rtol=2e-5, atol=1e-6, err_msg=name)


def test_lazy_adam_leaves_unseen_rows_alone():
    module = trained(True, "adam")
    seen = {int(i) for b in [*batches(), *batches(1, 2, 5)] for i in b.data[0].ravel()}
    unseen = sorted(set(range(WORDS)) - seen)
    assert unseen
    mx.random.seed(3)
    fresh = mx.mod.Module(network(True))
    fresh.bind([("data", (BATCH, 4))], [("softmax_label", (BATCH,))])
    fresh.init_params(mx.init.Xavier())
    before, after = (m.get_params()[0]["embed_weight"] for m in (fresh, module))
    np.testing.assert_array_equal(after[unseen], before[unseen])
    assert not np.array_equal(after[sorted(seen)], before[sorted(seen)])


def test_states_continue_to_the_same_bits(tmp_path):
    whole = trained(True, "adam")
    whole.save_checkpoint(str(tmp_path / "m"), 1, save_optimizer_states=True)
    again = mx.mod.Module.load(str(tmp_path / "m"), 1, load_optimizer_states=True)
    again.bind([("data", (BATCH, 4))], [("softmax_label", (BATCH,))])
    again.init_optimizer(optimizer="adam", optimizer_params={})
    for module in (whole, again):
        for batch in batches(seed=5, count=3):
            module.forward_backward(batch)
            module.update()
    for name, array in whole.get_params()[0].items():
        np.testing.assert_array_equal(again.get_params()[0][name], array)


def test_a_table_used_twice_has_a_dense_gradient():
    table = sym.Variable("table")
    one = sym.Embedding(
        sym.Variable("data"), weight=table, input_dim=5, output_dim=2, sparse_grad=True
    )
    net = sym.MakeLoss(sym.sum(one) + sym.sum(table))
    executor = net.simple_bind(None, data=(3,), table=(5, 2))
    executor.forward(True, data=mx.nd.array([0, 2, 2]))
    executor.backward()
    assert executor.grad_dict["table"].tolist() == [[2, 2], [1, 1], [3, 3], [1, 1], [1, 1]]


def test_making_and_converting():
    array = mx.nd.sparse.row_sparse_array(([[1, 2], [3, 4]], [4, 1]), shape=(6, 2))
    assert array.indices.tolist() == [1, 4]
    assert array.data.tolist() == [[3, 4], [1, 2]]
    assert row_sparse_array(array.asnumpy()).indices.tolist() == [1, 4]
    assert array.tostype("default").shape == (6, 2)
    assert mx.nd.sparse.zeros("row_sparse", (4, 2)).asnumpy().sum() == 0


@pytest.mark.parametrize(
    ("data", "indices", "shape", "text"),
    [
        ([[1, 2]], [1, 2], (3, 2), "one number for each"),
        ([[1], [2]], [2, 2], (3, 1), "strictly ascending"),
        ([[1]], [3], (3, 1), "within 0 and 2"),
        ([[1]], [-1], (3, 1), "within 0 and 2"),
    ],
)
def test_contradictions_are_refused(data, indices, shape, text):
    with pytest.raises(MXNetError, match=text):
        RowSparseNDArray(np.array(data, np.float32), indices, shape)
