"""The executor: gradients by request, heads, other shapes, copying, monitors, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mxtrain as mx
from mxtrain import symbol as sym
from mxtrain.errors import MXNetError


def product(**options: Any) -> Any:
    """Return an executor of a * b, both two numbers."""
    a, b = sym.Variable("a"), sym.Variable("b")
    executor = (a * b).simple_bind(mx.cpu(), a=(2,), b=(2,), **options)
    executor.copy_params_from({"a": [1, 2], "b": [5, 7]})
    return executor


def classifier() -> sym.Symbol:
    layer = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")
    return sym.SoftmaxOutput(layer, name="softmax")


def bound_classifier(rows: int = 4, **options: Any) -> Any:
    executor = classifier().simple_bind(None, data=(rows, 2), **options)
    rng = np.random.default_rng(rows)
    executor.copy_params_from({"fc_weight": rng.normal(size=(3, 2)), "fc_bias": [0.1, 0.2, 0.3]})
    executor.arg_dict["data"][:] = rng.normal(size=(rows, 2))
    executor.arg_dict["softmax_label"][:] = np.arange(rows) % 3
    return executor


# -- grad_req ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["list", "dict"])
def test_each_argument_has_its_own_request(form: str) -> None:
    reqs = ["add", "null"]
    executor = product(grad_req=reqs if form == "list" else {"a": "add", "b": "null"})
    assert executor.grad_dict["b"] is None
    executor.grad_dict["a"][:] = 100
    for _ in range(2):
        executor.forward(is_train=True)
        executor.backward([np.ones(2)])
    assert executor.grad_dict["a"].tolist() == [110, 114]


def test_write_forgets_the_gradient_before() -> None:
    executor = product(grad_req="write")
    for _ in range(3):
        executor.forward(is_train=True)
        executor.backward([np.ones(2)])
    assert executor.grad_dict["a"].tolist() == [5, 7]
    assert executor.grad_dict["b"].tolist() == [1, 2]


def test_names_a_dictionary_leaves_out_have_no_gradient() -> None:
    executor = product(grad_req={"b": "write"})
    assert [grad is None for grad in executor.grad_arrays] == [True, False]


def test_without_any_gradient_backward_does_nothing() -> None:
    executor = product(grad_req="null")
    executor.forward(is_train=True)
    executor.backward([np.ones(2)])
    assert executor.grad_arrays == [None, None]


@pytest.mark.parametrize("add", [False, True])
@given(uses=st.integers(1, 5))
def test_a_variable_used_many_times_has_the_sum_of_its_gradients(add: bool, uses: int) -> None:
    x = sym.Variable("x")
    total = x * 1.0
    for number in range(2, uses + 1):
        total = total + x * float(number)
    executor = total.simple_bind(None, x=(3,), grad_req="add" if add else "write")
    executor.grad_dict["x"][:] = 0.5
    executor.forward(is_train=True)
    executor.backward([np.ones(3)])
    expected = uses * (uses + 1) / 2 + (0.5 if add else 0)
    assert executor.grad_dict["x"].tolist() == [expected] * 3


def test_a_variable_that_is_an_output_passes_its_head_gradient_on() -> None:
    x = sym.Variable("x")
    executor = sym.Group([x, x * 2.0]).simple_bind(None, x=(2,))
    executor.forward(is_train=True, x=np.array([3.0, 4.0]))
    executor.backward([np.array([1.0, 10.0]), np.ones(2)])
    assert executor.outputs[0].tolist() == [3, 4]
    assert executor.grad_dict["x"].tolist() == [3, 12]


def test_an_argument_no_output_depends_on_smoothly_has_a_zero_gradient() -> None:
    executor = sym.BlockGrad(sym.Variable("x")).simple_bind(None, x=(2,))
    executor.grad_dict["x"][:] = 7
    executor.forward(is_train=True)
    executor.backward()
    assert executor.grad_dict["x"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("grad_req", "text"),
    [
        ("wirte", "grad_req of 'a' is 'wirte'; it is one of"),
        ({"b": 3}, "grad_req of 'b' is '3'; it is one of"),
        (["write"], "grad_req: 2 arguments, 1 words given"),
    ],
)
def test_other_requests_are_refused(grad_req: Any, text: str) -> None:
    with pytest.raises(MXNetError, match=text):
        product(grad_req=grad_req)


# -- heads ---------------------------------------------------------------------------------------


def test_heads_weigh_the_outputs() -> None:
    executor = product()
    executor.forward(is_train=True)
    executor.backward(np.array([2.0, -1.0]))
    assert executor.grad_dict["a"].tolist() == [10, -7]


def test_a_loss_needs_no_head_beside_outputs_that_do() -> None:
    x = sym.Variable("x")
    both = sym.Group([sym.MakeLoss(sym.square(x)), x * 3.0])
    executor = both.simple_bind(None, x=(2,))
    executor.forward(is_train=True, x=np.array([1.0, 2.0]))
    executor.backward([None, np.array([1.0, 0.0])])
    assert executor.grad_dict["x"].tolist() == [2 + 3, 4]


@pytest.mark.parametrize(
    ("heads", "text"),
    [
        (None, "is not a loss, so its head gradient must be given"),
        ([np.ones(2), np.ones(2)], "1 outputs, 2 head gradients given"),
        ([np.ones(3)], r"is \(2,\), its head gradient \(3,\)"),
    ],
)
def test_heads_that_do_not_fit_are_refused(heads: Any, text: str) -> None:
    executor = product()
    executor.forward(is_train=True)
    with pytest.raises(MXNetError, match=text):
        executor.backward(heads)


# -- inputs and copies ---------------------------------------------------------------------------


def test_inputs_of_forward_are_copied() -> None:
    executor = product()
    given_array = np.array([3.0, 4.0])
    executor.forward(a=given_array)
    given_array[:] = 0
    assert executor.forward()[0].tolist() == [15, 28]


def test_forward_refuses_unknown_names_and_other_shapes() -> None:
    executor = product()
    with pytest.raises(TypeError, match="unknown argument 'aa'; did you mean 'a'"):
        executor.forward(aa=np.ones(2))
    with pytest.raises(ValueError, match=r"'a' is bound with shape \(2,\).*shape \(3,\) was given"):
        executor.forward(a=np.ones(3))


def test_copying_parameters() -> None:
    executor = product()
    executor.copy_params_from({"a": [8, 9]})
    assert executor.arg_dict["a"].tolist() == [8, 9]
    assert executor.arg_dict["b"].tolist() == [5, 7]
    with pytest.raises(ValueError, match="unknown argument 'c'; known: a, b"):
        executor.copy_params_from({"c": [1, 2]})
    executor.copy_params_from({"c": [1, 2]}, allow_extra_params=True)
    with pytest.raises(ValueError, match="unknown auxiliary state 'a'"):
        executor.copy_params_from({}, {"a": [1, 2]})
    with pytest.raises(MXNetError, match=r"'a' has shape \(2,\), the array given \(3,\)"):
        executor.copy_params_from({"a": [1, 2, 3]})


def test_bound_arrays_are_used_in_place() -> None:
    a, b, grad = (np.ones(2, np.float32) for _ in range(3))
    executor = (sym.Variable("a") * sym.Variable("b")).bind(
        mx.cpu(), {"a": a, "b": b}, args_grad={"a": grad}
    )
    a[:] = [2, 3]
    assert executor.forward(is_train=True)[0].tolist() == [2, 3]
    executor.backward(np.ones(2))
    assert grad.tolist() == [1, 1]
    assert executor.grad_dict["b"] is None


def test_binding_refuses_arrays_it_cannot_use() -> None:
    symbol = sym.Variable("a") * sym.Variable("b")
    with pytest.raises(ValueError, match="no array for the argument 'b'"):
        symbol.bind(None, {"a": np.ones(2)})
    with pytest.raises(ValueError, match=r"2 arguments \(a, b\), 1 arrays given"):
        symbol.bind(None, [np.ones(2)])
    with pytest.raises(MXNetError, match="'b' is not C-contiguous; pass a copy of it"):
        symbol.bind(None, [np.ones((2, 3)), np.ones((3, 2)).T])
    with pytest.raises(MXNetError, match="the shapes given leave these unknown: a, b"):
        symbol.simple_bind()


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("kind", ["gradient", "auxiliary"])
def test_arrays_that_cannot_be_written_are_refused_where_they_would_be(kind: str) -> None:
    net = sym.BatchNorm(sym.Variable("data"), name="bn")
    fixed = np.ones(2, "float32")
    fixed.flags.writeable = False
    args = [np.ones((3, 2), "float32"), *(np.ones(2, "float32") for _ in range(2))]
    grads = {"bn_gamma": fixed if kind == "gradient" else np.ones(2, "float32")}
    aux = [fixed if kind == "auxiliary" else np.ones(2, "float32"), np.ones(2, "float32")]
    with pytest.raises(MXNetError, match=r"bound to 'bn_.*' is read-only; pass a copy"):
        net.bind(mx.cpu(), args, args_grad=grads, aux_states=aux)
    args[1].flags.writeable = False  # what is only read may be
    net.bind(mx.cpu(), args, grad_req="null", aux_states=aux).forward()


def test_two_variables_of_one_name_are_bound_but_not_found_by_name() -> None:
    executor = (sym.Variable("a") * sym.Variable("a")).simple_bind(None, a=(2,))
    assert len(executor.arg_arrays) == 2
    with pytest.raises(ValueError, match="the graph has 2 variables named 'a'"):
        _ = executor.arg_dict


# -- reshape -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("second", ["e", "f"])
def test_nodes_of_one_name_have_scratch_of_their_own(second: str) -> None:
    """Graphs may have them, and what one keeps for backward is not the other's."""
    pairs = [("e", "i", "v"), (second, "j", "w")]
    rows = [
        sym.Embedding(sym.Variable(i), sym.Variable(w), input_dim=4, output_dim=1, name=name)
        for name, i, w in pairs
    ]
    executor = (rows[0] + rows[1]).simple_bind(None, i=(2,), j=(2,))
    executor.arg_dict["i"][:], executor.arg_dict["j"][:] = [0, 1], [2, 3]
    executor.forward(is_train=True)
    executor.backward([np.ones((2, 1))])
    assert executor.grad_dict["v"].ravel().tolist() == [1, 1, 0, 0]
    assert executor.grad_dict["w"].ravel().tolist() == [0, 0, 1, 1]


def test_two_outputs_of_one_name_are_not_found_by_name() -> None:
    data = sym.Variable("data")
    both = sym.Group([sym.relu(data, name="o"), sym.sigmoid(data, name="o")])
    executor = both.simple_bind(None, data=(2,))
    with pytest.raises(ValueError, match="2 outputs named 'o_output'; give each node a name"):
        _ = executor.output_dict


def test_nodes_of_one_name_draw_numbers_of_their_own() -> None:
    data = sym.Variable("data")
    a, b, c, d = (sym.Dropout(data, p=0.5, name=name) for name in ("d", "d", "d", "d#2"))
    joined = a + 10 * b + 100 * c + 1000 * d
    executor = joined.simple_bind(None, data=(400,))
    executor.arg_dict["data"][:] = 0.5
    total = executor.forward(is_train=True)[0]
    masks = [(total // place) % 10 for place in (1, 10, 100, 1000)]
    assert all(set(mask) == {0, 1} for mask in masks)
    for number, one in enumerate(masks):
        assert all(0.3 < (one == other).mean() < 0.7 for other in masks[:number])


def test_reshape_shares_what_keeps_its_shape() -> None:
    executor = bound_classifier(4)
    small = executor.reshape(data=(2, 2), softmax_label=(2,))
    assert np.shares_memory(small.arg_dict["fc_weight"], executor.arg_dict["fc_weight"])
    assert np.shares_memory(small.grad_dict["fc_bias"], executor.grad_dict["fc_bias"])
    assert small.random is executor.random
    small.forward(data=executor.arg_dict["data"][:2])
    np.testing.assert_allclose(small.outputs[0], executor.forward()[0][:2], rtol=1e-6)


def test_reshape_tells_what_it_would_change() -> None:
    executor = bound_classifier(4)
    with pytest.raises(MXNetError, match=r"'softmax_label' changes from \(4,\) to \(2,\) without"):
        executor.reshape(data=(2, 2))
    with pytest.raises(MXNetError, match=r"'data' grows from \(4, 2\) to \(8, 2\); set allow_up"):
        executor.reshape(data=(8, 2), softmax_label=(8,))
    larger = executor.reshape(allow_up_sizing=True, data=(8, 2), softmax_label=(8,))
    assert larger.outputs[0].shape == (8, 3)
    partial = executor.reshape(partial_shaping=True, data=(2, 2))
    assert partial.arg_dict["softmax_label"].shape == (2,)


def test_reshape_keeps_requests_and_types() -> None:
    executor = bound_classifier(
        4, grad_req={"fc_weight": "add"}, type_dict={"data": "float64", "softmax_label": "float64"}
    )
    small = executor.reshape(data=(3, 2), softmax_label=(3,))
    assert {name for name, grad in small.grad_dict.items() if grad is not None} == {"fc_weight"}
    assert {array.dtype.name for array in small.arg_arrays} == {"float64"}
    for bound in (executor, small):
        bound.forward(is_train=True)
        bound.backward()
    total = executor.grad_dict["fc_weight"].copy()
    executor.forward(is_train=True)
    executor.backward()
    assert not np.array_equal(total, executor.grad_dict["fc_weight"])  # added, not written


# -- monitor -------------------------------------------------------------------------------------


def test_the_monitor_callback_sees_outputs_in_order_and_can_be_removed() -> None:
    executor = bound_classifier()
    seen: list[tuple[str, tuple[int, ...]]] = []
    executor.set_monitor_callback(lambda name, array: seen.append((name, array.shape)))
    plain = bound_classifier().forward(is_train=True)[0]
    watched = executor.forward(is_train=True)[0]
    assert seen == [("fc_output", (4, 3)), ("softmax_output", (4, 3))]
    np.testing.assert_array_equal(plain, watched)
    executor.set_monitor_callback(None)
    executor.forward()
    assert len(seen) == 2


def test_the_monitor_callback_sees_inputs_when_asked() -> None:
    executor = bound_classifier()
    seen: list[str] = []
    executor.set_monitor_callback(lambda name, array: seen.append(name), monitor_all=True)
    executor.forward()
    assert seen == ["data", "fc_weight", "fc_bias", "softmax_label", "fc_output", "softmax_output"]
