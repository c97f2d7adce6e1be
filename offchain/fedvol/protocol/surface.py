"""The "ssvi-pillars" surface in integers: weights to one SSVI slice. Twin of `contracts/libraries/Surface.sol`.

A market owns P + 2 int32 weights (x = weight / 2^fraction_bits): P levels u = ln(at-the-money vol) at fixed
maturities, one skew s, one wing c. Levels are held in [-3, 1.5]; ln(theta) at pillar i is the running maximum of
ln(T_i) + 2 u_i; between pillars theta is linear in T, outside them proportional to T; rho = 0.999 s / sqrt(1 + s^2),
eta = (1 + c / sqrt(1 + c^2)) / (1 + |rho|). So for any weights theta never falls with maturity (no calendar
arbitrage), eta (1 + |rho|) < 2 (no butterfly arbitrage) and every volatility is finite and positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedvol.protocol.black76 import YEAR
from fedvol.protocol.fixedpoint import ONE, SCALE, exp, ln_ratio, sqrt, truncated_div

#: 0.999 in Q96.
MAX_RHO = 79148934351750073255950406386
#: Log maturities are kept with 88 fraction bits, so that one and its maturity in seconds fill half a word.
LOG_SCALE = 88


class Slice(NamedTuple):
    """SSVI parameters at one maturity, Q96."""

    theta: int
    rho: int
    eta: int


def log_maturity(seconds: int) -> int:
    """ln(seconds / 365 days) with 88 fraction bits, rounded down."""
    return ln_ratio(seconds, YEAR) >> (SCALE - LOG_SCALE)


def squash(weight: int, one: int) -> int:
    """x / sqrt(1 + x^2) in Q96 for x = weight / one, rounded toward zero; one <= 2^30."""
    return truncated_div(weight << 2 * SCALE, sqrt(weight * weight + one * one << 2 * SCALE))


def theta_at(levels: Sequence[int], pillars: Sequence[int], fraction_bits: int, seconds: int) -> int:
    """At-the-money total variance at a maturity, Q96, rounded down.

    Args:
        levels: P int32 weights.
        pillars: P maturities in seconds, strictly increasing.
        fraction_bits: binary point of the weights, 8 to 28.
        seconds: maturity, 1 to 5 years.
    """
    low, high = -(3 << fraction_bits), 3 << (fraction_bits - 1)
    before = best = None
    for level, pillar in zip(levels, pillars, strict=True):
        log_theta = log_maturity(pillar) + (min(max(level, low), high) << (LOG_SCALE + 1 - fraction_bits))
        before, best = best, log_theta if best is None else max(best, log_theta)
        if pillar >= seconds:
            break
    index = pillars.index(pillar)
    theta = exp(best << (SCALE - LOG_SCALE))
    if index == 0 or pillar < seconds:
        return theta * seconds // pillar
    start = pillars[index - 1]
    lower = exp(before << (SCALE - LOG_SCALE))
    return (lower * (pillar - seconds) + theta * (seconds - start)) // (pillar - start)


def slice_at(weights: Sequence[int], pillars: Sequence[int], fraction_bits: int, seconds: int) -> Slice:
    """The slice of one market's P + 2 weights at a maturity in seconds."""
    one = 1 << fraction_bits
    rho = truncated_div(squash(weights[-2], one) * MAX_RHO, ONE)
    eta = ((ONE + squash(weights[-1], one)) << SCALE) // (ONE + abs(rho))
    return Slice(theta_at(weights[:-2], pillars, fraction_bits, seconds), rho, eta)
