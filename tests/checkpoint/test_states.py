from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain.checkpoint.states import dump_states, load_states
from mxtrain.errors import FileFormatError
from mxtrain.nd import NDArray

dtypes = st.sampled_from(["f2", "f4", "f8", "i1", "i4", "i8", "u1", "?"]).map(np.dtype)
arrays = dtypes.flatmap(
    lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
nested = st.recursive(
    plain | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=6,
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)


@given(states=st.dictionaries(st.integers() | st.text(max_size=4), nested, max_size=4))
def test_round_trip(states: dict[Any, Any]) -> None:
    data = dump_states(states, {"num_update": 7})
    loaded, metadata = load_states(data)
    assert list(loaded) == list(states)
    assert all(same(states[key], loaded[key]) for key in states)
    assert metadata == {"num_update": 7}
    again = dump_states(loaded, metadata)  # all arrays are NDArray now
    assert dump_states(*load_states(again)) == again


def test_number_and_text_of_the_same_look_are_two_keys() -> None:
    loaded, _ = load_states(dump_states({3: np.zeros(1), "3": None}, {}))
    assert set(loaded) == {3, "3"}


def test_arrays_are_new_and_can_be_written_to() -> None:
    momentum = np.arange(6.0).reshape(2, 3).T
    loaded, _ = load_states(dump_states({0: (momentum, None)}, {}))
    assert isinstance(loaded[0][0], NDArray)
    loaded[0][0][:] = 0
    assert momentum[2, 1] == 5


def test_nothing_is_pickled() -> None:
    data = dump_states({0: [np.zeros(2)], 1: 0.5}, {"a": [1, {"b": None}]})
    assert data[8:9] == b"{"  # a length, JSON, then the bytes of the tensors
    assert b"numpy" not in data and b"\x80\x04" not in data


@pytest.mark.parametrize(
    ("states", "metadata", "match"),
    [
        ({0: {"a": 1j}}, {}, "a state is None, .* got complex"),
        ({0: [object()]}, {}, "got object"),
        ({1.5: None}, {}, "by number or name, got 1.5"),
        ({True: None}, {}, "got True"),
        ({}, {"a": object()}, "not JSON serializable"),
    ],
)
def test_what_cannot_be_stored(states: Any, metadata: Any, match: str) -> None:
    with pytest.raises(TypeError, match=match):
        dump_states(states, metadata)


GOOD = dump_states({0: (np.arange(3, dtype=np.float32), None), "w": [1.5]}, {"n": 1})


def test_cut_off_at_every_byte() -> None:
    for end in range(len(GOOD)):
        with pytest.raises(FileFormatError, match="optimizer states are damaged"):
            load_states(GOOD[:end])


@pytest.mark.parametrize("bit", range(8))
def test_flipped_bits_give_states_or_a_clear_error(bit: int) -> None:
    refused = 0
    for position in range(len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[position] ^= 1 << bit
        try:
            load_states(bytes(damaged))
        except FileFormatError:
            refused += 1
    assert refused > len(GOOD) / 4


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (None, "was not written by mxtrain"),
        ("[]", "unknown format"),
        ('{"format": 2, "states": [], "metadata": {}}', "unknown format"),
        ('{"format": 1, "metadata": {}}', "'states'"),
        ('{"format": 1, "states": 3, "metadata": {}}', "damaged"),
        ('{"format": 1, "states": [[0]], "metadata": {}}', "damaged"),
        ('{"format": 1, "states": [], "metadata": []}', "metadata is"),
        ('{"format": 1, "states": [[[], {"value": 1}]], "metadata": {}}', "by number or name"),
        ('{"format": 1, "states": [[0, null]], "metadata": {}}', "one kind and its content"),
        ('{"format": 1, "states": [[0, {"value": {}}]], "metadata": {}}', "unknown kind"),
        ('{"format": 1, "states": [[0, {"pickle": ""}]], "metadata": {}}', "unknown kind"),
        ('{"format": 1, "states": [[0, {"tensor": "none"}]], "metadata": {}}', "'none'"),
        ('{"format": 1, "states": [[0, {"tuple": "ab"}]], "metadata": {}}', "one kind"),
        ('{"format": 1, "states": [[0, ' + '{"list": [' * 5000, "damaged"),
        ("{", "damaged"),
    ],
)
def test_bad_header(header: str | None, match: str) -> None:
    from safetensors.numpy import save

    data = save({}, None if header is None else {"mxtrain": header})
    with pytest.raises(FileFormatError, match=match):
        load_states(data)
