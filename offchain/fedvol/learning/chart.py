"""The surface in floats, with slopes: weights to (theta, p, c) at the pillars, to slices, to one volatility a row.

The formulas are those of `fedvol.protocol.surface`, `ssvi` and `mixture`, without their integers' rounding; a test
holds both to 1e-6. Slopes are written out, because a fit needs them for every row and weight at once.

Shapes: M markets, P pillars, S = 2 slices, n rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fedvol.protocol.black76 import YEAR
from fedvol.protocol.surface import KAPPA

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_VOL, MOST_VOL = 0.03, 4.5
LEAST_WING, MOST_WING, MOST_SLOPE = 0.02, 1.98, 3.96
SHARES = np.array([0.75, 0.25])
FAR = 6.0
"""Standard deviations of the wider slice beyond which it answers alone."""


class Chart(NamedTuple):
    """Args:
    values: (theta, p, c) at every pillar, (M, P, S, 3).
    slopes: their derivatives in the weights of the same market and slice, (M, S, P, 3, P, 3).
    tenors: years to the pillars, (P,).
    """

    values: Floats
    slopes: Floats
    tenors: Floats


class Place(NamedTuple):
    """Where rows lie: their market, ln(strike / forward), years since the chart's time, and that on the moved clock."""

    market: Integers
    k: Floats
    tenor: Floats
    moment: Floats


def chart(weights: Floats, tenors: Floats) -> Chart:
    """Args:
    weights: vols and wings (M, P, S, 3). Beyond its bounds a weight keeps its slope, so that rows can pull a poisoned
        one back.
    tenors: years, (P,), strictly rising.
    """
    markets, count = weights.shape[:2]
    w = np.moveaxis(weights, 2, 1)  # (M, S, P, 3)
    vols = np.clip(w[..., 0], LEAST_VOL, MOST_VOL)
    raw = tenors * vols**2
    earlier = np.tri(count, dtype=bool)  # [j, i]: i <= j
    up = _pick(raw, earlier, np.argmax, -np.inf)
    down = _pick(raw, earlier.T, np.argmin, np.inf)
    theta = (_take(raw, up) + _take(raw, down)) / 2
    unit = np.eye(count)
    theta_slopes = (unit[up] + unit[down]) * (tenors * vols)[..., None, :]  # (M, S, P, P)

    values = np.empty((*theta.shape, 3))
    slopes = np.zeros((*theta.shape, 3, count, 3))
    values[..., 0], slopes[..., 0, :, 0] = theta, theta_slopes
    root = np.sqrt(theta)
    for lane in (1, 2):
        wing = np.clip(w[..., lane], LEAST_WING, MOST_WING)
        free = wing * root < MOST_SLOPE
        wanted = np.where(free, wing * root, MOST_SLOPE)
        by_wing = unit * np.where(free, root, 0.0)[..., None]
        by_vol = np.where(free, wing / (2 * root), 0.0)[..., None] * theta_slopes
        growth = theta[..., :, None] / theta[..., None, :]  # [j, i]
        below = wanted[..., None, :] * np.where(earlier, growth, 1.0)
        above = wanted[..., None, :] * np.where(earlier, 1.0, growth)
        values[..., lane] = 0.0
        for curve, least, grown in ((below, np.argmin, earlier), (above, np.argmax, ~earlier)):
            source = least(curve, axis=-1)
            factor = np.take_along_axis(np.where(grown, growth, 1.0), source[..., None], -1)
            value = _take(wanted, source)[..., None] * factor
            moves = np.take_along_axis(
                grown[None, None].repeat(markets, 0).repeat(w.shape[1], 1), source[..., None], -1
            )
            drift = theta_slopes / theta[..., None] - _rows_of(theta_slopes, source) / _take(theta, source)[..., None]
            values[..., lane] += value[..., 0] / 2
            slopes[..., lane, :, lane] += factor * _rows_of(by_wing, source) / 2
            slopes[..., lane, :, 0] += (factor * _rows_of(by_vol, source) + np.where(moves, value * drift, 0.0)) / 2
    return Chart(np.moveaxis(values, 1, 2), slopes, tenors)


def slices(at: Chart, place: Place) -> tuple[Floats, Integers, Floats]:
    """(theta, p, c) of both slices at every row's moment, (n, S, 3), with how each was mixed: the pillars it came from
    (n, 2) and the factors of theta and of the slopes there (n, 2, 2)."""
    after = np.searchsorted(at.tenors, place.moment)
    last = len(at.tenors) - 1
    pillars = np.stack([np.clip(after - 1, 0, last), np.clip(after, 0, last)], axis=1)
    left, right = at.tenors[pillars].T
    inside = (after > 0) & (after <= last)
    share = np.where(inside, (place.moment - left) / np.where(inside, right - left, 1.0), 0.0)
    low = np.where(inside, 1 - share, place.moment / left)
    factors = np.stack([np.stack([low, share], 1), np.stack([np.where(after > last, 1.0, low), share], 1)], axis=2)
    lanes = factors[:, :, [0, 1, 1]]  # (n, 2, 3)
    values = at.values[place.market[:, None], pillars]  # (n, 2, S, 3)
    return np.einsum("nqsi,nqi->nsi", values, lanes), pillars, factors


def vols(at: Chart, place: Place) -> Floats:
    """Implied vols as of the chart's time, (n,)."""
    mixed, _, _ = slices(at, place)
    return _mixture(mixed, place)[0]


def vols_and_slopes(at: Chart, place: Place) -> tuple[Floats, Floats]:
    """`vols`, and their derivatives in the weights of the row's own market, (n, P, S, 3)."""
    mixed, pillars, factors = slices(at, place)
    iv, by_slice = _mixture(mixed, place)  # (n, S, 3)
    lanes = factors[:, :, [0, 1, 1]]
    n = np.arange(len(iv))
    found = np.zeros((len(iv), at.slopes.shape[2], at.slopes.shape[1], 3))
    for side in (0, 1):
        slopes = at.slopes[place.market, :, pillars[n, side]]  # (n, S, 3, P, 3)
        found += np.einsum("nsi,ni,nsipw->npsw", by_slice, lanes[:, side], slopes, optimize=True)
    return iv, found


def clock(tenor: Floats, g: Floats | float) -> Floats:
    """Where tenors in years are read when the state has moved the clock by g."""
    kappa = KAPPA / YEAR
    return tenor * (kappa * g + tenor) / (kappa + tenor)


def _mixture(mixed: Floats, place: Place) -> tuple[Floats, Floats]:
    """Vols, and their derivatives in (theta, p, c) of both slices."""
    theta, p, c = np.moveaxis(mixed, -1, 0)  # (n, S)
    k = place.k[:, None]
    e = theta + (p - c) * k / 2
    root = np.sqrt(e * e + p * c * k * k)
    s = np.sqrt((e + root) / 2)
    by_theta = (1 + e / root) / 2
    by_p = (k / 2 + (e * k + c * k * k) / (2 * root)) / 2
    by_c = (-k / 2 + (-e * k + p * k * k) / (2 * root)) / 2
    deviation, parts = mixture(s, place.k)
    scale = parts / (2 * s * np.sqrt(place.tenor)[:, None])
    return deviation / np.sqrt(place.tenor), np.stack([by_theta, by_p, by_c], -1) * scale[..., None]


def mixture(s: Floats, k: Floats) -> tuple[Floats, Floats]:
    """The deviation that prices the mixture of deviations s (n, S), and its derivatives in them."""
    low, high = s.min(axis=1), s.max(axis=1)
    k = -np.abs(k)
    far = -k > FAR * high
    near_k = np.where(far, 0.0, k)
    target = _put(near_k[:, None], s) @ SHARES
    vegas = SHARES * np.exp(-((near_k[:, None] / s - s / 2) ** 2) / 2)
    found = (vegas * s).sum(1) / vegas.sum(1)
    for _ in range(4):
        vega = np.exp(-((near_k / found - found / 2) ** 2) / 2) / np.sqrt(2 * np.pi)
        step = (target - _put(near_k, found)) / vega
        x2, q = (near_k / found) ** 2, found * found / 4
        u = step / found
        a, b = (x2 - q) * u, ((x2 - q) ** 2 - 3 * x2 - q) * u * u / 6
        found = np.clip(found + step * (1 + a / 2) / np.maximum(1 + a + b, 0.125), low, high)
    exponent = ((near_k / found - found / 2) ** 2)[:, None] - (near_k[:, None] / s - s / 2) ** 2
    parts = SHARES * np.exp(exponent / 2)
    wider = s == high[:, None]
    tail = np.where(wider, 1.0, 0.0) / wider.sum(1, keepdims=True)
    # Far out, as in the integers: the wider slice, with the quarters of the mixture that it is.
    with np.errstate(over="ignore"):
        square = (k / high) ** 2
        other = (k / low) ** 2
    share = np.where(s[:, 0] < s[:, 1], 0.25, 0.75)
    quarters = share + (1 - share) * np.exp(-np.minimum((other - square) / 2, 64.0))
    square = square * (1 - 2 * np.log(quarters) / (square + 3))
    return np.where(far, -k / np.sqrt(np.maximum(square, 1e-12)), found), np.where(far[:, None], tail, parts)


def _put(k: Floats, s: Floats) -> Floats:
    d = k / s
    return np.exp(k) * ndtr(d + s / 2) - ndtr(d - s / 2)


def _pick(raw: Floats, allowed: NDArray[np.bool_], choose: object, never: float) -> Integers:
    return choose(np.where(allowed, raw[..., None, :], never), axis=-1)  # type: ignore[operator]


def _take(values: Floats, index: Integers) -> Floats:
    return np.take_along_axis(values, index, -1)


def _rows_of(matrix: Floats, index: Integers) -> Floats:
    return np.take_along_axis(matrix, index[..., None], -2)
