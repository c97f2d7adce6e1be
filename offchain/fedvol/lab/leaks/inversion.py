"""From an update back to rows: how many, on which expiries, at which strikes, and how far off the surface.

The attacker knows what every member knows: the round's weights and time, the settings, the surface. Two leaks are
exact:

- A weight lane is the diagonal of Gauss and Newton's matrix: a sum over rows of what each row's place alone adds. Less
  the public smoothness it is zero on an expiry without rows, and a non-negative mixture of strikes explains the rest.
- Training ends where forces balance. On an expiry without rows nothing pulls but the public prior and smoothness, and
  those can be taken off the move: what is left names the expiries.

What is left over is matched: strikes and misfits are bent until training them gives the vector that was seen. Sources:
Zhu, Liu, Han, "Deep leakage from gradients", 2019; Geiping et al., "Inverting gradients", 2020 (training replayed).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares, nnls
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from fedvol.lab.leaks.scene import PLAN_RULE, Round, Seen, join
from fedvol.learning.model import Model, ModelSpec, Opening
from fedvol.learning.quantize import CURVATURE_UNITS
from fedvol.learning.rows import FULL_VEGA, LEAST_WEIGHT, Rows
from fedvol.learning.settings import Settings
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.listing import expiries
from fedvol.protocol.surface import PILLAR_WEIGHTS, STATE_WEIGHTS

NEAR = 0.05
"""|k − k'| within which a row counts as found, on the same market and expiry."""

EXACT = 0.001

LATTICE = np.linspace(-3.0, 3.0, 49)
"""Strikes that are tried first, in deviations."""

LEAST_FORCE = 3e-7
"""What training and rounding leave unbalanced is below 1e-8, what a row leaves above 1e-6: in vol a weight unit."""

REACH = 0.3
"""Deviations by which a strike that weight lanes gave may still be off."""

K_UNIT, MISFIT_UNIT = 0.1, 0.02

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def row_weight(k: Floats, T: Floats, iv: Floats) -> Floats:
    """As `rows_from_tape` weighs a row: by its vega."""
    deviation = iv * np.sqrt(T)
    d1 = deviation / 2 - k / deviation
    return np.clip(np.exp(-d1 * d1 / 2) / FULL_VEGA, LEAST_WEIGHT, 1.0)


def by_pillar(spec: ModelSpec, vector: NDArray) -> NDArray:
    """Markets × P × 6: what hangs on the expiries in a vector of d numbers."""
    blocks = vector.reshape(len(spec.markets), -1)[:, :-STATE_WEIGHTS]
    return blocks.reshape(len(spec.markets), spec.pillars, PILLAR_WEIGHTS)


def touched(spec: ModelSpec, rows: Rows, as_of: int) -> Mask:
    """Markets × P: the expiries with rows."""
    found = np.zeros((len(spec.markets), spec.pillars), dtype=bool)
    place = _pillar(spec, rows, as_of)
    found[rows.market[place >= 0], place[place >= 0]] = True
    return found


def said_by_weights(model: Model, play: Round, seen: Seen, senders: int = 1) -> Mask:
    """Markets × P: the expiries whose weights are more than smoothness makes them, rounded."""
    return (by_pillar(model.spec, _rows_part(model, play, seen, senders)) > senders / CURVATURE_UNITS).any(axis=2)


def said_by_moves(model: Model, play: Round, seen: Seen, settings: Settings) -> Mask:
    """Markets × P: the expiries on which something pulls but prior and smoothness, by moves without weights."""
    return force(model, play, seen, settings) > LEAST_FORCE


def force(model: Model, play: Round, seen: Seen, settings: Settings) -> Floats:
    """Markets × P: what the rows must pull with where training ended, for it to have ended there; vol a weight unit."""
    start, move = model.spec.to_float(play.weights), seen.moves / model.spec.scale
    pull = settings.prior * move + model.smoothness(play.as_of) @ (start + move)
    still = (by_pillar(model.spec, move) == 0).all(axis=(1, 2))
    return np.where(still[:, None], 0.0, np.abs(by_pillar(model.spec, pull)).max(axis=2))


def _rows_part(model: Model, play: Round, seen: Seen, senders: int) -> Floats:
    """The weight lanes, in rows, less the smoothness of all who trade a market: on an expiry without rows it stands
    alone, and so says how many they are."""
    own, smooth = seen.weights / CURVATURE_UNITS, np.diag(model.smoothness(play.as_of))
    ratio = by_pillar(model.spec, own).sum(axis=2) / by_pillar(model.spec, smooth).sum(axis=2)
    for market, trading in enumerate(np.minimum(np.rint(ratio.min(axis=1)), senders)):
        own[model.block(market)] -= trading * smooth[model.block(market)]
    return np.maximum(own * model.told(), 0.0)


def from_weights(model: Model, play: Round, seen: Seen, senders: int = 1) -> Rows:
    """As many rows as the weight lanes are made of, at strikes that make them up; their vols are the surface's."""
    tried = _lattice(model, play)
    _, slopes = model.see(model.spec.to_float(play.weights), tried, play.as_of)
    each = tried.weight[:, None] * slopes**2
    told = _rows_part(model, play, seen, senders)
    found = [tried.select(np.zeros(0, np.int64))]
    for market in range(len(model.spec.markets)):
        mine, block = np.flatnonzero(tried.market == market), model.block(market)
        # Weighted so that small lanes, which say where the wings are, count as well.
        scale = 1 / (np.sqrt(told[block]) + 1 / CURVATURE_UNITS)
        amount, _ = nnls((each[np.ix_(mine, np.arange(told.size)[block])] * scale).T, told[block] * scale)
        for expiry in np.unique(tried.expiry):
            here = tried.expiry[mine] == expiry
            found.append(tried.select(mine[here][_whole(amount[here])]))
    return join(*found)


def _whole(amount: Floats) -> NDArray[np.int64]:
    """Indices, each as often as it stands in a mixture whose total is rounded."""
    total = np.cumsum(amount)
    count = int(np.rint(total[-1]))
    return np.searchsorted(total, (np.arange(count) + 0.5) * (total[-1] / max(count, 1)))


def from_moves(model: Model, play: Round, seen: Seen, settings: Settings, count: int) -> Rows:
    """`count` rows, spread over the expiries that the move names, at the money and beside it."""
    named = np.argwhere(said_by_moves(model, play, seen, settings))
    tried = _lattice(model, play)
    if not len(named):
        return tried.select(np.zeros(0, np.int64))
    listed = expiries(play.as_of, model.spec.pillars)
    found = []
    for number in range(count):
        market, pillar = named[number % len(named)]
        z = (0.0, -1.0, 1.0, -0.5, 0.5, -1.5, 1.5)[number // len(named) % 7]
        cell = np.flatnonzero((tried.market == market) & (tried.expiry == listed[pillar]))
        found.append(cell[np.argmin(np.abs(LATTICE - z))])
    return tried.select(np.array(found))


def bend(model: Model, play: Round, seen: Seen, guess: Rows, settings: Settings, looks: int) -> Rows:
    """Strikes and misfits of guessed rows, bent until the vector that they train is the one seen, in units of the wire.

    Args:
        looks: steps of Levenberg and Marquardt at most, each with a slope by finite differences.
    """
    start, opening, scale = model.spec.to_float(play.weights), Opening(play.as_of), model.spec.scale
    found = []
    for market in np.unique(guess.market):  # a market's rows move its own weights alone
        block, mine = model.block(int(market)), guess.select(guess.market == market)

        def miss(bent: Floats, mine: Rows = mine, block: slice = block) -> Floats:
            rows = _bent(model, start, play.as_of, mine, bent)
            moves = (model.train(start, opening, rows, bytes(32), settings) - start)[block] * scale
            if seen.weights is None:
                return moves - seen.moves[block]
            sure = (model.curvature(start, opening, rows, bytes(32), settings) * CURVATURE_UNITS)[block]
            sure = np.minimum(sure, PLAN_RULE.weight_cap)
            made = sure * moves / 2.0**PLAN_RULE.weight_shift
            return np.concatenate([made - seen.moves[block], sure - seen.weights[block]])

        reach = (np.inf if seen.weights is None else REACH) * mine.iv * np.sqrt(mine.T) / K_UNIT
        tries = [_fitted(miss, mine.k / K_UNIT, np.full(len(mine), side), reach, looks) for side in (0.5, -0.5)]
        found.append(_bent(model, start, play.as_of, mine, min(tries, key=lambda one: one.cost).x))
    return join(*found) if found else guess


def _fitted(miss: Callable[[Floats], Floats], k: Floats, misfit: Floats, reach: Floats, looks: int) -> OptimizeResult:
    """Misfits first: with wrong ones every strike is drawn off."""
    off = least_squares(lambda now: miss(np.concatenate([k, now])), misfit, diff_step=1e-4, max_nfev=looks // 2).x
    far = np.concatenate([reach, np.full(len(k), np.inf)])
    first = np.concatenate([k, off])
    return least_squares(miss, first, bounds=(first - far, first + far), diff_step=1e-4, max_nfev=looks)


def _bent(model: Model, start: Floats, as_of: int, rows: Rows, bent: Floats) -> Rows:
    k, misfit = K_UNIT * bent[: len(rows)], MISFIT_UNIT * bent[len(rows) :]
    T = (rows.expiry - as_of) / YEAR
    iv = np.clip(model.implied_vol(start, as_of, rows.market, k, rows.expiry) + misfit, 0.02, 5.0)
    return Rows(rows.market, k, T, rows.expiry, iv, row_weight(k, T, iv))


def _lattice(model: Model, play: Round) -> Rows:
    """Every listed expiry at strikes out to three deviations of the surface's vol at the money."""
    listed = np.array(expiries(play.as_of, model.spec.pillars), dtype=np.int64)
    market, expiry, z = (
        axis.ravel() for axis in np.meshgrid(np.arange(len(model.spec.markets)), listed, LATTICE, indexing="ij")
    )
    start, T = model.spec.to_float(play.weights), (expiry - play.as_of) / YEAR
    k = z * np.sqrt(T) * model.implied_vol(start, play.as_of, market, np.zeros(z.size), expiry)
    iv = model.implied_vol(start, play.as_of, market, k, expiry)
    return Rows(market, k, T, expiry, iv, row_weight(k, T, iv))


def _pillar(spec: ModelSpec, rows: Rows, as_of: int) -> NDArray[np.int64]:
    """Of each row; -1 for an expiry that is not listed."""
    listed = np.array(expiries(as_of, spec.pillars))
    at = np.minimum(np.searchsorted(listed, rows.expiry), len(listed) - 1)
    return np.where(listed[at] == rows.expiry, at, -1)


@dataclass(frozen=True)
class Score:
    """How much of a victim's tape a guess holds.

    Args:
        found: share of the victim's rows with a guessed row near it, each guessed row counting for one.
        exact: the same within |k − k'| <= EXACT, where luck hardly leads.
    """

    found: float
    exact: float


def score(truth: Rows, guess: Rows) -> Score:
    cell = (truth.market[:, None] == guess.market) & (truth.expiry[:, None] == guess.expiry)
    distance = np.where(cell, np.abs(truth.k[:, None] - guess.k), np.inf)
    return Score(*(_matched(distance <= within) for within in (NEAR, EXACT)))


def _matched(near: Mask) -> float:
    """Share of the rows of `near` that get a column of their own."""
    if not near.size:
        return 0.0
    return float((maximum_bipartite_matching(csr_array(near.astype(np.int8)), perm_type="column") >= 0).mean())


def balanced_accuracy(said: Mask, true: Mask) -> float:
    """Mean of the shares of touched and of untouched expiries that are named rightly: 0.5 is chance."""
    sides = [(said == true)[true == side].mean() for side in (True, False) if (true == side).any()]
    return float(np.mean(sides))
