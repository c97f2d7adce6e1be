"""Fixed-point functions and Black-76: the EVM against its Python twin (equal) and against 50 digits (bounded)."""

from __future__ import annotations

import random

import pytest
from mpmath import mp, mpf
from tests.contracts.pricing_reference import Q96
from tests.contracts.pricing_reference import black76 as real_black76
from tests.contracts.pricing_vectors import ONE, option_vectors

from fedvol.protocol import black76, fixedpoint

pytest_plugins = ["tests.contracts.pricing_vectors"]

TINY = mpf(2) ** -94


def test_sqrt(libraries):
    rng = random.Random(1)
    values = [0, 1, 2, 3, 4, 15, 16, 17, 2**255, 2**256 - 1, *(4**i for i in range(1, 128, 9))]
    values += [rng.getrandbits(rng.randint(1, 256)) for _ in range(300)]
    results = list(libraries.sqrt(values))
    assert results == [fixedpoint.sqrt(value) for value in values]
    for value, result in zip(values, results, strict=True):
        exact = mp.sqrt(value)
        assert abs(result - exact) <= 1 + exact * TINY


def test_ln_ratio(libraries):
    rng = random.Random(2)
    pairs = [(1, 1), (2**128 - 1, 2**128 - 1), (2**128 - 1, 2**96), (2**96, 2**128 - 1), (1, 2**32), (2**32, 1)]
    for _ in range(300):
        numerator = rng.randrange(2**34, 2**127)
        pairs.append((numerator, min(2**128 - 1, max(1, int(numerator * 2 ** rng.uniform(-31.9, 31.9))))))
        pairs.append((numerator, numerator + int(numerator * 10 ** rng.uniform(-25, -1))))
    results = list(libraries.lnRatio(*map(list, zip(*pairs, strict=True))))
    assert results == [fixedpoint.ln_ratio(*pair) for pair in pairs]
    for (numerator, denominator), result in zip(pairs, results, strict=True):
        exact = mp.log(mpf(numerator) / denominator)
        near = abs(exact) < mpf("0.3")
        bound = abs(exact) * mpf("5e-19") + 4 / Q96 if near else mpf("1e-19")
        assert abs(result / Q96 - exact) <= bound, (numerator, denominator)


def test_exp(libraries):
    rng = random.Random(3)
    values = [0, 1, -1, 22 * ONE, -200 * ONE, -(2**103)]
    values += [int(rng.uniform(-160, 22) * ONE) for _ in range(300)]
    values += [round(n * mp.log(2) / 2 * Q96) + s for n in range(-60, 60, 7) for s in (-1, 0, 1)]
    results = list(libraries.exp(values))
    assert results == [fixedpoint.exp(value) for value in values]
    for value, result in zip(values, results, strict=True):
        exact = mp.exp(value / Q96)
        assert abs(result / Q96 - exact) <= exact * mpf("1e-17") + 1 / Q96


def test_mills(libraries):
    rng = random.Random(4)
    values = [0, 1, 10 * ONE, 16 * ONE, *(int(rng.uniform(0, 16) * ONE) for _ in range(300))]
    results = list(libraries.mills(values))
    assert results == [fixedpoint.mills(value) for value in values]
    for value, result in zip(values, results, strict=True):
        x = value / Q96
        density = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        exact = mp.erfc(x / mp.sqrt(2)) / 2 / density
        weight = min(1 / mp.sqrt(2 * mp.pi), 2**14 * density)
        assert abs(result / Q96 - exact) <= (mpf("5e-18") / weight if x <= 10 else 1)


@pytest.mark.parametrize(("kind", "count"), [(0, 250), (1, 400)], ids=["usual", "extreme"])
def test_prices_are_within_2e_17_of_the_forward(libraries, kind, count):
    vectors = option_vectors()[kind]
    assert len(vectors) == count
    for start in range(0, count, 100):
        batch = vectors[start : start + 100]
        for vector, result in zip(batch, libraries.price(batch), strict=True):
            got = black76.Terms(*result)
            assert got == black76.price(*vector)
            forward, strike, sigma, seconds = vector
            exact = real_black76(forward, strike, sigma / Q96, seconds)
            bound = mpf("2e-17") * forward + 2
            assert abs(got.call - exact.call) <= bound, vector
            assert abs(got.put - exact.put) <= bound, vector
            assert abs(got.delta / Q96 - exact.delta) <= mpf("2e-17"), vector
            assert got.call - got.put == forward - strike
            assert min(got.call, got.put) >= 0
            assert got.call <= forward
            assert got.put <= strike


def test_greeks_match_the_formulas(libraries):
    vectors = option_vectors()[0][:100]
    for (forward, strike, sigma, seconds), (gamma, vega, theta) in zip(vectors, libraries.greeks(vectors), strict=True):
        terms, dev = black76.price(forward, strike, sigma, seconds), black76.deviation(sigma, seconds)
        assert (gamma, vega, theta) == black76.greeks(forward, terms.density, dev, sigma, seconds)
        exact = real_black76(forward, strike, sigma / Q96, seconds)
        wad = mpf(10) ** 18
        assert abs(gamma - exact.gamma * wad * wad) <= 1 + wad * wad / forward * mpf("1e-16")
        assert abs(vega - exact.vega) <= 2 + forward * mpf("1e-16")
        assert abs(theta - exact.theta) <= 2 + abs(exact.theta) * mpf("1e-16") + black76.YEAR / mpf(seconds)
