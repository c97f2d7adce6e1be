"""Updates: integers within the bound, unbiased, and refused when training went wrong."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.learning.model import ModelSpec
from fedvol.learning.quantize import to_update
from fedvol.protocol.vector import BIAS, pack_update, unpack_update

SPEC = ModelSpec("four weights", ("BTC",), 1, 20, 4)
ZERO = np.zeros(SPEC.dimension, dtype=np.int64)
SEED = bytes(32)


def seeds(count: int) -> list[bytes]:
    return [hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(count)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=4),
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=4, max_size=4),
    st.integers(1, BIAS - 1),
    st.binary(min_size=32, max_size=32),
)
def test_updates_keep_the_bound_and_travel(local, start, bound, seed):
    update = to_update(local, start, SPEC, bound, seed)
    assert np.abs(update).max() <= bound
    assert np.array_equal(unpack_update(pack_update(update), SPEC.dimension), update)
    exact = np.clip(np.array(local) * SPEC.scale - np.array(start), -bound, bound)
    assert np.all(np.abs(update - exact) < 1)


def test_rounding_is_unbiased():
    moves = np.array([0.25, -0.25, 3.9, -7.5])
    mean = np.mean([to_update(moves / SPEC.scale, ZERO, SPEC, 100, seed) for seed in seeds(4000)], axis=0)
    np.testing.assert_allclose(mean, moves, atol=0.04)


def test_integers_and_above_all_zero_are_kept():
    start = np.array([-(2**31), 2**31 - 1, 5, -600_000])
    for seed in seeds(50):
        assert not to_update(SPEC.to_float(start), start, SPEC, 1000, seed).any()
        assert to_update(SPEC.to_float(start + 7), start, SPEC, 1000, seed).tolist() == [7] * 4


def test_the_same_seed_gives_the_same_update():
    local = np.full(4, 0.5 / SPEC.scale)
    assert len({to_update(local, ZERO, SPEC, 9, SEED).tobytes() for _ in range(5)}) == 1
    assert len({to_update(local, ZERO, SPEC, 9, seed).tobytes() for seed in seeds(20)}) > 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_training_that_went_wrong_is_refused_by_name(bad):
    local = np.zeros(4)
    local[2] = bad
    with pytest.raises(WireError, match="weight 2"):
        to_update(local, ZERO, SPEC, 9, SEED)


@pytest.mark.parametrize(
    ("local", "bound", "seed"),
    [(np.zeros(3), 9, SEED), (np.zeros(4), 0, SEED), (np.zeros(4), BIAS, SEED), (np.zeros(4), 9, b"short")],
)
def test_what_the_protocol_cannot_carry_is_refused(local, bound, seed):
    with pytest.raises(WireError):
        to_update(local, ZERO, SPEC, bound, seed)
