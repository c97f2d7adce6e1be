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


def total_variance(theta: mpf, p: mpf, c: mpf, k: mpf) -> mpf:
    """SSVI as the paper writes it, φ and ρ out of p = θφ(1 + ρ) and c = θφ(1 - ρ)."""
    phi, rho = (p + c) / 2 / theta, (p - c) / (p + c)
    return theta / 2 * (1 + rho * phi * k + mp.sqrt((phi * k + rho) ** 2 + 1 - rho**2))


def unit_put(k: mpf, s: mpf) -> mpf:
    """A put of strike exp(-|k|) on a forward of one, total deviation s."""
    d1 = abs(k) / s + s / 2
    return mp.exp(-abs(k)) * normal_cdf(s - d1) - normal_cdf(-d1)


def mixture_error(variance1: int, variance2: int, log_strike: int, s: int) -> mpf:
    """How far s is, relative, from the deviation of three parts of one and one of the other: a step of Newton's."""
    k, dev = mpf(log_strike) / Q96, mpf(s) / Q96
    roots = [mp.sqrt(variance / Q96) for variance in (variance1, variance2)]
    cancelled = int(k**2 / max(roots) ** 2 / 4)
    with mp.workdps(50 + cancelled):
        target = (3 * unit_put(k, roots[0]) + unit_put(k, roots[1])) / 4
        put = unit_put(k, dev)
        vega = mp.npdf(abs(k) / dev + dev / 2)
        return abs(mp.log(put / target) * put / vega / dev)


def chart(weights: Sequence[int], tenors: Sequence[int], fraction_bits: int) -> list[list[tuple[mpf, mpf, mpf]]]:
    """[slice][pillar] of (θ, p, c): the formulas of docs/protocol.md in reals, by the definition of each envelope."""
    real = [mpf(weight) / 2**fraction_bits for weight in weights]
    years = [mpf(tenor) / YEAR for tenor in tenors]
    slices = []
    for which in range(2):
        v, a, b = ([real[6 * j + 3 * which + lane] for j in range(len(tenors))] for lane in range(3))
        raw = [_held(x, "0.03", "4.5") ** 2 * year for x, year in zip(v, years, strict=True)]
        thetas = [(max(raw[: j + 1]) + min(raw[j:])) / 2 for j in range(len(raw))]
        slopes = []
        for wing in (a, b):
            wanted = [
                min(_held(x, "0.02", "1.98") * mp.sqrt(theta), mpf("3.96"))
                for x, theta in zip(wing, thetas, strict=True)
            ]
            slopes.append([_middle(wanted, thetas, j) for j in range(len(wanted))])
        slices.append(list(zip(thetas, *slopes, strict=True)))
    return slices


def _middle(wanted: Sequence[mpf], thetas: Sequence[mpf], j: int) -> mpf:
    """At j, the mean of the greatest curve below `wanted` and the least above that never fall nor outpace θ."""
    below = min(x if i >= j else x * thetas[j] / thetas[i] for i, x in enumerate(wanted))
    above = max(x if i <= j else x * thetas[j] / thetas[i] for i, x in enumerate(wanted))
    return (below + above) / 2


def _held(x: mpf, low: str, high: str) -> mpf:
    return min(max(x, mpf(low)), mpf(high))
