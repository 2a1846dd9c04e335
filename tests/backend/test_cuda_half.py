"""float16 on a CUDA device: what its kernels compute, by a stand-in, beside NumPy."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from host_device import COMPILER, HostDevice
from test_cuda_products import at

import mxtrain as mx
from mxtrain import backend as backends
from mxtrain import optimizer
from mxtrain.backend.blocks import Segment
from mxtrain.backend.compiled.expressions import EXPRESSIONS, SLOW
from mxtrain.backend.compiled.lines import Product, read_line
from mxtrain.backend.cuda import blas
from mxtrain.backend.cuda.expressions import TEXTS
from mxtrain.backend.cupy import LIMITS, CupyBackend, DeviceSegment
from mxtrain.backend.numpy import greater_of, lesser_of, run, select
from mxtrain.optimizer.tracing import rule_of

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
KERNELS = {"maximum": greater_of, "minimum": lesser_of, "where": select}
EVERY_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16)


@pytest.fixture(scope="module")
def cupy() -> CupyBackend:
    return CupyBackend(HostDevice())


def on(cupy: CupyBackend, array: np.ndarray) -> np.ndarray:
    copied: np.ndarray = cupy.device.copied(np.ascontiguousarray(array))
    return copied


def computed(cupy: CupyBackend, lines: list[Any]) -> None:
    """Run lines that must all become launches."""
    joined, _ = cupy.join(lines)
    assert not any(isinstance(kernel, np.ufunc) or kernel is np.copyto for kernel, _ in joined)
    run(joined)


def between_halves(dtype: Any) -> np.ndarray:
    """Numbers at halves, between neighbours, and a little beside the middle; and beyond all."""
    finite = EVERY_HALF[np.isfinite(EVERY_HALF)].astype(np.float64)
    ordered = np.unique(finite)
    middle = (ordered[1:] + ordered[:-1]) / 2
    beside = [np.nextafter(middle.astype(dtype), side) for side in (-np.inf, np.inf)]
    beyond = [65519.99, 65520, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-30]
    whole = [finite, middle, *(b.astype(np.float64) for b in beside), np.array(beyond)]
    return np.concatenate(whole).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_become_halves_rounded_once(cupy: CupyBackend, dtype: str) -> None:
    given = on(cupy, between_halves(dtype))
    out = cupy.device.empty(given.shape, np.dtype(np.float16))
    computed(cupy, [(np.copyto, (out, given))])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, given.astype(np.float16))
        np.testing.assert_array_equal(np.signbit(out), np.signbit(given.astype(np.float16)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_half_becomes_that_number(cupy: CupyBackend, dtype: str) -> None:
    given = on(cupy, EVERY_HALF)
    out = cupy.device.empty(given.shape, np.dtype(dtype))
    computed(cupy, [(np.copyto, (out, given))])
    np.testing.assert_array_equal(out, EVERY_HALF.astype(dtype))


def test_every_operation_gives_numpys_numbers(cupy: CupyBackend) -> None:
    random = np.random.default_rng(0)
    special = [0.0, -0.0, 1.0, -1.5, 0.1, np.inf, -np.inf, np.nan, 6e-8, 6e4]
    pairs = np.concatenate([random.normal(0, 3, 4000), special * 4]).astype(np.float16)
    a, b = on(cupy, pairs), on(cupy, random.permutation(pairs))
    ops = [op for op in sorted(TEXTS) if op not in ("copy", "erf", "where")]
    lines, outs = [], []
    for op in ops:
        kind = np.dtype(bool if EXPRESSIONS[op].truth_valued else np.float16)
        outs.append(cupy.device.empty(a.shape, kind))
        operands = [a, b][: EXPRESSIONS[op].arity]
        lines.append((KERNELS.get(op) or getattr(np, op), (*operands, outs[-1])))
    chosen = cupy.device.empty(a.shape, np.dtype(np.float16))
    lines.append((select, (outs[ops.index("greater")], a, b, chosen)))
    with np.errstate(all="ignore"):
        run(lines)
        wanted = [array.copy() for array in (*outs, chosen)]
        for array in (*outs, chosen):
            array[...] = 0
        computed(cupy, lines)
    for op, array, want in zip([*ops, "where"], (*outs, chosen), wanted, strict=True):
        if op in SLOW:
            np.testing.assert_allclose(array, want, rtol=1.1e-3, atol=6e-8, err_msg=op)
        else:
            np.testing.assert_array_equal(array, want, err_msg=op)


@pytest.mark.parametrize("ufunc", [np.add, np.maximum])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_are_those_of_floats(cupy: CupyBackend, ufunc: np.ufunc, axis: int) -> None:
    source = on(cupy, np.random.default_rng(0).uniform(0, 1, (300, 70)).astype(np.float16))
    target = cupy.device.empty((source.shape[1 - axis],), np.dtype(np.float16))
    computed(cupy, [(ufunc.reduce, (source, axis, None, target))])
    exact = ufunc.reduce(source.astype(np.float64), axis).astype(np.float16)
    np.testing.assert_allclose(target, exact, rtol=1e-3)


class Library:
    """Computes products of halves as the BLAS defines them."""

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            plain = [getattr(argument, "value", argument) for argument in arguments[1:]]
            if name == "cublasGemmEx":
                self._multiply(plain)
            else:
                assert not name.endswith("gemm_v2")
            return 0

        return call

    def _multiply(self, arguments: list[Any]) -> None:
        ta, tb, m, n, k, alpha, a, of_a, lda, b, of_b, ldb, beta, c, of_c, ldc, *how = arguments
        assert isinstance(alpha._obj, ctypes.c_float)
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        assert (of_a, of_b, of_c, *how) == (2, 2, 2, 68, -1)
        left = at(a, *((k, m) if ta else (m, k)), lda, np.float16).astype(np.float32)
        right = at(b, *((n, k) if tb else (k, n)), ldb, np.float16).astype(np.float32)
        at(c, m, n, ldc, np.float16)[...] = (left.T if ta else left) @ (right.T if tb else right)


@pytest.mark.parametrize("left_t", [False, True])
@pytest.mark.parametrize("right_t", [False, True])
def test_products_of_halves(left_t: bool, right_t: bool) -> None:
    random = np.random.default_rng(0)
    left = random.standard_normal((7, 5) if left_t else (5, 7)).astype(np.float16)
    right = random.standard_normal((3, 7) if right_t else (7, 3)).astype(np.float16)
    out = np.zeros((5, 3), np.float16)
    factors = left.T if left_t else left, right.T if right_t else right
    assert read_line((np.dot, (*factors, out))) is None
    piece = read_line((np.dot, (*factors, out)), LIMITS)
    assert isinstance(piece, Product)
    blas.Blas(Library(), 1, 2).multiply(piece)
    exact = factors[0].astype(np.float64) @ factors[1].astype(np.float64)
    np.testing.assert_allclose(out, exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adadelta", "nag", "signum"])
def test_rules_round_after_every_operation(cupy: CupyBackend, name: str) -> None:
    rule = rule_of(optimizer.create(name, wd=1e-2, clip_gradient=0.5, rescale_grad=0.25), True)
    random = np.random.default_rng(0)
    numpys = [random.uniform(0.1, 1, 1003).astype(np.float16) for _ in rule.arrays]
    ours = [on(cupy, array) for array in numpys]
    scalars = tuple(random.uniform(0.01, 0.1, len(rule.program.scalars)))
    segment = cupy.segment(rule.program, ours, rule.targets)
    assert isinstance(segment, DeviceSegment)
    segment.run(scalars)
    Segment(rule.program, numpys, rule.targets).run(scalars)
    for mine, theirs in zip(ours, numpys, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("side", ["numpy", "cupy"])
@pytest.mark.parametrize("size", [1, 40_000])
def test_a_rule_reads_halves_and_leaves_its_master_rounded(
    cupy: CupyBackend, side: str, size: int
) -> None:
    """The same as converting, updating and rounding one after the other."""
    rule = rule_of(optimizer.create("adam", wd=1e-2), True)
    random = np.random.default_rng(0)
    arrays = [random.uniform(0.1, 1, size).astype(np.float32) for _ in rule.arrays]
    place, weight = rule.arrays.index("grad"), rule.arrays.index("weight")
    arrays[place] = arrays[place].astype(np.float16)
    scalars = tuple(random.uniform(0.01, 0.1, len(rule.program.scalars)))
    apart = [array.astype(np.float32) for array in arrays]
    Segment(rule.program, apart, rule.targets).run(scalars)

    backend = cupy if side == "cupy" else backends.get(side)
    ours = [backend.from_host(array) for array in arrays]
    half = backend.zeros((size,), np.dtype(np.float16))
    segment = backend.segment(rule.program, ours, rule.targets, (weight, half))
    assert isinstance(segment, DeviceSegment if side == "cupy" else Segment)
    segment.run(scalars)
    for name, mine, theirs in zip(rule.arrays, ours, apart, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=name)
    np.testing.assert_array_equal(half, apart[weight].astype(np.float16))


def half_network() -> Any:
    """Half precision between two casts, as a config says it."""
    value = mx.sym.Cast(mx.sym.Variable("data"), dtype="float16")
    value = mx.sym.FullyConnected(value, num_hidden=20, name="hidden")
    value = mx.sym.Activation(value, act_type="relu")
    value = mx.sym.FullyConnected(value, num_hidden=4, name="out")
    return mx.sym.SoftmaxOutput(mx.sym.Cast(value, dtype="float32"), name="softmax")


def trained(backend: str) -> tuple[np.ndarray, dict[str, np.ndarray], list[Any]]:
    module = mx.mod.Module(half_network(), backend=backend)
    module.bind([("data", (16, 10))], [("softmax_label", (16,))])
    random = np.random.default_rng(0)
    shapes = {name: array.shape for name, array in module.executor.arg_dict.items()}
    given = {
        name: mx.nd.array(random.normal(0, 0.3, shapes[name]), dtype="float16")
        for name in shapes
        if name not in ("data", "softmax_label")
    }
    module.init_params(None, arg_params=given)
    executor = module.executor
    executor.arg_dict["data"][...] = random.normal(size=(16, 10))
    executor.arg_dict["softmax_label"][...] = random.integers(0, 4, 16)
    executor.forward(True)
    executor.backward()
    grads = {name: np.array(executor.grad_dict[name]) for name in given}
    lines = [*executor.plan.forward(True).lines, *executor.plan.backward(True)[0].lines]
    return np.array(executor.outputs[0]), grads, [kernel for kernel, _ in lines]


def test_a_network_of_halves_runs_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    made = CupyBackend(HostDevice())
    usual = backends.get
    monkeypatch.setattr(backends, "get", lambda name=None: made if name == "cupy" else usual(name))
    output, grads, kernels = trained("cupy")
    assert all(made._may_be_captured(kernel) for kernel in kernels), [
        kernel for kernel in kernels if not made._may_be_captured(kernel)
    ]
    wanted, theirs, _ = trained("numpy")
    np.testing.assert_allclose(output, wanted, rtol=5e-3, atol=1e-3)
    for name, grad in grads.items():
        assert grad.dtype == np.float16
        np.testing.assert_allclose(grad, theirs[name], rtol=1e-2, atol=2e-3, err_msg=name)
