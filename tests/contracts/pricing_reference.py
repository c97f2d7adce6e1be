"""The pricing formulas in 50-digit reals, written from the papers: what the integers are held against.

Arguments are the integers that the contracts take (Q96, WAD, seconds), results are mpmath reals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mpmath import mp, mpf

mp.dps = 50
Q96 = mpf(2) ** 96
YEAR = 365 * 86400


class Prices(NamedTuple):
    """In units of `forward` (delta is a number)."""

    call: mpf
    put: mpf
    delta: mpf
    gamma: mpf
    vega: mpf
    theta: mpf


def normal_cdf(x: mpf) -> mpf:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def black76(forward: int, strike: int, sigma: mpf, seconds: int) -> Prices:
    years = mpf(seconds) / YEAR
    deviation = sigma * mp.sqrt(years)
    d1 = mp.log(mpf(forward) / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    density = mp.exp(-d1 * d1 / 2) / mp.sqrt(2 * mp.pi)
    return Prices(
        call=forward * normal_cdf(d1) - strike * normal_cdf(d2),
        put=strike * normal_cdf(-d2) - forward * normal_cdf(-d1),
        delta=normal_cdf(d1),
        gamma=density / (forward * deviation),
        vega=forward * density * mp.sqrt(years),
        theta=-forward * density * sigma / (2 * mp.sqrt(years)),
    )


def ssvi_iv(theta: mpf, rho: mpf, eta: mpf, k: mpf, seconds: int) -> mpf:
    phi = eta / mp.sqrt(theta * (1 + theta))
    variance = theta / 2 * (1 + rho * phi * k + mp.sqrt((phi * k + rho) ** 2 + 1 - rho**2))
    return mp.sqrt(variance / (mpf(seconds) / YEAR))


def surface_slice(
    weights: Sequence[int], pillars: Sequence[int], fraction_bits: int, seconds: int
) -> tuple[mpf, mpf, mpf]:
    """theta, rho, eta of one market's P + 2 weights at a maturity."""
    real = [mpf(weight) / 2**fraction_bits for weight in weights]
    years = [mpf(pillar) / YEAR for pillar in pillars]
    maturity = mpf(seconds) / YEAR
    thetas: list[mpf] = []
    for level, year in zip(real[:-2], years, strict=True):
        theta = mp.exp(mp.log(year) + 2 * min(max(level, mpf(-3)), mpf("1.5")))
        thetas.append(max(theta, thetas[-1]) if thetas else theta)
    if maturity <= years[0]:
        theta = thetas[0] * maturity / years[0]
    elif maturity >= years[-1]:
        theta = thetas[-1] * maturity / years[-1]
    else:
        after = next(i for i, year in enumerate(years) if year >= maturity)
        share = (maturity - years[after - 1]) / (years[after] - years[after - 1])
        theta = thetas[after - 1] + (thetas[after] - thetas[after - 1]) * share
    skew, wing = real[-2:]
    rho = mpf("0.999") * skew / mp.sqrt(1 + skew**2)
    eta = (1 + wing / mp.sqrt(1 + wing**2)) / (1 + abs(rho))
    return theta, rho, eta


def surface_iv(
    weights: Sequence[int], pillars: Sequence[int], fraction_bits: int, seconds: int, forward: int, strike: int
) -> mpf:
    theta, rho, eta = surface_slice(weights, pillars, fraction_bits, seconds)
    return ssvi_iv(theta, rho, eta, mp.log(mpf(strike) / forward), seconds)
