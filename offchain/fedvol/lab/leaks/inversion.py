"""Gradient inversion: made-up rows whose training gives the update that was seen.

Sources: Zhu, Liu, Han, "Deep leakage from gradients", NeurIPS 2019 (rows by matching); Geiping et al., "Inverting
gradients", NeurIPS 2020 (cosine, Adam, restarts, the whole local training replayed). Besides matching there is an
analytic leak: a level that no row touches does not move, so that the zeros of an update name the expiries.

The attacker knows what every member knows: the round's weights, the settings, the surface, and the public chain of some
days before (`Prior`). The size of a trade is in no row and so in no update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor

from fedvol.lab.leaks.replay import Replay, Tapes, row_weight
from fedvol.learning.model import ModelSpec
from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_pillars import SHAPE_WEIGHTS

NEAR = 0.05
"""|k − k'| within which a row counts as found, on the same market between the same two pillars."""

FIRST_MISFIT = 2.0
"""Vol points by which made-up rows lie off the round's surface at first, standard deviation."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Guess:
    """Rows that an attacker says a victim holds. `misfit`: how far off the round's surface, in vol points."""

    rows: Rows
    misfit: NDArray[np.float64]


class Prior:
    """Where options are quoted at all: the rows of a public chain, of which guesses are drawn."""

    def __init__(self, spec: ModelSpec, chain: Rows) -> None:
        self.spec, self.chain = spec, chain
        self.cell = chain.market, segments(spec, chain)

    def draw(self, allowed: Mask, count: int, generator: np.random.Generator) -> Rows:
        """`count` rows of the chain in allowed cells (markets × P segments); anywhere where the chain has none."""
        inside = np.flatnonzero(allowed[self.cell])
        pool = inside if inside.size else np.arange(len(self.chain))
        return self.chain.select(generator.choice(pool, count))


def segments(spec: ModelSpec, rows: Rows) -> NDArray[np.int64]:
    """0..P-1: between which pillars an expiry lies, named by the later one; beyond the last counts as before it."""
    return np.clip(np.searchsorted(spec.pillar_years, rows.T), 0, len(spec.pillars) - 1)


def touched(spec: ModelSpec, rows: Rows) -> Mask:
    """Markets × P: the pillars whose level the rows read."""
    share = Replay(spec, Settings()).touched(Tapes.of([rows]))[0]
    return (share > 0).numpy()


def moved(spec: ModelSpec, seen: NDArray[np.float64], noise: NDArray[np.float64] | float = 0.0) -> Mask:
    """Markets × P: the pillars whose level moved by more than noise does (in weight units)."""
    return levels(spec, np.abs(seen) > noise)


def levels(spec: ModelSpec, vector: NDArray) -> NDArray:
    """Markets × P: the levels in a vector of d weights."""
    return vector.reshape(len(spec.markets), -1)[:, :-SHAPE_WEIGHTS]


def cells(pillars: Mask) -> Mask:
    """Markets × P segments on which every pillar that a row there would read is in the mask."""
    return pillars & np.pad(pillars, ((0, 0), (1, 0)), constant_values=True)[:, :-1]


def invert(
    replay: Replay,
    start: NDArray[np.float64],
    seen: NDArray[np.float64],
    guesses: Sequence[Sequence[Rows]],
    restarts: int,
    steps: int,
    rate: float = 0.1,
) -> tuple[list[list[Guess]], NDArray[np.float64]]:
    """Bends guessed rows until the updates they train add up to what was seen.

    Args:
        start: V × d float weights of the round, one for each of V victims.
        seen: V × d moves in weight units: a victim's own, or the sum of its cluster.
        guesses: V · restarts starting points, restarts of a victim next to each other; each is one tape for each
            desk in the sum. A tape without rows stands for no desk.
        steps: of Adam on the rows.

    Returns:
        For each victim the tapes of the restart that matches best, and its mismatch
        ‖sum − seen‖² / ‖seen‖² + 1 − cosine.
    """
    members = len(guesses[0])
    tapes = Tapes.of([rows for guess in guesses for rows in guess])
    weights = torch.tensor(start).repeat_interleave(restarts, 0).repeat_interleave(members, 0)
    target = torch.tensor(seen).repeat_interleave(restarts, 0)
    segment = replay.segment(tapes.T)
    left, right = replay.times[segment - 1], replay.times[segment]
    share = ((tapes.T - left) / (right - left)).clamp(0.02, 0.98)
    here = tapes.weight > 0
    noise = torch.Generator().manual_seed(len(tapes))
    # Scaled so that a step of one size suits all three.
    where = torch.logit(share).requires_grad_()
    strike = (tapes.k / 0.1).requires_grad_()
    misfit = (torch.randn(tapes.k.shape, generator=noise, dtype=torch.float64) * FIRST_MISFIT / 4).requires_grad_()
    adam = torch.optim.Adam([where, strike, misfit], lr=rate, foreach=False)
    decay = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - 0.95 * step / steps)

    def rows() -> Tapes:
        k, T = 0.1 * strike, left + (right - left) * torch.sigmoid(where)
        blank = Tapes(tapes.market, k, T, tapes.iv, tapes.weight)
        iv = (replay.slopes(weights, blank).vol + 4 * misfit / POINTS).clamp(0.02, 5.0)
        return Tapes(tapes.market, k, T, iv, row_weight(k, T, iv) * here)

    def mismatch() -> Tensor:
        total = replay.train(weights, rows()).reshape(-1, members, target.shape[1]).sum(1)
        square = ((total - target) ** 2).sum(1) / (target**2).sum(1).clamp_min(1e-12)
        return square + 1 - torch.cosine_similarity(total, target, dim=1, eps=1e-9)

    best = torch.full((len(guesses),), torch.inf, dtype=torch.float64)
    kept = [torch.zeros_like(tapes.k) for _ in range(3)]
    for _ in range(steps):
        adam.zero_grad()
        each = mismatch()
        with torch.no_grad():
            better = each < best
            best = torch.where(better, each, best)
            chosen = better.repeat_interleave(members)[:, None]
            kept = [torch.where(chosen, new, old) for new, old in zip((where, strike, misfit), kept, strict=True)]
        each.sum().backward()
        adam.step()
        decay.step()
    with torch.no_grad():
        for parameter, value in zip((where, strike, misfit), kept, strict=True):
            parameter.copy_(value)
        final = rows()
    best = best.numpy().reshape(-1, restarts)
    winners = best.argmin(1)
    found = [
        [_guess(final, misfit, (victim * restarts + winner) * members + member) for member in range(members)]
        for victim, winner in enumerate(winners)
    ]
    return found, best.min(1)


def _guess(tapes: Tapes, misfit: Tensor, row: int) -> Guess:
    columns = (tapes.market, tapes.k, tapes.T, tapes.iv, tapes.weight)
    return Guess(Rows(*(column[row].detach().numpy() for column in columns)), 4 * misfit[row].detach().numpy())


@dataclass(frozen=True)
class Score:
    """How much of a victim's tape a guess holds.

    Args:
        found: share of the victim's rows with a guessed row near it, each guessed row counting for one.
        k_error: median over the victim's rows of |k − k'| to the nearest guessed row in the same cell; NaN where no
            guess is in a cell of the victim's.
    """

    found: float
    k_error: float


def score(spec: ModelSpec, truth: Rows, guess: Rows) -> Score:
    cell = (truth.market * len(spec.pillars) + segments(spec, truth))[:, None] == (
        guess.market * len(spec.pillars) + segments(spec, guess)
    )
    distance = np.where(cell, np.abs(truth.k[:, None] - guess.k), np.inf)
    matched = maximum_bipartite_matching(csr_array((distance <= NEAR).astype(np.int8)), perm_type="column")
    nearest = distance.min(axis=1)
    hit = nearest[np.isfinite(nearest)]
    return Score(float((matched >= 0).mean()), float(np.median(hit)) if hit.size else float("nan"))


def balanced_accuracy(said: Mask, true: Mask) -> float:
    """Mean of the shares of touched and of untouched pillars that are named rightly: 0.5 is chance."""
    sides = [(said == true)[true == side].mean() for side in (True, False) if (true == side).any()]
    return float(np.mean(sides))
