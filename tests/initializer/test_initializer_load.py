"""`Load` from each kind of file, and `Mixed` patterns."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import mxtrain as mx
from mxtrain.errors import CallError, FileFormatError, MXNetError
from mxtrain.initializer import InitDesc, Load, Mixed

ARRAYS = {
    "fc_weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "fc_bias": np.array([0.1, -0.2]),
    "bn_moving_mean": np.array([1, 2], np.float16),
}


def write(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".safetensors":
        save_file(arrays, path)
    else:
        mx.nd.save(str(path), arrays)
    return path


@pytest.mark.parametrize("prefix", ["", "arg:", "aux:"])
@pytest.mark.parametrize("name", ["w.params", "w-0003.params", "w.npz", "w.NPZ", "w.safetensors"])
def test_round_trip(tmp_path: Path, name: str, prefix: str) -> None:
    path = tmp_path / name.lower()
    write(path, {prefix + key: array for key, array in ARRAYS.items()})
    path = path.rename(tmp_path / name)
    for source in (path, str(path)):
        load = Load(source)
        for key, array in ARRAYS.items():
            target = np.full_like(array, np.nan)
            load(InitDesc(key), target)
            assert np.array_equal(target, array)
            assert load.rule_for(key) == f"loaded from {path}"


def test_values_take_the_type_of_the_parameter() -> None:
    target = np.zeros(2, np.float32)
    Load(ARRAYS)("fc_bias", target)
    assert np.array_equal(target, np.array([0.1, -0.2], np.float32))


@pytest.mark.parametrize("name", ["w.params", "w.npz", "w.safetensors"])
def test_damaged_and_missing_files(tmp_path: Path, name: str) -> None:
    with pytest.raises(MXNetError, match="cannot read"):
        Load(tmp_path / name)
    whole = write(tmp_path / name, ARRAYS).read_bytes()
    for damaged in (b"", b"not such a file, whatever it says", whole[: len(whole) // 2]):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(FileFormatError):
            Load(tmp_path / name)


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([{}], object))
    with pytest.raises(FileFormatError, match="plain arrays"):
        Load(tmp_path / "w.npz")
    np.save(tmp_path / "w.npy", np.zeros(2))
    (tmp_path / "w.npy").rename(tmp_path / "w.npz")
    with pytest.raises(FileFormatError, match="savez"):
        Load(tmp_path / "w.npz")


def test_arrays_without_names(tmp_path: Path) -> None:
    mx.nd.save(str(tmp_path / "w.params"), [mx.nd.zeros((2,))])
    with pytest.raises(CallError, match="names"):
        Load(tmp_path / "w.params")


def test_messages() -> None:
    load = Load(ARRAYS)
    with pytest.raises(CallError, match=r"'fc_bias' has shape \(3,\), but \(2,\)"):
        load("fc_bias", np.zeros(3))
    for call in (lambda: load("fc_biass", np.zeros(3)), lambda: load.rule_for("fc_biass")):
        with pytest.raises(CallError, match="did you mean 'fc_bias'") as caught:
            call()
        assert "default_init" in str(caught.value)


def test_default_and_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    load = Load(ARRAYS, mx.init.One(), verbose=True)
    target = np.zeros(2)
    load(InitDesc("fc_bias"), target)
    load(InitDesc("other_weight"), target)
    assert target.tolist() == [1, 1]
    assert caplog.messages == [
        "Initialized fc_bias by loading",
        "Initialized other_weight by default",
    ]


names = st.text(alphabet="abc_", min_size=1, max_size=6)


@given(names, st.lists(names, max_size=4))
def test_the_first_pattern_at_the_beginning_wins(name: str, patterns: list[str]) -> None:
    called: list[int] = []
    mixed = Mixed(
        [*patterns, ".*"],
        [lambda n, a, i=i: called.append(i) for i in range(len(patterns) + 1)],
    )
    mixed(name, np.zeros(1))
    hits = [i for i, pattern in enumerate(patterns) if name.startswith(pattern)]
    assert called == [hits[0] if hits else len(patterns)]


def test_mixed_messages() -> None:
    with pytest.raises(ValueError, match="regular expression"):
        Mixed(["("], [mx.init.Zero()])
    with pytest.raises(ValueError, match=r"'fc_bias' \(tried: 'bias'\)"):
        Mixed(["bias"], [mx.init.Zero()])(InitDesc("fc_bias"), np.zeros(1))
    assert repr(Mixed(["a"], [mx.init.One()])) == "Mixed(['a'], [One()])"
