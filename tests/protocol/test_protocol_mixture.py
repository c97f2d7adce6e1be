"""The deviation of a mixture for any pair of variances that a chart can give, and beyond."""

from __future__ import annotations

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mpf
from tests.contracts.pricing_reference import Q96, mixture_error
from tests.contracts.pricing_vectors import ONE

from fedvol.protocol.fixedpoint import sqrt
from fedvol.protocol.mixture import FAR, deviation

variances = st.floats(-44, 8).map(lambda power: int(2**power * ONE))
"""As likely a minute of a calm market as years of a wild one."""


def log_strike(away: float, variance: int) -> int:
    """So many deviations of the wider slice from the forward, within the domain."""
    return max(-97 * ONE // 10, min(97 * ONE // 10, int(away * math.sqrt(variance / ONE) * ONE)))


@settings(max_examples=200, deadline=None)
@example(117 * ONE, ONE >> 18, 0.001)  # the wider price is all but the forward: its vega says nothing
@example(ONE >> 44, ONE << 8, 0.6)
@given(variances, variances, st.one_of(st.floats(-7, 7), st.floats(-20, 20)))
def test_deviation_is_near_the_root_and_between_the_slices(variance1, variance2, away):
    k = log_strike(away, max(variance1, variance2))
    s = deviation(variance1, variance2, k)
    low, high = sorted(map(math.sqrt, (variance1 / ONE, variance2 / ONE)))
    assert low * (1 - 1e-12) <= s / ONE <= high * (1 + 1e-12)
    assert s == deviation(variance1, variance2, -k)
    away = abs(k) / ONE / high
    assert mixture_error(variance1, variance2, k, s) <= mpf("1e-9" if away < FAR - 1e-9 else "2e-3")


@settings(max_examples=200, deadline=None)
@given(variances, st.floats(-60, 60))
def test_mixture_of_one_slice_is_that_slice(variance, away):
    s, own = deviation(variance, variance, log_strike(away, variance)), sqrt(variance << 96)
    assert abs(s - own) / Q96 <= own / Q96 * mpf("1e-15")


@settings(max_examples=200, deadline=None)
@given(st.floats(-16, -2), st.floats(0, 1), st.floats(-3, 3))
def test_deviation_is_better_on_ordinary_pairs(power, ratio, away):
    variance = int(2**power * ONE)
    wider = int(variance * 2**ratio)
    k = log_strike(away, wider)
    assert mixture_error(variance, wider, k, deviation(variance, wider, k)) <= mpf("1e-10")


@settings(max_examples=100, deadline=None)
@given(variances, variances)
def test_asymptotics_take_over_where_the_iteration_ends(variance1, variance2):
    edge = FAR * max(sqrt(variance1 << 96), sqrt(variance2 << 96))
    if edge < 9 * ONE:
        inside, outside = (deviation(variance1, variance2, edge + step) for step in (0, 1))
        assert abs(outside / inside - 1) < 2e-3
