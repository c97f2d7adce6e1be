"""The agreed training of one round in integers: one Gauss–Newton step on committed rows, as circuits prove it.

For each row, at its own expiry, both slices' vols and their slopes in the pillar's six weights (a vol and two wings
each), and by how much the mixture misses the row; from the rows the normal equations of each pillar, joined by the pull
of neighbours; of these the solution; of it the two lanes that travel.

A misfit is one of prices over the vega of what was observed, so nothing is inverted. In prices over the root of forward
times strike, with s = vol sqrt(T), d = |k| / s:

    N(s) = integral from 0 to s of phi(k / t) exp(-t^2 / 8) dt
    N(s) / N'(s) = s M,  M = m + s^2 / 8 (m (1 + d^2 / 3) - 1 / 3),  m = 1 - d (1 - Phi(d)) / phi(d)

to second order in s. With E_i = N'(s_i) / N'(s) the misfit in vol is vol M - 3/4 E_1 vol_1 M_1 - 1/4 E_2 vol_2 M_2, and
3/4 E_1, 1/4 E_2 are its slopes in vol_1, vol_2. Quotients, roots and shifts round down unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from typing import NamedTuple

from fedvol.protocol.agreed import FULL_WEIGHT, MARKETS, PLACES, UNIT, Limits, Round, Row
from fedvol.protocol.agreed_tables import EXP, EXP_PLACES, LEAST_POWER, MILLS, MILLS_CELL
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.surface import PILLAR_WEIGHTS, SLICES, STATE_WEIGHTS, Pillar, chart

MOST_STRIKE = (16 << PLACES) - 1
"""At-the-money deviations at which a slice is still read."""
MOST_DEVIATIONS = (8 << PLACES) - 1

SMOOTH = UNIT * 4 // 10_000
"""Rows' worth of the pull between neighbouring wings a unit of log tenor apart; twice that between vols."""
MOST_SMOOTH = SMOOTH * 100 // 15

MORE_PLACES = 40
"""Binary places of the solution beyond a weight's 20."""
TOLERANCE = 1 << 42
"""By how much an equation may be missed, at 80 places."""
CURVATURE_PLACES = 12
"""A row that moves one to one with a weight adds 2^12 to its weight lane."""


class At(NamedTuple):
    """A slice at a pillar: vol at the money and the two wings as weights, 20 places."""

    v: int
    a: int
    b: int


class Time(NamedTuple):
    """Years to a pillar, and one over their root, 20 places."""

    years: int
    rate: int


class Equations(NamedTuple):
    """Of one pillar: curvature (6 × 6, 20 places) and pull of the rows on its weights (6, 40 places)."""

    curvature: list[list[int]]
    pull: list[int]


class Lanes(NamedTuple):
    """What a node sends for all 160 weights, h·u / 2^shift rounded toward zero and h, and what its proof needs besides:
    the 156 moves of the pillars' weights at 60 places."""

    p: list[int]
    h: list[int]
    moves: list[int]


def step(slots: Sequence[Row], at: Round, limits: Limits, clamp: int, cap: int, shift: int) -> Lanes:
    """The training of one round.

    Args:
        slots: 64 rows in the order of `agreed.fill`.
        clamp, cap: largest |u| and h.
    """
    times = [_time(tenor) for tenor in at.tenors]
    pulls = coupling(at.tenors)
    p: list[int] = []
    h: list[int] = []
    solved: list[int] = []
    for market in range(MARKETS):
        weights = at.block(market)
        places = chart_weights(weights, at.tenors)
        mine = [row for row in slots if row.market == market]
        equations = [
            _pillar([row for row in mine if row.day == day], places[j], times[j], limits)
            for j, day in enumerate(at.days)
        ]
        live = any(row.weight for row in mine if row.day in at.days)
        moves = solve(equations, weights, pulls, limits.prior)
        solved += moves
        for j, one in enumerate(equations):
            near = (pulls[j - 1] if j else 0) + (pulls[j] if j < len(pulls) else 0)
            for i in range(PILLAR_WEIGHTS):
                sure = one.curvature[i][i] + near * _lane(i) + (1 << PLACES - CURVATURE_PLACES - 1)
                h.append(min(sure >> PLACES - CURVATURE_PLACES, cap) if live else 0)
                u = moves[PILLAR_WEIGHTS * j + i] + (1 << MORE_PLACES - 1) >> MORE_PLACES
                u = min(max(u, -clamp), clamp)
                p.append((h[-1] * abs(u) >> shift) * (1 if u >= 0 else -1))
        h += [0] * STATE_WEIGHTS
        p += [0] * STATE_WEIGHTS
    return Lanes(p, h, solved)


def _time(tenor: int) -> Time:
    return Time(tenor * UNIT // YEAR, isqrt((YEAR << 2 * PLACES) // tenor))


def chart_weights(weights: Sequence[int], tenors: Sequence[int]) -> list[list[At]]:
    """A market's chart, [pillar][slice], as the weights that alone would give it."""
    charts = chart(weights, tenors, PLACES)
    return [[_slice(charts[which][j], tenor) for which in range(SLICES)] for j, tenor in enumerate(tenors)]


def _slice(pillar: Pillar, tenor: int) -> At:
    root = isqrt(pillar.theta << 34)  # 34 places
    return At(isqrt((pillar.theta * YEAR << 6) // tenor), (pillar.p << 28) // root, (pillar.c << 28) // root)


def coupling(tenors: Sequence[int]) -> list[int]:
    """How hard neighbours' wings pull each other: SMOOTH over 2 (T' - T) / (T' + T), which is near ln(T' / T)."""
    return [min(SMOOTH * (after + before) // (2 * (after - before)), MOST_SMOOTH) for before, after in pairwise(tenors)]


def _lane(weight: int) -> int:
    """Vols are pulled twice as hard as wings."""
    return 2 if weight % 3 == 0 else 1


def _pillar(rows: Sequence[Row], places: Sequence[At], time: Time, limits: Limits) -> Equations:
    curvature = [[0] * PILLAR_WEIGHTS for _ in range(PILLAR_WEIGHTS)]
    pull = [0] * PILLAR_WEIGHTS
    for row in rows:
        miss, slopes = misfit(row, places, time)
        weight = row.weight * (limits.huber * FULL_WEIGHT // max(abs(miss), limits.huber))
        for i in range(PILLAR_WEIGHTS):
            pull[i] += weight * slopes[i] * miss
            for j in range(PILLAR_WEIGHTS):
                curvature[i][j] += weight * slopes[i] * slopes[j]
    scale = [one if lane else UNIT for one in (places[0].v, places[1].v) for lane in range(3)]
    return Equations(
        [[curvature[i][j] * scale[i] * scale[j] >> 92 for j in range(PILLAR_WEIGHTS)] for i in range(PILLAR_WEIGHTS)],
        [pull[i] * scale[i] >> 52 for i in range(PILLAR_WEIGHTS)],
    )


def misfit(row: Row, places: Sequence[At], time: Time) -> tuple[int, list[int]]:
    """By how much the row's vol lies above the mixture's, and the mixture's slopes in six weights, 20 places; those in
    wings still to be multiplied by their slice's vol at the money."""
    strike = abs(row.k) * time.rate >> PLACES
    seen = _tail(strike, row.vol, time)
    miss = 4 * row.vol * seen.ratio << PLACES
    slopes: list[int] = []
    for share, place in zip((3, 1), places, strict=True):
        right, left = (place.b, place.a) if row.k < 0 else (place.a, place.b)
        y = min((strike << PLACES) // place.v, MOST_STRIKE)
        tilt = (right - left) * y  # 40 places
        half = (right + left) * y >> PLACES + 1
        root = isqrt((1 << 40) + tilt + half * half)
        sigma = isqrt((1 << 41) + tilt + (root << 21) >> 2)
        inverse = (1 << 40) // root
        vol = place.v * sigma >> PLACES
        own = _tail(strike, vol, time)
        vega = _exp((seen.d**2 - own.d**2 + (seen.spread - own.spread << PLACES + 1)) >> 41 - EXP_PLACES)
        part = share * vega
        miss -= part * vol * own.ratio
        by_vol = part * sigma * (UNIT + inverse) >> 43
        flank = part * own.d * inverse
        by_right = flank * (2 * sigma * sigma + left * y) >> 85
        by_left = flank * (right * y - 2 * sigma * sigma) >> 85
        slopes += [by_vol, by_left, by_right] if row.k < 0 else [by_vol, by_right, by_left]
    return miss // (3 << 42), slopes


class Tail(NamedTuple):
    """Of a vol at a strike: deviations d, s^2 / 8, and three times M, 20 places."""

    d: int
    spread: int
    ratio: int


def _tail(strike: int, vol: int, time: Time) -> Tail:
    d = min((strike << PLACES) // vol, MOST_DEVIATIONS)
    spread = time.years * vol * vol >> 43
    cell, inside = d >> MILLS_CELL, d & (1 << MILLS_CELL) - 1
    m = (MILLS[cell] << MILLS_CELL) + (MILLS[cell + 1] - MILLS[cell]) * inside  # 35 places
    more = spread * (m * ((3 << 40) + d * d) - (1 << 75))
    return Tail(d, spread, (3 * m << 60) + more >> 75)


def _exp(power: int) -> int:
    """exp of a power at 14 places, held in [-14, 2)."""
    power = min(max(power - (LEAST_POWER << EXP_PLACES), 0), (16 << EXP_PLACES) - 1)
    cell, f = power >> 10, (power & 1023) - 512
    return EXP[cell] * ((1 << 29) + (f << 15) + f * f) >> 29


def solve(equations: Sequence[Equations], weights: Sequence[int], pulls: Sequence[int], prior: int) -> list[int]:
    """The 78 moves of a market at 60 places, nearest to the solution of

        (curvature + prior + Q) move = pull - Q weights

    Q the pull of neighbours. A circuit only checks that each equation holds within TOLERANCE. As no eigenvalue is below
    the prior, whoever proves has sqrt(78) TOLERANCE / prior of leeway: at the default prior a twentieth of a weight's
    last place.
    """
    matrix, right = _system(equations, weights, pulls, prior)
    exact = _banded(matrix, right)
    for row, wanted in zip(matrix, right, strict=True):
        missed = (wanted << MORE_PLACES) - sum(value * exact[k] for k, value in row.items())
        assert abs(missed) < TOLERANCE
    return exact


def _system(
    equations: Sequence[Equations], weights: Sequence[int], pulls: Sequence[int], prior: int
) -> tuple[list[dict[int, int]], list[int]]:
    count, width = len(equations), PILLAR_WEIGHTS
    matrix: list[dict[int, int]] = []
    right: list[int] = []
    for j, (curvature, pull) in enumerate(equations):
        for i in range(width):
            here = width * j + i
            row = {width * j + k: curvature[i][k] for k in range(width)}
            row[here] += prior
            wanted = pull[i]
            for other, strength in ((j - 1, pulls[j - 1] if j else 0), (j + 1, pulls[j] if j + 1 < count else 0)):
                if strength:
                    row[here] += strength * _lane(i)
                    row[width * other + i] = -strength * _lane(i)
                    wanted -= strength * _lane(i) * (weights[here] - weights[width * other + i])
            matrix.append(row)
            right.append(wanted)
    return matrix, right


def _banded(matrix: Sequence[dict[int, int]], right: Sequence[int]) -> list[int]:
    """The solution at 60 places of equations at 20 places whose right side has 40: L D L' within the band, in integers
    with so many places that rounding is far below the last one kept."""
    bits, width, n = 160, PILLAR_WEIGHTS, len(right)
    lower: list[dict[int, int]] = []
    pivots: list[int] = []
    forward: list[int] = []
    for i in range(n):
        own: dict[int, int] = {}
        pivot = matrix[i][i] << bits
        value = right[i] << bits
        products: dict[int, int] = {}
        for j in range(max(0, i - width), i):
            entry = matrix[i].get(j, 0) << bits
            entry -= sum(products[k] * lower[j][k] >> bits for k in products if k in lower[j])
            products[j] = entry
            own[j] = (entry << bits) // pivots[j]
            pivot -= own[j] * entry >> bits
            value -= own[j] * forward[j] >> bits
        lower.append(own)
        pivots.append(pivot)
        forward.append(value)
    found = [(value << bits) // pivot for value, pivot in zip(forward, pivots, strict=True)]
    for i in range(n - 1, -1, -1):
        for j, factor in lower[i].items():
            found[j] -= factor * found[i] >> bits
    down = bits - MORE_PLACES
    return [value + (1 << down - 1) >> down for value in found]
