"""No weights make arbitrage: the conditions exactly on the chart's integers, then prices and densities in 50 digits."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from tests.contracts.pricing_reference import Q96, normal_cdf
from tests.contracts.pricing_vectors import DAY, INT32, LONGEST, ONE, YEAR, tenors_at

from fedvol.protocol import mixture, ssvi, surface
from fedvol.protocol.surface import Pillar

#: What slices lose when they are rounded down to 96 binary places, and the same in Durrleman's function.
LAST_PLACES = 8 / Q96
ROUNDED = mpf("1e-12")
#: Of the forward: what the deviation's iteration leaves in a price.
LEFT_BY_ITERATION = mpf("1e-10")

FAR_AND_NEAR = [
    mpf(k) / 1000 for k in (-50_000, -9_700, -3_000, -1_000, -300, -30, -3, 0, 3, 30, 300, 1_000, 3_000, 9_700, 50_000)
]


class Market(NamedTuple):
    chart: list[list[Pillar]]
    tenors: list[int]


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Each weight is an edge of int32 or of what is held, any int32, or a usual one; tenors are listed or any."""
    pillars, bits = draw(st.integers(1, 16)), draw(st.integers(8, 28))
    hundredth = (1 << bits) / 100
    limits = [int(x * hundredth) + 1 for x in (2, 3, 198, 450)]
    weight = st.one_of(
        st.sampled_from([*INT32, 0, *(min(x, INT32[1]) for x in limits)]),
        st.integers(*INT32),
        st.integers(0, min(INT32[1], 5 << bits)),
        st.integers(0, min(INT32[1], 2 << bits)),
    )
    if draw(st.booleans()):
        tenors = tenors_at(draw(st.integers(0, 130 * YEAR)), pillars)
    else:
        some = st.one_of(st.integers(3600, LONGEST), st.integers(3600, 3700), st.just(LONGEST))
        tenors = sorted(draw(st.lists(some, min_size=pillars, max_size=pillars, unique=True)))
    count = surface.weights_of(pillars)
    weights = draw(st.lists(weight, min_size=count, max_size=count))
    return Market(surface.chart(weights, tenors, bits), tenors)


clocks = st.one_of(st.sampled_from([ONE // 4, ONE, 4 * ONE]), st.integers(ONE // 4, 4 * ONE))


def asked(market: Market, g: int, elapsed: int) -> list[tuple[int, int]]:
    """(tenor, moment) around pillars and between them, before, far beyond; none that has passed."""
    tenors = market.tenors
    some = {1, 60, tenors[0] // 2, tenors[-1] * 5 // 4, 2 * tenors[-1], *tenors[:3], *tenors[-2:]}
    some |= {tenor + step for tenor in tenors[:3] for step in (-1, 1)} | {(a + b) // 2 for a, b in pairwise(tenors)}
    return [(tenor, surface.moment_of(tenor, g)) for tenor in sorted(some) if elapsed < tenor < 1 << 28]


class Slice(NamedTuple):
    theta: mpf
    p: mpf
    c: mpf

    def variance(self, k: mpf) -> mpf:
        e = self.theta + (self.p - self.c) * k / 2
        return (e + mp.sqrt(e * e + self.p * self.c * k * k)) / 2

    def durrleman(self, k: mpf) -> mpf:
        """Of one sign with the density; from the closed derivatives of w."""
        (theta, p, c), tilt = self, (self.p - self.c) / 2
        e = theta + tilt * k
        root = mp.sqrt(e * e + p * c * k * k)
        d_root = (e * tilt + p * c * k) / root
        w, dw, ddw = (e + root) / 2, (tilt + d_root) / 2, (tilt * tilt + p * c - d_root * d_root) / root / 2
        return (1 - k * dw / (2 * w)) ** 2 - dw * dw / 4 * (1 / w + mpf(1) / 4) + ddw / 2


def slice_of(pillars: list[Pillar], tenors: list[int], moment: int, left: Fraction = Fraction(1)) -> Slice:
    at = surface.slice_at(pillars, tenors, moment)
    return Slice(*(mpf(x) / Q96 * left.numerator / left.denominator for x in at))


def call(k: mpf, s: mpf) -> mpf:
    """On a forward of one."""
    d1 = s / 2 - k / s
    return normal_cdf(d1) - mp.exp(k) * normal_cdf(d1 - s)


@settings(max_examples=300, deadline=None)
@given(markets())
def test_chart_meets_every_condition_exactly(market):
    for pillars in market.chart:
        for theta, p, c in pillars:
            assert 0 < theta < 1 << 40
            assert min(p, c) > 0
            assert max(p, c) < 4 << surface.SLOPE_BITS
            # p <= 2 √θ, from which max(p, c) (p + c) <= 8 θ.
            assert max(p, c) ** 2 <= 4 * theta << 2 * surface.SLOPE_BITS - surface.THETA_BITS
        for before, after in pairwise(pillars):
            assert before.theta <= after.theta
            for lane in (1, 2):
                assert before[lane] <= after[lane]
                assert after[lane] * before.theta <= before[lane] * after.theta


@settings(max_examples=60, deadline=None)
@given(markets(), clocks, st.integers(0, 7 * DAY))
def test_slices_never_cross_nor_have_a_negative_density(market, g, elapsed):
    for pillars in market.chart:
        before = dict.fromkeys(FAR_AND_NEAR, mpf(0))
        for tenor, moment in asked(market, g, elapsed):
            at = slice_of(pillars, market.tenors, moment, Fraction(tenor - elapsed, tenor))
            assert max(at.p, at.c) < 4
            assert max(at.p, at.c) ** 2 <= 4 * at.theta
            for k in FAR_AND_NEAR:
                w = at.variance(k)
                assert w > 0
                assert w >= before[k] - LAST_PLACES * (1 + abs(k)), (tenor, k)
                before[k] = w
                assert at.durrleman(k) >= -ROUNDED, (tenor, k)
            for step in range(-6, 7):
                assert at.durrleman(step * mp.sqrt(at.theta)) >= -ROUNDED, (tenor, step)


@settings(max_examples=200, deadline=None)
@given(clocks, st.lists(st.integers(1, 2 * LONGEST), min_size=2, max_size=8, unique=True))
def test_clock_never_stands_nor_turns_back(g, tenors):
    tenors = sorted({*tenors, *(tenor + 1 for tenor in tenors), *range(7 * DAY, 400 * DAY, 30 * DAY)})
    moments = [surface.moment_of(tenor, g) for tenor in tenors]
    for tenor, moment in zip(tenors, moments, strict=True):
        real = tenor * (surface.KAPPA * mpf(g) / ONE + tenor) / (surface.KAPPA + tenor)
        assert -mpf(surface.KAPPA + 1) / 2**32 <= mpf(moment) / 2**32 - real <= 0
    for (first, moment), (second, later) in pairwise(zip(tenors, moments, strict=True)):
        assert later - moment >= (second - first) << 29


def test_unmoved_clock_reads_a_tenor_where_it_is():
    assert [surface.moment_of(tenor, ONE) for tenor in (1, 3600, LONGEST)] == [1 << 32, 3600 << 32, LONGEST << 32]


def dense_and_sparse(width: float) -> list[mpf]:
    """Log strikes in multiples of the deviation, then out to 3."""
    steps = [
        -6,
        -4,
        -3,
        -2,
        -1.5,
        -1.2,
        -1,
        -0.7,
        -0.5,
        -0.3,
        -0.1,
        0,
        0.001,
        0.1,
        0.101,
        0.3,
        0.5,
        1,
        2,
        2.01,
        3,
        4,
        5.9,
        6.1,
    ]
    return sorted({*(mpf(min(max(x * width, -3), 3)) for x in steps), mpf(-3), mpf(3)})


@settings(max_examples=25, deadline=None)
@given(markets(), clocks, st.integers(0, 7 * DAY))
def test_mixture_prices_are_free_of_arbitrage(market, g, elapsed):
    """Exact prices of the two slices' mixture, and the prices of the deviation that integers find."""
    points = asked(market, g, elapsed)
    strikes = [mpf(x) for x in ("-3", "-0.5", "-0.01", "0", "0.02", "0.4", "3")]
    before = dict.fromkeys(strikes, (mpf(0), mpf(0)))
    for tenor, moment in points[:: max(1, len(points) // 6)]:
        left = Fraction(tenor - elapsed, tenor)
        slices = [slice_of(pillars, market.tenors, moment, left) for pillars in market.chart]
        integers = [surface.slice_at(pillars, market.tenors, moment) for pillars in market.chart]

        def prices(k, slices=slices, integers=integers, left=left):
            first, second = (call(k, mp.sqrt(at.variance(k))) for at in slices)
            log_strike = int(k * Q96)
            variances = [int(ssvi.total_variance(at, log_strike) * left) for at in integers]
            s = mixture.deviation(*variances, log_strike)
            assert s > 0
            return (3 * first + second) / 4, call(log_strike / Q96, s / Q96)

        for k in strikes:
            found = prices(k)
            for price, earlier, slack in zip(found, before[k], (mpf("1e-25"), LEFT_BY_ITERATION), strict=True):
                assert price >= earlier - slack, (tenor, k)
            before[k] = found
        grid = dense_and_sparse(float(mp.sqrt(max(at.theta for at in slices))))
        calls = [(mpf(0), (mpf(1), mpf(1))), *((mp.exp(k), prices(k)) for k in grid)]
        for which, slack in ((0, mpf("1e-25")), (1, LEFT_BY_ITERATION)):
            rows = [(strike, both[which]) for strike, both in calls]
            for (low, a), (high, b) in pairwise(rows):
                assert -(high - low) - slack <= b - a <= slack, (tenor, low, high)
            for (low, a), (middle, b), (high, c) in zip(rows, rows[1:], rows[2:], strict=False):
                chord = (a * (high - middle) + c * (middle - low)) / (high - low)
                assert b <= chord + slack, (tenor, low, middle, high)


@pytest.mark.parametrize("corner", ["theta", "c", "all"])
def test_variance_grows_along_each_corner_of_the_allowed_moves(corner):
    """What docs/protocol.md proves: θ alone, θ and c together, all three together."""
    for theta in (mpf("1e-8"), mpf("0.01"), mpf(20)):
        for p in (mpf("0.02"), mpf("1.98")):
            for c in (mpf("0.02"), mpf("1.98")):
                at = Slice(theta, min(p * mp.sqrt(theta), mpf("3.96")), min(c * mp.sqrt(theta), mpf("3.96")))
                up = 1 + mpf("1e-6")
                moved = {
                    "theta": at._replace(theta=theta * up),
                    "c": at._replace(theta=theta * up, c=at.c * up),
                    "all": Slice(*(x * up for x in at)),
                }[corner]
                for k in FAR_AND_NEAR:
                    assert moved.variance(k) >= at.variance(k)
