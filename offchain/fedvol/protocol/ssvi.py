"""One SSVI slice in integers. Twin of `contracts/libraries/Ssvi.sol`.

Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces":
w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)) with phi = eta / sqrt(theta (1 + theta)), free of
butterfly arbitrage where eta (1 + |rho|) <= 2.
"""

from __future__ import annotations

from fedvol.protocol.black76 import YEAR
from fedvol.protocol.fixedpoint import ONE, SCALE, sqrt


def total_variance(theta: int, rho: int, eta: int, log_strike: int) -> int:
    """w(k) in Q96, rounded down, from Q96 numbers.

    Domain: 2^-34 <= theta < 2^8, |rho| <= 0.999, 0 < eta <= 2, |log_strike| <= 10.
    """
    phi = (eta << SCALE) // sqrt(theta * (ONE + theta))
    moneyness = phi * log_strike >> SCALE
    tilted = moneyness + rho
    root = sqrt(tilted * tilted + (ONE * ONE - rho * rho))
    return theta * (ONE + (rho * moneyness >> SCALE) + root) >> 97


def implied_vol(variance: int, seconds: int) -> int:
    """sqrt(w / T) in Q96 for a total variance in Q96 below 2^16 and T = seconds / 365 days."""
    return sqrt((variance * YEAR << SCALE) // seconds)


def implied_vol_at(theta: int, rho: int, eta: int, log_strike: int, seconds: int) -> int:
    """The volatility of the slice at ln(strike / forward), Q96."""
    return implied_vol(total_variance(theta, rho, eta, log_strike), seconds)
