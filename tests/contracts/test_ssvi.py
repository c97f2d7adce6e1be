"""The surface: EVM equal to its Python twin, near 50 digits, and free of arbitrage for any weights."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf
from tests.contracts.pricing_fixtures import (
    BLOCK,
    DAY,
    FRACTION_BITS,
    INT32,
    ONE,
    PILLARS,
    WAD,
    YEAR,
    surface_vectors,
)
from tests.contracts.pricing_reference import Q96, surface_iv, surface_slice

from fedvol.protocol import fixedpoint, ssvi, surface

pytest_plugins = ["tests.contracts.pricing_fixtures"]

#: Relative. The integers lose a few units in 2^-96; what shows is the exponential's 9.5e-18.
TOLERANCE = mpf("1e-16")


def model_bytes(weights):
    return struct.pack(f">{len(weights)}i", *weights)


def evm_slices(desk, rows, fraction_bits=FRACTION_BITS, pillars=PILLARS):
    models = [model_bytes(weights) for weights, _ in rows]
    result = desk.harness.slices(models, pillars, fraction_bits, [seconds for _, seconds in rows])
    return [surface.Slice(*slice_) for slice_ in result]


def evm_ivs(desk, rows):
    """rows: (slice, seconds, forward, strike)."""
    return list(desk.harness.impliedVol([(f, k, *slice_, seconds) for slice_, seconds, f, k in rows]))


def test_surface_is_the_formula(desk):
    vectors = surface_vectors(240, seed=1)
    slices = evm_slices(desk, [(weights, seconds) for weights, seconds, _, _ in vectors])
    ivs = evm_ivs(desk, [(s, *vector[1:]) for s, vector in zip(slices, vectors, strict=True)])
    for (weights, seconds, forward, strike), slice_, iv in zip(vectors, slices, ivs, strict=True):
        assert slice_ == surface.slice_at(weights, PILLARS, FRACTION_BITS, seconds)
        assert iv == ssvi.implied_vol_at(*slice_, fixedpoint.ln_ratio(strike, forward), seconds)
        theta, rho, eta = surface_slice(weights, PILLARS, FRACTION_BITS, seconds)
        assert abs(slice_.theta / Q96 / theta - 1) <= TOLERANCE
        assert abs(slice_.rho / Q96 - rho) <= TOLERANCE
        assert abs(slice_.eta / Q96 / eta - 1) <= TOLERANCE
        exact = surface_iv(weights, PILLARS, FRACTION_BITS, seconds, forward, strike)
        assert abs(iv / Q96 / exact - 1) <= TOLERANCE, (weights, seconds, strike / forward)


def test_other_schedules_and_binary_points(desk):
    rng = random.Random(2)
    for pillars, fraction_bits in (([DAY], 8), ([1, 5 * YEAR], 28), ([7 * DAY * i for i in range(1, 31)], 16)):
        rows = [
            ([rng.randint(*INT32) >> rng.randrange(28) for _ in range(len(pillars) + 2)], rng.randrange(1, 5 * YEAR))
            for _ in range(40)
        ]
        assert evm_slices(desk, rows, fraction_bits, pillars) == [
            surface.slice_at(weights, pillars, fraction_bits, seconds) for weights, seconds in rows
        ]


def test_no_butterfly_arbitrage(desk):
    """Calls are convex in the strike, fall with it, and cost no more than the forward."""
    rng = random.Random(3)
    vectors = surface_vectors(45, seed=3)
    slices = evm_slices(desk, [(weights, seconds) for weights, seconds, _, _ in vectors])
    forward = 1000 * WAD
    for slice_, (_, seconds, _, _) in zip(slices, vectors, strict=True):
        width = min(0.09, 4 * (slice_.theta / ONE) ** 0.5 / 11 * rng.choice([0.1, 1, 3]))
        strikes = [int(forward * (1 + width * step)) for step in range(-10, 11)]
        rows = desk.harness.quote([(forward, strike, *slice_, seconds) for strike in strikes])
        calls = [forward, *(row[1] for row in rows)]
        strikes = [0, *strikes]
        tolerance = 1e-16 * forward + 4
        slopes = []
        for (low, high), (first, second) in zip(pairwise(strikes), pairwise(calls), strict=True):
            assert -(high - low) - tolerance <= second - first <= tolerance
            slopes.append((second - first, high - low))
        for (left, left_step), (right, right_step) in pairwise(slopes):
            shortfall = left * right_step - right * left_step
            assert shortfall <= 2 * tolerance * max(left_step, right_step), (slice_, seconds)


def test_no_calendar_arbitrage(desk):
    """At each strike / forward the total variance never falls with maturity."""
    grid = sorted({1, 60, 3600, *PILLARS, *(p + 1 for p in PILLARS), *(p * 3 // 2 for p in PILLARS), 5 * YEAR})
    for weights, _, forward, strike in surface_vectors(24, seed=4):
        slices = evm_slices(desk, [(weights, seconds) for seconds in grid])
        ivs = evm_ivs(desk, [(s, seconds, forward, strike) for s, seconds in zip(slices, grid, strict=True)])
        variances = [mpf(iv) ** 2 * seconds for iv, seconds in zip(ivs, grid, strict=True)]
        assert all(iv > 0 for iv in ivs)
        assert all(late >= early * (1 - TOLERANCE) for early, late in pairwise(variances))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(*INT32), min_size=BLOCK, max_size=BLOCK),
    st.integers(1, 5 * YEAR),
    st.integers(1, 2**128 - 1),
    st.floats(-14, 14),
)
def test_every_model_has_a_positive_vol_everywhere(weights, seconds, forward, log2_ratio):
    strike = min(max(1, int(forward * 2**log2_ratio)), 2**128 - 1, forward << 14)
    strike = max(strike, -(-forward >> 14))
    slice_ = surface.slice_at(weights, PILLARS, FRACTION_BITS, seconds)
    assert 0 < slice_.theta < 1 << 104
    assert abs(slice_.rho) < ONE
    assert 0 < slice_.eta * (ONE + abs(slice_.rho)) < 2 << 192
    iv = ssvi.implied_vol_at(*slice_, fixedpoint.ln_ratio(strike, forward), seconds)
    assert ONE >> 10 < iv < 1 << 116
