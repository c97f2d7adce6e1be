"""Three parts of one SSVI slice and one of another, in prices: the volatility that prices the mixture. Twin of
`contracts/libraries/Mixture.sol`.

A convex combination of call prices that are free of static arbitrage is free of it. What is stated is its Black-76
volatility, found by Householder's method of third order from the vega-weighted mean of the slices' own.
"""

from __future__ import annotations

from fedvol.protocol.black76 import terms
from fedvol.protocol.fixedpoint import ONE, SCALE, exp, ln_ratio, sqrt, truncated_div

FAR = 6
"""Standard deviations of the wider slice beyond which 96 bits hold too little of a price."""

WIDE = 2 * ONE
STEPS = 5
SMALL = 10
"""A step below 2^-10 of the deviation is the last: the next would be about its fourth power."""


def deviation(variance1: int, variance2: int, log_strike: int) -> int:
    """Total deviation s in Q96 with Black(s) = (3 Black(sqrt variance1) + Black(sqrt variance2)) / 4, between the two.

    Relative error below 1e-9 within 6 standard deviations of the wider slice, 2e-3 beyond, where the option is worth
    less than 3e-8 of the lesser of forward and strike and the tails' asymptotics answer.

    Args:
        variance1, variance2: total variances of the slices at this strike, Q96, 2^-44 to 2^8 as real numbers.
        log_strike: ln(strike / forward), Q96, at most 10 in size.
    """
    s1, s2 = sqrt(variance1 << SCALE), sqrt(variance2 << SCALE)
    low, high = min(s1, s2), max(s1, s2)
    # Black(k) of a call is Black(-k) of a put in units of the strike: every option is an out-of-the-money put.
    k = abs(log_strike)
    if k > FAR * high:
        return _tail(low, high, 1 if s1 < s2 else 3, k)
    strike = exp(-k)
    first, second = terms(ONE, strike, -k, s1), terms(ONE, strike, -k, s2)
    target = 3 * first.put + second.put
    weight = 3 * first.density + second.density
    s = (3 * first.density * s1 + second.density * s2) // weight
    if high > WIDE + (k >> 1):
        # The wider price saturates and its vega says nothing; 1 + k / 2 >= sqrt(2 k) is near where vega is greatest.
        s = min(max(ONE + (k >> 1), low), high)
    for _ in range(STEPS):
        here = terms(ONE, strike, -k, s)
        if not here.density:
            break
        step = truncated_div((target - 4 * here.put) << SCALE, 4 * here.density)
        # Of f(s) = Black(s) - target, in units of s: f'' / f' = m, f''' / f' = m^2 - 3 x^2 - s^2 / 4, x = k / s.
        x2, q = (k << SCALE) // s, s * s >> SCALE + 2
        x2 = x2 * x2 >> SCALE
        m, u = x2 - q, truncated_div(step << SCALE, s)
        a = m * u >> SCALE
        b = truncated_div(((m * m >> SCALE) - 3 * x2 - q) * (u * u >> SCALE), 6) >> SCALE
        step = truncated_div(step * (ONE + (a >> 1)), max(ONE + a + b, ONE >> 3))
        s = min(max(s + step, low), high)
        if abs(step) < s >> SMALL:
            break
    return s


def _tail(low: int, high: int, share: int, k: int) -> int:
    """Far out the wider slice alone is left, with the quarters of the mixture that it is."""
    d = (k << SCALE) // high
    square = d * d >> SCALE
    other = (k << SCALE) // low
    excess = min((other * other >> SCALE) - square >> 1, 64 << SCALE)
    quarters = share * ONE + (4 - share) * exp(-excess)
    lost = 2 * ln_ratio(4 * ONE, quarters)
    square += lost * square // (square + 3 * ONE)
    return (k << SCALE) // sqrt(square << SCALE)
