"""The surface in floats is that of the integers, and its slopes are its slopes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.learning import chart
from fedvol.learning.chart import Place
from fedvol.protocol import mixture, surface
from fedvol.protocol.fixedpoint import ONE
from fedvol.protocol.ssvi import total_variance
from tests.learning.tapes import LISTED, MODEL, NOW, YEAR, truth

SPEC = MODEL.spec
WIDTH = SPEC.dimension // 2
TENORS = [expiry - NOW for expiry in LISTED]

int32 = st.one_of(
    st.sampled_from([-(2**31), 2**31 - 1, 0, 1, -1]), st.integers(-(2**31), 2**31 - 1), st.integers(0, 2 << 20)
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(int32, min_size=WIDTH, max_size=WIDTH),
    st.floats(-3, 3),
    st.integers(3_600, 2 * TENORS[-1]),
    st.floats(0.25, 4),
)
def test_what_is_trained_is_what_the_chain_quotes(weights, k, tenor, g):
    """The integer twin of the contract, on the same weights."""
    pillars = surface.chart(weights, TENORS, SPEC.fraction_bits)
    moment = surface.moment_of(tenor, int(g * ONE))
    parts = [total_variance(surface.slice_at(one, TENORS, moment), int(k * ONE)) for one in pillars]
    quoted = mixture.deviation(*parts, int(k * ONE)) / ONE / np.sqrt(tenor / YEAR)
    whole = SPEC.to_float(np.tile(weights, 2))
    found = float(MODEL.implied_vol(whole, NOW, 1, k, NOW + tenor, g))
    # A chart's integers hold theta to 2^-34 and slopes to 2^-26; far out the answer is the tails' asymptotics.
    assert found == pytest.approx(quoted, rel=2e-3 if abs(k) > 5 * found * np.sqrt(tenor / YEAR) else 2e-4)


def test_slopes_are_the_slopes():
    rng = np.random.default_rng(5)
    weights = np.concatenate(
        [rng.uniform(0.2, 0.9, (2, 13, 2, 1)), rng.uniform(0.1, 1.9, (2, 13, 2, 2))], axis=3
    )  # so rough that every bound and neighbour acts somewhere
    tenors = np.array(TENORS) / YEAR
    n = 300
    tenor = np.exp(rng.uniform(np.log(0.002), np.log(2.5), n))
    place = Place(rng.integers(0, 2, n), rng.uniform(-0.4, 0.4, n) * np.sqrt(tenor), tenor, chart.clock(tenor, 1.3))
    _, slopes = chart.vols_and_slopes(chart.chart(weights, tenors), place)
    for where in np.ndindex(weights.shape):
        step = np.zeros_like(weights)
        step[where] = 1e-6
        up, down = (chart.vols(chart.chart(weights + sign * step, tenors), place) for sign in (1, -1))
        own = np.where(place.market == where[0], slopes[(slice(None), *where[1:])], 0.0)
        np.testing.assert_allclose(own, (up - down) / 2e-6, atol=1e-5)


def test_rows_can_pull_back_a_weight_beyond_its_bounds():
    weights = truth()
    weights[6 * 4] = 9.0
    at = chart.chart(weights[:-2].reshape(1, -1)[:, : WIDTH - 2].reshape(1, 13, 2, 3), np.array(TENORS) / YEAR)
    tenor = np.array([TENORS[4] / YEAR])
    _, slopes = chart.vols_and_slopes(at, Place(np.array([0]), np.array([0.0]), tenor, tenor))
    assert slopes[0, 4, 0, 0] > 0


def test_the_index_moves_the_clock_within_its_bounds():
    weights = truth()
    blocks = weights.reshape(2, -1)
    blocks[0, -2:], blocks[1, -2:] = (2.0, 0.0), (100.0, -100.0)
    still, moved = MODEL.clocks(weights, np.zeros((2, 2))), MODEL.clocks(weights, [[0.1, 0.3], [0.5, -0.5]])
    np.testing.assert_allclose(still, 1.0)
    np.testing.assert_allclose(moved, [np.exp(0.4), 4.0])
    calm, storm = (MODEL.implied_vol(weights, NOW, 0, 0.0, LISTED[4], g) for g in (1.0, moved[0]))
    assert 1.05 < storm / calm < np.exp(0.2)
    far = [MODEL.implied_vol(weights, NOW, 0, 0.0, LISTED[12], g) for g in (1.0, moved[0])]
    assert 1.0 < far[1] / far[0] < 1.05
