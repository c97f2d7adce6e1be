"""The surface: EVM equal to its Python twin, and near the documented formulas in 50 digits."""

from __future__ import annotations

import random
from itertools import product

from mpmath import mp, mpf
from tests.contracts import pricing_reference as reference
from tests.contracts.pricing_reference import Q96
from tests.contracts.pricing_vectors import (
    DAY,
    INT32,
    LONGEST,
    ONE,
    in_batches,
    models,
    packed_chart,
    packed_tenors,
    packed_weights,
    pure_gas,
)

from fedvol.protocol import black76, fixedpoint, mixture, ssvi, surface

pytest_plugins = ["tests.contracts.pricing_vectors"]

GAS = {"black76": 2_900, "expiries": 10_500, "carry": 42_000, "chart": 85_000, "slices": 2_500, "iv": 14_000}
QUARTER, FOUR = ONE // 4, 4 * ONE


def charts_of(libraries, made):
    rng = random.Random(0)
    shifts = [rng.randrange(9) for _ in made]
    rows = [
        (packed_weights([7] * shift + weights), shift, tenors, bits)
        for (weights, tenors, bits), shift in zip(made, shifts, strict=True)
    ]
    return in_batches(libraries.charts, rows, size=40)


def moments_around(rng: random.Random, tenors: list[int]) -> list[int]:
    """Pillars to the last bit, between, before and beyond; what tenors from a second to twice the last are read at."""
    asked = [1, 60, 3600, tenors[0], tenors[-1], 2 * tenors[-1], rng.randrange(1, 2 * tenors[-1])]
    some = [surface.moment_of(tenor, rng.choice([QUARTER, ONE, FOUR, rng.randrange(QUARTER, FOUR)])) for tenor in asked]
    pillar = rng.choice(tenors) << 32
    return [*some, pillar - 1, pillar, pillar + 1, 1 << 30]


def test_chart_is_the_twins(libraries):
    made = list(models(random.Random(1), 400))
    found = charts_of(libraries, made)
    for model, packed in zip(made, found, strict=True):
        assert bytes(packed) == packed_chart(surface.chart(*model)), model


def test_chart_is_the_formulas():
    """θ within 2^-33; p and c within what that, and a few units of theirs, are of the shortest pillar."""
    for weights, tenors, bits in models(random.Random(2), 120):
        weights = held_exactly(weights, bits)
        exact = reference.chart(weights, tenors, bits)
        for pillars, reals in zip(surface.chart(weights, tenors, bits), exact, strict=True):
            least = min(theta for theta, _, _ in reals), min(min(reals[0][1:]), 1)
            relative = mpf(2) ** -33 / least[0] + mpf(2) ** -23 / least[1]
            for pillar, (theta, p, c) in zip(pillars, reals, strict=True):
                assert abs(pillar.theta / mpf(2) ** 34 - theta) <= mpf(2) ** -33
                for got, real in ((pillar.p, p), (pillar.c, c)):
                    assert abs(got / mpf(2) ** 26 / real - 1) <= relative, (weights, tenors, bits)


def held_exactly(weights: list[int], bits: int) -> list[int]:
    """Off the limits by a few units: those are rounded down to the weights' own binary point."""
    one = 1 << bits
    limits = [*(3 * one // 100 + 1, 9 * one // 2 - 1), *(2 * one // 100 + 1, 198 * one // 100 - 1) * 2]
    lows, highs = (limits[0], limits[2], limits[4]), (limits[1], limits[3], limits[5])
    return [min(max(weight, lows[i % 3]), highs[i % 3]) for i, weight in enumerate(weights)]


def test_slices_are_the_twins(libraries):
    rng = random.Random(3)
    for weights, tenors, bits in models(rng, 90):
        chart = surface.chart(weights, tenors, bits)
        moments = moments_around(rng, tenors)
        found = libraries.slices(packed_chart(chart), packed_tenors(tenors), moments)
        expected = [surface.slice_at(pillars, tenors, moment) for moment in moments for pillars in chart]
        assert [ssvi.Slice(*row) for row in found] == expected, (weights, tenors, bits)


def test_slices_interpolate():
    rng = random.Random(4)
    for weights, tenors, bits in models(rng, 60):
        pillars = surface.chart(weights, tenors, bits)[1]
        reals = [(p.theta / mpf(2) ** 34, p.p / mpf(2) ** 26, p.c / mpf(2) ** 26) for p in pillars]
        for moment in moments_around(rng, tenors):
            for got, real in zip(
                surface.slice_at(pillars, tenors, moment), slice_of(reals, tenors, moment), strict=True
            ):
                assert 0 <= real - got / Q96 <= 1 / Q96


def slice_of(pillars, tenors, moment):
    at = mpf(moment) / 2**32
    if at <= tenors[0]:
        return [x * at / tenors[0] for x in pillars[0]]
    if at > tenors[-1]:
        return [pillars[-1][0] * at / tenors[-1], *pillars[-1][1:]]
    j = next(j for j, tenor in enumerate(tenors) if at <= tenor)
    share = (at - tenors[j - 1]) / (tenors[j] - tenors[j - 1])
    return [x + (y - x) * share for x, y in zip(pillars[j - 1], pillars[j], strict=True)]


def test_clock_is_the_twins_and_the_formula(libraries):
    rng = random.Random(5)
    for bits in (8, 20, 28):
        betas = [
            rng.choice([rng.randint(*INT32), INT32[0], INT32[1], 0, rng.randint(-8, 8) << bits]) for _ in range(120)
        ]
        thens = [rng.choice([0, 1, 15, 16, 10**13, 2**127 - 1, rng.randrange(1, 10**14)]) for _ in betas]
        nows = [
            rng.choice([0, 1, 2**127 - 1, then, int(then * rng.uniform(0.5, 1.5)), rng.getrandbits(60)])
            for then in thens
        ]
        powers = list(libraries.powers(betas, nows, thens, bits))
        sums = [a + b for a, b in zip(powers, powers[1:] + powers[:1], strict=True)]
        clocks = list(libraries.clocks(sums, bits))
        for i, g in enumerate(clocks):
            j = (i + 1) % len(betas)
            assert g == surface.shock((betas[i], betas[j]), bits, ((nows[i], thens[i]), (nows[j], thens[j])))
            power = sum(real_power(betas[x], nows[x], thens[x], bits) for x in (i, j))
            assert mp.almosteq(g / Q96, min(max(mp.exp(power), mpf(1) / 4), mpf(4)), rel_eps=mpf("1e-15"))
            assert QUARTER - 4 <= g <= FOUR + 4
        tenors = [rng.choice([1, 3600, 2 * LONGEST, rng.randrange(1, LONGEST)]) for _ in clocks]
        assert list(libraries.moments(tenors, clocks)) == [
            surface.moment_of(tenor, g) for tenor, g in zip(tenors, clocks, strict=True)
        ]


def real_power(beta, now, then, bits):
    ratio = mpf(max(min(now, then << 4), then >> 4, 1)) / then if then else mpf(1)
    return 2 * min(max(mpf(beta) / 2**bits, mpf(-8)), mpf(8)) * mp.log(ratio)


def test_whole_vol_is_the_twins(libraries):
    rng = random.Random(6)
    points, expected = [], []
    for weights, tenors, bits in models(rng, 150):
        chart = surface.chart(weights, tenors, bits)
        g = rng.choice([QUARTER, ONE, FOUR, rng.randrange(QUARTER, FOUR)])
        tenor = rng.choice([3601, rng.choice(tenors), 2 * tenors[-1], rng.randrange(3601, 2 * tenors[-1])])
        elapsed = rng.choice([0, tenor - 1, rng.randrange(min(tenor, 7 * DAY))])
        k = int(rng.choice([0, rng.uniform(-9.704, 9.704), rng.gauss(0, 0.3)]) * ONE)
        points.append((packed_chart(chart), packed_tenors(tenors), g, tenor, elapsed, k))
        expected.append(whole_vol(chart, tenors, g, tenor, elapsed, k))
    found = in_batches(libraries.ivs, points, size=30)
    assert found == expected
    assert all(ONE >> 10 < vol < ONE << 10 for vol in found)


def test_corners_stay_in_the_domain(libraries):
    """The least and the greatest of everything at once: nothing reverts, no variance leaves what Mixture takes."""
    points, expected = [], []
    shapes = ([3600], [LONGEST], [3600 + i for i in range(16)], [3600, LONGEST])
    lots = ([INT32[0]] * 3, [INT32[1]] * 3, [INT32[0], INT32[0], INT32[1]], [INT32[1], INT32[1], INT32[0]])
    for tenors, bits, first, second in product(shapes, (8, 28), lots, lots):
        chart = surface.chart((first + second) * len(tenors), tenors, bits)
        for g, tenor, k in product((QUARTER, FOUR), (1, 3600, 2 * tenors[-1]), (-97 * ONE // 10, 0, 97 * ONE // 10)):
            elapsed = random.Random(tenor).choice([0, tenor - 1])
            points.append((packed_chart(chart), packed_tenors(tenors), g, tenor, elapsed, k))
            expected.append(whole_vol(chart, tenors, g, tenor, elapsed, k))
            moment = surface.moment_of(tenor, g)
            for pillars in chart:
                w = ssvi.total_variance(surface.slice_at(pillars, tenors, moment), k) // tenor
                assert w >= ONE >> 44
                assert w * tenor <= ONE << 8
    assert in_batches(libraries.ivs, points, size=100) == expected
    assert all(ONE >> 10 < vol < ONE << 10 for vol in expected)


def whole_vol(chart, tenors, g, tenor, elapsed, k):
    moment, left = surface.moment_of(tenor, g), tenor - elapsed
    variances = [ssvi.total_variance(surface.slice_at(pillars, tenors, moment), k) * left // tenor for pillars in chart]
    s = mixture.deviation(*variances, k)
    return fixedpoint.sqrt(s * s * black76.YEAR // left)


def test_gas(libraries):
    figures = pure_gas(libraries)
    print(figures)
    assert all(figures[name] <= limit for name, limit in GAS.items()), figures
