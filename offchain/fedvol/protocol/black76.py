"""Black (1976) on a forward, undiscounted, in integers. Twin of `contracts/libraries/Black76.sol`.

With K phi(d2) = F phi(d1), where phi is the normal density, both tails hang on one exponential:
1 - Phi(x) = phi(x) R(x) and K (1 - Phi(d2)) = F phi(d1) R(d2), R the Mills ratio. So a strike 10,000 times
the forward costs no precision, and an error in ln(K/F) is not divided by the deviation before it reaches the
price.
"""

from __future__ import annotations

from typing import NamedTuple

from fedvol.protocol.fixedpoint import INV_SQRT_2PI, ONE, SCALE, exp, ln_ratio, mills, sqrt, truncated_div

YEAR = 365 * 86400
WAD = 10**18
#: |d| above this prices as if it were this: phi(16) = 1e-56.
MAX_D = 16 << SCALE


class Terms(NamedTuple):
    """Call and put in the unit of the forward; call delta and phi(d1) in Q96."""

    call: int
    put: int
    delta: int
    density: int


class Greeks(NamedTuple):
    """For 1e18 units a dollar: gamma and vega 1e18 times the real value, theta likewise, all rounded toward zero."""

    gamma: int
    vega: int
    theta: int


def deviation(sigma: int, seconds: int) -> int:
    """sigma * sqrt(T) in Q96, for sigma in Q96 (0 < sigma < 2^10) and T = seconds / 365 days (seconds < 2^28)."""
    return sqrt(sigma * sigma * seconds // YEAR)


def terms(forward: int, strike: int, log_strike: int, dev: int) -> Terms:
    """Call, put, delta and density.

    The call is rounded down and never below its intrinsic value; the put is call - forward + strike exactly, so
    never below its own. Absolute error below 2e-17 of the forward and 2 units.

    Args:
        forward: in [1, 2^128), any unit.
        strike: in [1, 2^128), same unit; strike / forward in [2^-14, 2^14].
        log_strike: ln(strike / forward), Q96.
        dev: total deviation sigma * sqrt(T) > 0, Q96.
    """
    d1 = truncated_div(-log_strike << SCALE, dev) + (dev >> 1)
    d2 = d1 - dev
    size1, size2 = min(abs(d1), MAX_D), min(abs(d2), MAX_D)
    density = exp(-(size1 * size1 >> 97)) * INV_SQRT_2PI >> SCALE
    tail1 = density * mills(size1) >> SCALE
    tail2 = density * mills(size2) >> SCALE
    delta = tail1 if d1 < 0 else ONE - tail1
    if d2 < 0:
        call = forward * (delta - tail2) >> SCALE
    else:
        call = (forward * (delta + tail2) >> SCALE) - strike
    call = max(call, forward - strike, 0)
    return Terms(call, call + strike - forward, delta, density)


def price(forward: int, strike: int, sigma: int, seconds: int) -> Terms:
    """`terms` from a volatility in Q96 and a time to expiry in seconds."""
    return terms(forward, strike, ln_ratio(strike, forward), deviation(sigma, seconds))


def greeks(forward: int, density: int, dev: int, sigma: int, seconds: int) -> Greeks:
    """Gamma per dollar, vega per 1.00 of volatility, theta per year of 365 days (not positive)."""
    weighted = forward * density >> SCALE
    gamma = ((density << SCALE) // dev) * WAD * WAD // forward >> SCALE
    vega = weighted * ((dev << SCALE) // sigma) >> SCALE
    theta = -((weighted * dev * YEAR >> 97) // seconds)
    return Greeks(gamma, vega, theta)
