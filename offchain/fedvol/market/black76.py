"""Black's 1976 formula in float64: price, greeks, implied vol, implied forward. Undiscounted, vectorised.

Prices are in the quote currency (USD) per unit of base. Inverse venues quote `price(...) / forward`.
All arguments broadcast; time is in years of 365 days; vols are fractions (0.45 = 45%).

Sources: Black (1976), "The pricing of commodity contracts"; the scaled-erfc form of the normalised
out-of-the-money price is that of Jäckel (2015), "Let's be rational"; the solver here is plain safeguarded
Newton on its logarithm, started from a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfcx, ndtr

Floats = NDArray[np.float64]

_SQRT2 = np.sqrt(2.0)
_SQRT_2PI = np.sqrt(2.0 * np.pi)
_MAX_TOTAL_VOL = 40.0
_EPS = np.finfo(np.float64).eps
_MAX_STEPS = 100


class Greeks(NamedTuple):
    """Sensitivities of the undiscounted price, each with the shape of the broadcast inputs.

    delta per USD of forward; gamma per USD squared; vega per 1.0 of vol (not per point); theta per year
    (negative).
    """

    delta: Floats
    gamma: Floats
    vega: Floats
    theta: Floats


def price(forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, is_call: ArrayLike) -> Floats:
    """Undiscounted price in USD. Relative error of the time value below 1e-11 for total vol >= 1e-3.

    The out-of-the-money side is computed without cancellation and the intrinsic value is added, so that far
    wings keep their relative precision.
    """
    f, k, s, t, call = _arrays(forward, strike, vol, years, is_call)
    total = s * np.sqrt(t)
    with np.errstate(all="ignore"):
        log_value, _ = _log_otm(-np.abs(np.log(f / k)), total)
        time_value = np.where(total > 0, np.sqrt(f * k) * np.exp(log_value), 0.0)
    return np.maximum(np.where(call, f - k, k - f), 0.0) + time_value


def greeks(forward: ArrayLike, strike: ArrayLike, vol: ArrayLike, years: ArrayLike, is_call: ArrayLike) -> Greeks:
    """Greeks by the closed forms; needs vol > 0 and years > 0."""
    f, k, s, t, call = _arrays(forward, strike, vol, years, is_call)
    root = np.sqrt(t)
    d1 = np.log(f / k) / (s * root) + 0.5 * s * root
    density = np.exp(-0.5 * d1 * d1) / _SQRT_2PI
    return Greeks(
        delta=np.where(call, ndtr(d1), -ndtr(-d1)),
        gamma=density / (f * s * root),
        vega=f * density * root,
        theta=-0.5 * f * density * s / root,
    )


def implied_vol(
    value: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, is_call: ArrayLike
) -> Floats:
    """The vol at which `price` gives `value` (USD); NaN where none does.

    None does at or below intrinsic value, at or above the no-arbitrage bound (the forward for a call, the
    strike for a put), or for inputs that are not finite and positive. Relative error of the vol: below 1e-11
    for out-of-the-money options of total vol 1e-3 to 8 whose time value keeps its digits; an in-the-money
    value has lost the digits that its intrinsic value took.
    """
    v, f, k, t, call = _arrays(value, forward, strike, years, is_call)
    with np.errstate(all="ignore"):
        x = -np.abs(np.log(f / k))
        time_value = v - np.maximum(np.where(call, f - k, k - f), 0.0)
        beta = time_value / np.sqrt(f * k)
        good = np.isfinite(beta) & np.isfinite(x) & (t > 0) & np.isfinite(t)
        good &= (time_value > 8 * _EPS * v) & (beta > 0) & (beta < np.exp(0.5 * x))
    out = np.full(v.shape, np.nan)
    x, beta, t = x[good], beta[good], t[good]
    if beta.size:
        with np.errstate(all="ignore"):
            tail = np.where(beta < 0.25, -x / np.sqrt(-2.0 * np.log(2.0 * beta)), 0.0)
        start = np.clip(np.maximum(_SQRT_2PI * beta, tail), 1e-9, 0.5 * _MAX_TOTAL_VOL)
        target = np.log(beta)

        def residual(total: Floats, rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
            log_value, slope = _log_otm(x[rows], total)
            return log_value - target[rows], slope

        out[good] = _increasing_root(residual, start, np.zeros_like(x), np.full_like(x, _MAX_TOTAL_VOL), 1e-16)
        out[good] /= np.sqrt(t)
    return out


def implied_forward(
    value: ArrayLike,
    vol: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
    linear: ArrayLike,
    near: ArrayLike,
) -> Floats:
    """The forward that a venue used, recovered from a trade's price *and* the vol it printed for that price.

    Args:
        value: the price as quoted: in coin, or in USDC where `linear`.
        near: a level to search around (the index); the answer lies within a factor of two of it.

    Returns:
        Forwards in USD; NaN where no forward within that range explains price and vol together.
    """
    v, s, k, t, call, inverse, at = _arrays(value, vol, strike, years, is_call, ~np.asarray(linear, bool), near)
    good = np.isfinite(v) & (v > 0) & np.isfinite(s) & (s > 0) & (t > 0) & (at > 0) & np.isfinite(at) & (k > 0)
    out = np.full(v.shape, np.nan)
    v, total, k, call, inverse, at = (
        v[good],
        (s * np.sqrt(t))[good],
        k[good],
        call[good],
        inverse[good],
        at[good],
    )

    def residual(shift: Floats, rows: NDArray[np.intp]) -> tuple[Floats, Floats]:
        f = at[rows] * np.exp(shift)
        ratio = k[rows] / f
        d1 = -np.log(ratio) / total[rows] + 0.5 * total[rows]
        d2 = d1 - total[rows]
        sign = np.where(call[rows], 1.0, -1.0)
        base, cash = ndtr(sign * d1), ratio * ndtr(sign * d2)
        coin = sign * (base - cash)
        gap = np.where(inverse[rows], coin, coin * f) - v[rows]
        slope = np.where(inverse[rows], cash, base * f)
        return sign * gap, slope

    edge = np.full(v.shape, np.log(2.0))
    out[good] = at * np.exp(_increasing_root(residual, np.zeros_like(v), -edge, edge, 1e-11))
    return out


def _arrays(*values: ArrayLike) -> list[NDArray]:
    """Broadcast copies, floats as float64, flags as they are, never 0-d so that they can be masked."""
    kept = [np.asarray(v) for v in values]
    return [
        np.atleast_1d(v) if v.dtype == bool else np.atleast_1d(v).astype(np.float64) for v in np.broadcast_arrays(*kept)
    ]


def _log_otm(x: Floats, total: Floats) -> tuple[Floats, Floats]:
    """ln of the normalised out-of-the-money price b(x, s) and its slope in s, for x = -|ln(F/K)| and s =
    vol*sqrt(T).

    b = exp(-(x^2/s^2 + s^2/4)/2)/2 * (erfcx(-d1/sqrt2) - erfcx(-d2/sqrt2)), price = sqrt(F*K) * b.
    """
    ratio = x / total
    gap = erfcx(-(ratio + 0.5 * total) / _SQRT2) - erfcx(-(ratio - 0.5 * total) / _SQRT2)
    return -0.5 * (ratio * ratio + 0.25 * total * total) + np.log(0.5 * gap), 2.0 / (_SQRT_2PI * gap)


def _increasing_root(
    residual: Callable[[Floats, NDArray[np.intp]], tuple[Floats, Floats]],
    start: Floats,
    low: Floats,
    high: Floats,
    tolerance: float,
) -> Floats:
    """Roots of increasing functions by Newton inside a bracket; a step that leaves it becomes a bisection.

    `residual(point, rows)` gives value and slope at `point` for the problems `rows`. Stops when a Newton
    step is below `tolerance` or 1e-13 of the point; that last step is taken, so the root is better than
    that, but where rounding allows no more than 1e-11. NaN where no root was met.
    """
    root = np.full(start.shape, np.nan)
    rows = np.arange(start.size)
    point, lower, upper = start, low, high
    with np.errstate(all="ignore"):
        for _ in range(_MAX_STEPS):
            value, slope = residual(point, rows)
            lower = np.where(value <= 0, point, lower)
            upper = np.where(value >= 0, point, upper)
            step = point - value / slope
            step = np.where((step >= lower) & (step <= upper), step, 0.5 * (lower + upper))
            moved = np.abs(step - point)
            done = moved <= tolerance + 1e-13 * np.abs(point)
            root[rows[done]] = step[done]
            rows, point, lower, upper, moved = (a[~done] for a in (rows, step, lower, upper, moved))
            if not rows.size:
                break
        # Near the money at a small total vol the function's own rounding keeps Newton from standing still.
        close = moved <= tolerance + 1e-11 * np.abs(point)
        root[rows[close]] = point[close]
    # Where no root lies inside, the bisections ran into an end of the bracket.
    margin = 1e-9 * (high - low)
    return np.where((root > low + margin) & (root < high - margin), root, np.nan)
