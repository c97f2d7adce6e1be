"""Black-76 against 50-digit arithmetic, and its inverses against itself."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fedvol.market.black76 import greeks, implied_forward, implied_vol, price

MONEYNESS = (-0.5, -0.1, -1e-3, 0.0, 1e-6, 1e-3, 0.1, 0.5, 1.5)
TOTAL_VOLS = (1e-3, 1e-2, 0.1, 0.5, 1.0, 3.0)


def exact(forward: float, strike: float, vol: float, years: float, is_call: bool) -> mp.mpf:
    with mp.workdps(50):
        f, k, total = mp.mpf(forward), mp.mpf(strike), mp.mpf(vol) * mp.sqrt(mp.mpf(years))
        d1 = mp.log(f / k) / total + total / 2
        d2 = d1 - total
        return f * mp.ncdf(d1) - k * mp.ncdf(d2) if is_call else k * mp.ncdf(-d2) - f * mp.ncdf(-d1)


@pytest.mark.parametrize("total", TOTAL_VOLS)
@pytest.mark.parametrize("k", MONEYNESS)
def test_price_of_the_out_of_the_money_side_keeps_its_digits(k: float, total: float) -> None:
    strike = 70_000.0 * np.exp(k)
    is_call = strike >= 70_000.0
    reference = exact(70_000.0, strike, total, 1.0, is_call)
    got = price(70_000.0, strike, total, 1.0, is_call)[0]
    if reference < mp.mpf("1e-290"):
        assert got < 1e-280
    else:
        assert abs((mp.mpf(float(got)) - reference) / reference) < 1e-11


@pytest.mark.parametrize("total", TOTAL_VOLS)
@pytest.mark.parametrize("k", MONEYNESS)
def test_implied_vol_inverts_exact_prices(k: float, total: float) -> None:
    strike = 70_000.0 * np.exp(k)
    is_call = strike >= 70_000.0
    reference = exact(70_000.0, strike, total, 1.0, is_call)
    if reference > mp.mpf("1e-290"):
        got = implied_vol(float(reference), 70_000.0, strike, 1.0, is_call)[0]
        assert got == pytest.approx(total, rel=1e-11)


@settings(max_examples=200, deadline=None)
@given(
    k=st.floats(-1.5, 1.5),
    vol=st.floats(0.05, 3.0),
    years=st.floats(1e-3, 2.0),
    is_call=st.booleans(),
)
@example(k=6.103515625e-05, vol=1 / 3, years=0.001, is_call=False)  # Newton does not stand still
def test_round_trip_on_both_sides_of_the_money(k: float, vol: float, years: float, is_call: bool) -> None:
    strike = 2_500.0 * np.exp(k)
    value = price(2_500.0, strike, vol, years, is_call)[0]
    time_value = value - max(2_500.0 - strike if is_call else strike - 2_500.0, 0.0)
    assume(time_value > 1e-6 * value)
    assume(time_value > 1e-290)  # below, float64 itself runs out of digits
    assert implied_vol(value, 2_500.0, strike, years, is_call)[0] == pytest.approx(vol, rel=1e-8)


@given(value=st.floats(), forward=st.floats(), strike=st.floats(), years=st.floats(), is_call=st.booleans())
def test_implied_vol_is_a_vol_or_nan_whatever_comes_in(value, forward, strike, years, is_call) -> None:
    got = implied_vol(value, forward, strike, years, is_call)[0]
    assert np.isnan(got) or (np.isfinite(got) and got > 0)


def test_no_vol_outside_the_bounds() -> None:
    values = np.array([30_000.0, 29_999.0, 70_000.0, 80_000.0, 0.0, -1.0, np.nan, np.inf])
    assert np.isnan(implied_vol(values, 70_000.0, 40_000.0, 0.5, True)).all()


def test_greeks_are_the_slopes_of_the_price() -> None:
    f, k, s, t = 70_000.0, np.array([50_000.0, 70_000.0, 95_000.0]), 0.6, 0.3
    for is_call in (True, False):
        got = greeks(f, k, s, t, is_call)
        h = 5.0
        up, mid, down = (price(x, k, s, t, is_call) for x in (f + h, f, f - h))
        assert got.delta == pytest.approx((up - down) / (2 * h), rel=1e-6)
        assert got.gamma == pytest.approx((up - 2 * mid + down) / h**2, rel=1e-4)
        slope = (price(f, k, s + 1e-5, t, is_call) - price(f, k, s - 1e-5, t, is_call)) / 2e-5
        assert got.vega == pytest.approx(slope, rel=1e-6)
        decay = (price(f, k, s, t - 1e-6, is_call) - price(f, k, s, t + 1e-6, is_call)) / 2e-6
        assert got.theta == pytest.approx(decay, rel=1e-4)


@settings(max_examples=200, deadline=None)
@given(
    k=st.floats(-0.4, 0.4),
    vol=st.floats(0.3, 1.5),
    years=st.floats(0.02, 1.0),
    basis=st.floats(-0.2, 0.2),
    is_call=st.booleans(),
    linear=st.booleans(),
)
def test_the_forward_is_recovered_from_price_and_vol(k, vol, years, basis, is_call, linear) -> None:
    forward, strike = 70_000.0, 70_000.0 * np.exp(k)
    value = price(forward, strike, vol, years, is_call) / (1.0 if linear else forward)
    assume(value[0] > 1e-4 * (forward if linear else 1.0))
    got = implied_forward(value, vol, strike, years, is_call, linear, forward * np.exp(basis))
    assert got[0] == pytest.approx(forward, rel=1e-7)


def test_no_forward_explains_a_price_out_of_reach() -> None:
    assert np.isnan(implied_forward(0.9, 0.5, 70_000.0, 0.1, True, False, 70_000.0))[0]
