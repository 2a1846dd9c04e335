"""Compiled lines and rules beside NumPy's: the same bits, or the same numbers where a function
that has no vector instruction is another implementation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba", reason="the compiled backend needs numba")

from mxtrain import backend, optimizer
from mxtrain.backend import blocks, threads, waiting
from mxtrain.backend.blocks import Segment
from mxtrain.backend.compiled import cache, functions
from mxtrain.backend.compiled.expressions import EXPRESSIONS, ON_TRUTH_VALUES, SLOW
from mxtrain.backend.compiled.lines import (
    Pointwise,
    Product,
    Reduction,
    Transposition,
    grouped,
    joined,
    read_line,
)
from mxtrain.backend.compiled.source import Regions, Writer
from mxtrain.backend.formula import BINARY, UNARY
from mxtrain.backend.numpy import greater_of, lesser_of, run
from mxtrain.errors import MXNetError
from mxtrain.optimizer.tracing import rule_of

NUMBA = backend.get("numba")
KERNELS = {"maximum": greater_of, "minimum": lesser_of}
VALUES = [0.0, -0.0, 1.0, -1.5, 2.5, 0.1, np.inf, -np.inf, np.nan, 1e-30, 3e38, -7.25]


def pieces_of(*given_lines: Any) -> list[Any]:
    pieces = [read_line(line) for line in given_lines]
    assert all(piece is not None for piece in pieces)
    return pieces


def assert_same(
    given_lines: list[Any], arrays: list[np.ndarray], exact: bool = True, atol: float = 1e-37
) -> None:
    """Run lines as they are and joined, from the same contents, and compare all arrays."""
    before = [array.copy() for array in arrays]
    with np.errstate(all="ignore"):
        run(given_lines)
        wanted = [array.copy() for array in arrays]
        for array, kept in zip(arrays, before, strict=True):
            array[...] = kept
        joined_lines, kept = NUMBA.join(given_lines)
        assert len(joined_lines) == 1 and len(kept) == 3
        run(joined_lines)
    for array, want in zip(arrays, wanted, strict=True):
        if exact:
            np.testing.assert_array_equal(array, want)
        else:
            np.testing.assert_allclose(array, want, rtol=4e-7, atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", sorted(set(EXPRESSIONS) - {"copy", "erf", "where"}))
def test_every_operation_gives_numpys_numbers(op: str, dtype: str) -> None:
    a = np.repeat(VALUES, len(VALUES)).astype(dtype)[:144]
    b = np.tile(VALUES, len(VALUES)).astype(dtype)[:144]
    operands = [a, b][: EXPRESSIONS[op].arity]
    out = np.zeros(144, bool if EXPRESSIONS[op].truth_valued else dtype)
    extra = np.zeros(144, dtype)  # a second line, since one alone is left as it is
    assert_same(
        [(KERNELS.get(op) or getattr(np, op), (*operands, out)), (np.add, (a, b, extra))],
        [out, extra],
        exact=op not in SLOW,
    )


def test_every_operation_of_formulas_is_there_but_the_remainder() -> None:
    assert (UNARY | BINARY | {"where"}) - set(EXPRESSIONS) == {"remainder"}
    assert set(EXPRESSIONS) - (UNARY | BINARY | {"where"}) == {"copy"}
    assert set(EXPRESSIONS) >= ON_TRUTH_VALUES | SLOW


@pytest.mark.parametrize("size", [1, 7, 8, 33, 1000])
def test_rows_and_columns_are_summed_as_numpy_does(size: int) -> None:
    source = np.random.default_rng(size).standard_normal((5, size)).astype("f")
    rows, most, columns = np.zeros(5, "f"), np.zeros(5, "f"), np.zeros(size, "f")
    sums = [
        (np.add.reduce, (source, 1, None, rows)),
        (np.maximum.reduce, (source, (1,), None, most)),
        (np.add.reduce, (source, 0, None, columns)),
    ]
    assert_same(sums, [rows, most, columns], exact=size < 128, atol=2e-5)


def test_a_row_of_nan_has_a_maximum_of_nan() -> None:
    source = np.ones((2, 20), "f")
    source[1, 3] = np.nan
    most, total = np.zeros(2, "f"), np.zeros(2, "f")
    maxima = [
        (np.maximum.reduce, (source, 1, None, most)),
        (np.add.reduce, (source, 1, None, total)),
    ]
    assert_same(maxima, [most, total])
    assert np.isnan(most[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("left_t", [False, True])
@pytest.mark.parametrize("right_t", [False, True])
def test_products_of_transposed_matrices(dtype: str, left_t: bool, right_t: bool) -> None:
    random = np.random.default_rng(0)
    left = random.standard_normal((7, 5) if left_t else (5, 7)).astype(dtype)
    right = random.standard_normal((3, 7) if right_t else (7, 3)).astype(dtype)
    out, bias = np.zeros((5, 3), dtype), random.standard_normal(3).astype(dtype)
    product = (np.dot, (left.T if left_t else left, right.T if right_t else right, out))
    assert_same([product, (np.add, (out, bias, out))], [out])


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_a_matrix_is_written_in_the_other_order(rows: int, columns: int) -> None:
    matrix = np.arange(rows * columns, dtype="f").reshape(rows, columns)
    room = np.full(rows * columns + 16, -1, "f")  # nothing may be written beside the target
    target = room[8:-8].reshape(columns, rows)
    joined_lines, _ = NUMBA.join([(np.copyto, (target, matrix.T))])
    run(joined_lines)
    np.testing.assert_array_equal(target, matrix.T)
    assert (room[:8] == -1).all() and (room[-8:] == -1).all()


@settings(max_examples=30)
@given(data=st.data())
def test_lines_over_broadcast_arrays_in_any_order(data: st.DataObject) -> None:
    """Random lines over a few arrays, read and written again and again, give the same bits."""
    shapes = [(4, 6), (4, 1), (1, 6), (6,), (), (4, 6), (4, 6)]
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(shape).astype("f") for shape in shapes]
    names = st.sampled_from(["add", "subtract", "multiply", "maximum", "copyto"])
    given_lines = []
    for name in data.draw(st.lists(names, min_size=2, max_size=6)):
        target = arrays[data.draw(st.sampled_from([0, 5, 6]))]
        a = arrays[data.draw(st.integers(0, 6))]
        b = arrays[data.draw(st.integers(0, 6))]
        kernel = KERNELS.get(name) or getattr(np, name)
        given_lines.append((kernel, (target, a) if name == "copyto" else (a, b, target)))
    assert_same(given_lines, arrays)


def test_what_is_not_understood_is_left_alone() -> None:
    whole = np.zeros(6, "i8")
    x, y = np.zeros((4, 4), "f"), np.zeros((4, 4), "f")
    left_alone: list[Any] = [
        (np.add, (whole, whole, whole)),
        (np.add, (x, 1.0, y)),
        (np.add, (x[:3], x[1:], x[:3])),  # reads what it has written
        (np.add, (x, x.T, x)),
        (np.add.reduce, (x, 0, None, y[0], True)),
        (np.multiply, (x > 0, x > 0, np.zeros((4, 4), bool))),
        (np.dot, (x, y, x)),
        (np.dot, (x[:, 0], y, np.zeros(4, "f"))),
        (np.dot, (x[:, :2], y[:2], np.zeros((4, 4), "f"))),
        (np.copyto, (x, y, "same_kind", x > 0)),
        (print, (x,)),
        (np.log, (np.zeros(1025, "f"), np.zeros(1025, "f"))),
    ]
    for line in left_alone:
        assert read_line(line) is None, line
        assert NUMBA.join([line, line]) == ([line, line], [])


def test_lines_that_write_at_one_point_and_read_at_another_are_not_in_one_loop() -> None:
    x, y = np.zeros((4, 4), "f"), np.zeros((4, 4), "f")
    written, shifted = (np.add, (x, x, y)), (np.add, (y[::-1], x, np.zeros((4, 4), "f")))
    assert [len(group) for group in grouped(pieces_of(written, written))] == [2]
    assert [len(group) for group in grouped(pieces_of(written, shifted))] == [1, 1]
    column = (np.add, (x, y[:1], np.zeros((4, 4), "f")))
    assert [len(group) for group in grouped(pieces_of(written, column))] == [1, 1]


def test_pieces_are_of_four_kinds() -> None:
    x, row = np.zeros((4, 4), "f"), np.zeros(4, "f")
    kinds = pieces_of(
        (np.add, (x, row, x)),
        (np.add.reduce, (x, 1, None, row)),
        (np.dot, (x, x, x.copy())),
        (np.copyto, (x.copy(), x.T)),
        (np.copyto, (x.astype("d"), x.T)),
    )
    assert [type(p) for p in kinds] == [Pointwise, Reduction, Product, Transposition, Pointwise]


def test_loops_are_joined_where_memory_allows() -> None:
    x = np.zeros((3, 4, 5), "f")
    assert joined([x, x]) == ([60], [(1,), (1,)])
    row = np.broadcast_to(np.zeros(5, "f"), x.shape)
    assert joined([row, x]) == ([12, 5], [(0, 1), (5, 1)])
    assert joined([x[:, :, :1]]) == ([12], [(5,)])
    assert joined([np.zeros((1, 1), "f")]) == ([1], [(0,)])


def test_regions_are_numbered_in_order_and_hold_what_shares_memory() -> None:
    buffer, other = np.zeros(20, "f"), np.zeros(20, "f")
    regions = Regions([other, buffer[:5], buffer[3:9], buffer[9:]])
    assert [regions.of(a) for a in (other, buffer[:5], buffer[3:9], buffer[9:])] == [0, 1, 1, 2]
    assert len(regions) == 3


def test_another_batch_size_has_the_same_source() -> None:
    def source(rows: int) -> str:
        x, row, w = np.zeros((rows, 8), "f"), np.zeros(8, "f"), np.zeros((8, 8), "f")
        out = np.zeros((rows, 8), "f")
        parts = [
            (np.dot, (x, w, out)),
            (np.add, (out, row, out)),
            (np.add.reduce, (out, 0, None, row)),
        ]
        return Writer(pieces_of(*parts)).source("run", cache=True)

    assert source(32) == source(29)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n for n in optimizer.registry.names() if n != "groupadagrad"])
def test_rules_give_the_bits_of_numpys_blocks(name: str, dtype: str) -> None:
    made = optimizer.create(name, wd=1e-3, clip_gradient=0.5, rescale_grad=0.25)
    if not made.has_rule:
        pytest.skip("has an update of its own")
    for decays in (True, False):
        rule = rule_of(made, decays)
        random = np.random.default_rng(0)
        ours = [random.uniform(0.1, 1, 1003).astype(dtype) for _ in rule.arrays]
        numpys = [array.copy() for array in ours]
        scalars = tuple(random.uniform(0.01, 0.1, len(rule.program.scalars)))
        NUMBA.segment(rule.program, ours, rule.targets).run(scalars)
        Segment(rule.program, numpys, rule.targets).run(scalars)
        for mine, theirs in zip(ours, numpys, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_long_rules_on_numpy_are_shared_among_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SHARED_FROM", 100)
    monkeypatch.setattr(blocks, "BLOCK", 64)
    rule = rule_of(optimizer.create("adam"), True)
    scalars = tuple(np.linspace(0.01, 0.5, len(rule.program.scalars)))
    results, shares = [], []
    monkeypatch.setattr(threads, "run_all", lambda parts: shares.append([p() for p in parts]))
    for most in (1, 2, 3):
        arrays = [np.linspace(0.1, 1, 1003, dtype="f") for _ in rule.arrays]
        with threads.limited(most):
            backend.get("numpy").segment(rule.program, arrays, rule.targets).run(scalars)
        results.append(arrays)
    assert [len(share) for share in shares] == [2, 3]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_half_precision_stays_numpys() -> None:
    rule = rule_of(optimizer.create("sgd"), True)
    arrays = [np.ones(4, "float16") for _ in rule.arrays]
    assert isinstance(NUMBA.segment(rule.program, arrays, rule.targets), Segment)
    single = [array.astype("f") for array in arrays]
    rounding = NUMBA.segment(rule.program, single, rule.targets, (0, arrays[0]))
    assert isinstance(rounding, Segment)
    assert isinstance(NUMBA.segment(rule.program, [single[0], *arrays[1:]], [0]), Segment)


@pytest.mark.parametrize(
    ("name", "digits"), [("exp_float32", 1.0), ("expm1_float32", 2.0), ("tanh_float32", 2.5)]
)
def test_exponentials_in_units_of_the_last_digit(name: str, digits: float) -> None:
    random = np.random.default_rng(0)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 88.72, 88.73, -87.4, -103.9, -104.2, 1e-40]
    parts = [random.uniform(-110, 95, 5_000), random.standard_normal(5_000), special]
    x = np.concatenate([*parts, random.standard_normal(5_000) * 1e-4]).astype("f")
    function = getattr(functions, name)
    found = np.array([function(value) for value in x], "f")
    with np.errstate(all="ignore"):
        wanted = getattr(np, name.removesuffix("_float32"))(x.astype("f8"))
        rounded = wanted.astype("f")
        finite = np.isfinite(rounded)
        errors = np.abs(found - wanted)[finite] / np.spacing(np.abs(rounded[finite]))
    assert errors.max() <= digits
    np.testing.assert_array_equal(found[~finite], rounded[~finite])
    zeros = x == 0
    np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(rounded[zeros]))


# -- the cache -----------------------------------------------------------------------------------


def source_of(keep: bool) -> str:
    decorator = f'@njit("int64(int64)", cache={keep})'
    return f"{decorator}\ndef run(x):\n    return x + 1\n"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_compiled", {})
    return tmp_path / "cache"


def test_compiled_functions_are_kept_on_the_disk(empty_cache: Path) -> None:
    told: list[str] = []
    with waiting.said(told.append):
        assert cache.compiled(source_of)(1) == 2
    assert ["later runs find them done" in text for text in told] == [True]
    (file,) = empty_cache.glob("kernels/*/k*.py")
    assert list(file.parent.glob("__pycache__/*.nbc"))
    cache._compiled.clear()
    with waiting.said(told.append):
        function = cache.compiled(source_of)
    assert len(told) == 1
    assert function(1) == 2
    assert sum(function.stats.cache_hits.values()) == 1


def test_a_changed_file_is_not_taken(empty_cache: Path) -> None:
    cache.compiled(source_of)
    (file,) = empty_cache.glob("kernels/*/k*.py")
    file.write_text("raise SystemExit('hostile')\n")
    cache._compiled.clear()
    assert cache.compiled(source_of)(2) == 3


def test_a_folder_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.FOLDER_VARIABLE, str(tmp_path / "file"))
    monkeypatch.setattr(cache, "_compiled", {})
    told: list[str] = []
    with waiting.said(told.append):
        assert cache.compiled(source_of)(1) == 2
    (text,) = told
    assert f"{tmp_path / 'file'} cannot be written ($MXTRAIN_CACHE names another" in text


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache.cache_folder() == Path("/x/mxtrain")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_folder() == Path.home() / ".cache" / "mxtrain"


# -- choosing ------------------------------------------------------------------------------------


def test_backends_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(backend.VARIABLE, raising=False)
    assert (backend.get().name, backend.get("numba").name) == ("numpy", "numba")
    monkeypatch.setenv(backend.VARIABLE, "numba")
    assert backend.get().name == "numba"
    with pytest.raises(ValueError, match=r"unknown backend 'nunba'.*did you mean 'numba'"):
        backend.get("nunba")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    backend._get.cache_clear()
    with pytest.raises(MXNetError, match=r"pip install 'mxtrain\[numba\]'"):
        backend.get("numba")
    backend._get.cache_clear()
