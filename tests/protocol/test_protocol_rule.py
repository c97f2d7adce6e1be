"""The mean rule against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import trunc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedvol.errors import WireError
from fedvol.protocol.rule import INT32_MAX, INT32_MIN, largest_move, mean

LANES = st.integers(-(2**23), 2**31 - 2**23 - 1)
BOUNDS = st.integers(1, 2**23 - 1)
STEPS = st.integers(1, 2**32 - 1)
WEIGHT = st.integers(INT32_MIN, INT32_MAX)


@given(WEIGHT, st.lists(LANES, min_size=1, max_size=128), BOUNDS, STEPS)
def test_mean_is_the_exact_one_truncated_once(weight, lanes, bound, step) -> None:
    clamped = sum(max(-bound, min(bound, u)) for u in lanes)
    exact = weight + trunc(Fraction(clamped * step, len(lanes) << 16))
    expected = max(INT32_MIN, min(INT32_MAX, exact))
    assert mean(np.array([weight]), np.array(lanes).reshape(-1, 1), bound, step).tolist() == [expected]


@given(st.lists(LANES, min_size=1, max_size=20), BOUNDS, STEPS)
def test_no_mean_moves_further_than_the_largest(lanes, bound, step) -> None:
    (moved,) = mean(np.array([0]), np.array(lanes).reshape(-1, 1), bound, step)
    assert abs(moved) <= largest_move(bound, step)


@given(st.lists(st.lists(LANES, min_size=3, max_size=3), min_size=2, max_size=8), BOUNDS)
def test_the_order_of_updates_does_not_matter(updates, bound) -> None:
    model = np.array([5, -5, 0])
    forward = mean(model, np.array(updates), bound, 1 << 16)
    assert forward.tolist() == mean(model, np.array(updates[::-1]), bound, 1 << 16).tolist()


def test_rounding_is_toward_zero() -> None:
    three = np.array([[1, -1], [1, -1], [0, 0]])
    assert mean(np.array([10, 10]), three, 5, 1 << 16).tolist() == [10, 10]
    assert mean(np.array([10, 10]), 2 * three, 5, 1 << 16).tolist() == [11, 9]


@pytest.mark.parametrize("shape", [(0, 2), (3, 1)])
def test_what_does_not_fit_is_refused(shape) -> None:
    with pytest.raises(WireError):
        mean(np.zeros(2, dtype=np.int64), np.zeros(shape, dtype=np.int64), 1, 1)
