"""One SSVI slice in integers. Twin of `contracts/libraries/Ssvi.sol`.

Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014), in the numbers that
make its conditions simple: theta, total variance at the money; p = theta phi (1 + rho) and c = theta phi (1 - rho),
twice the slopes of total variance far to the right and to the left:

    w(k) = (e + sqrt(e^2 + p c k^2)) / 2,  e = theta + (p - c) k / 2

Homogeneous of degree one in (theta, p, c). Free of butterfly arbitrage where max(p, c) < 4 and
max(p, c) (p + c) <= 8 theta (their theorem 4.2).
"""

from __future__ import annotations

from typing import NamedTuple

from fedvol.protocol.fixedpoint import SCALE, sqrt


class Slice(NamedTuple):
    """Q96."""

    theta: int
    p: int
    c: int


def total_variance(at: Slice, log_strike: int) -> int:
    """w(k) in Q96, rounded down.

    Domain: 0 < theta < 2^8, 0 < p, c < 4, |log_strike| <= 10.
    """
    e = at.theta + ((at.p - at.c) * log_strike >> SCALE + 1)
    root = sqrt(e * e + (at.p * at.c >> SCALE) * (log_strike * log_strike >> SCALE))
    return e + root >> 1
