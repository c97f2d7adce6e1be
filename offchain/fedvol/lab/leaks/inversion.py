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

EXACT = 0.001

FIRST_MISFIT = 4.0
"""Vol points by which made-up rows lie off the round's surface at first, standard deviation."""

STRIKE_UNIT, MISFIT_UNIT = 0.1, 4.0
"""Of k, and vol points: what a step of 1 changes."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


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


def moved(spec: ModelSpec, seen: Floats, noise: Floats | float = 0.0) -> Mask:
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
    start: Floats,
    seen: Floats,
    guesses: Sequence[Sequence[Rows]],
    restarts: int,
    steps: int,
    rate: float = 0.1,
) -> tuple[list[list[Rows]], Floats]:
    """Bends guessed rows until the updates they train add up to what was seen.

    Args:
        start: V × d float weights of the round, one for each of V victims.
        seen: V × d moves in weight units: a victim's own, or the sum of its cluster.
        guesses: starting points, the same number for each victim, its own next to each other; each is one tape for each
            desk in the sum. A tape without rows stands for no desk.
        restarts: how many of a victim's guesses, those that match best as they are, are bent.
        steps: of Adam on the rows.

    Returns:
        For each victim the tapes of the restart that matches best, and its mismatch
        ‖sum − seen‖² / ‖seen‖² + 1 − cosine.
    """
    desks, each = len(guesses[0]), len(guesses) // len(seen)
    every = Tapes.of([rows for guess in guesses for rows in guess])
    first = _Bent.of(replay, torch.tensor(start).repeat_interleave(each * desks, 0), every)
    with torch.no_grad():
        fit = first.mismatch(torch.tensor(seen).repeat_interleave(each, 0), desks).reshape(-1, each)
    chosen = torch.argsort(fit, dim=1)[:, :restarts] + each * torch.arange(len(seen))[:, None]
    bent = first.select((chosen.flatten()[:, None] * desks + torch.arange(desks)).flatten())
    target = torch.tensor(seen).repeat_interleave(chosen.shape[1], 0)

    adam = torch.optim.Adam(bent.parameters(), lr=rate, foreach=False)
    decay = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - 0.95 * step / steps)
    best = torch.full((len(target),), torch.inf, dtype=torch.float64)
    kept = [parameter.detach().clone() for parameter in bent.parameters()]
    for _ in range(steps):
        adam.zero_grad()
        now = bent.mismatch(target, desks)
        better = (now < best).repeat_interleave(desks)[:, None]
        best = torch.minimum(now.detach(), best)
        kept = [torch.where(better, new.detach(), old) for new, old in zip(bent.parameters(), kept, strict=True)]
        now.sum().backward()
        adam.step()
        decay.step()
    with torch.no_grad():
        for parameter, value in zip(bent.parameters(), kept, strict=True):
            parameter.copy_(value)
        final = bent.rows()
    fit = best.numpy().reshape(len(seen), -1)
    winners = np.arange(len(seen)) * fit.shape[1] + fit.argmin(axis=1)
    return [[_tape(final, winner * desks + desk) for desk in range(desks)] for winner in winners], fit.min(axis=1)


@dataclass
class _Bent:
    """Made-up rows as three numbers each, scaled so that a step of one size suits all: where between its pillars a row
    lies, its strike, and how far it is off the round's surface. Market and pillars stay."""

    replay: Replay
    weights: Tensor
    tapes: Tapes
    where: Tensor
    strike: Tensor
    misfit: Tensor

    @classmethod
    def of(cls, replay: Replay, weights: Tensor, tapes: Tapes) -> _Bent:
        left, right = cls._pillars(replay, tapes)
        noise = torch.Generator().manual_seed(len(tapes))
        misfit = torch.randn(tapes.k.shape, generator=noise, dtype=torch.float64) * (FIRST_MISFIT / MISFIT_UNIT)
        where = torch.logit(((tapes.T - left) / (right - left)).clamp(0.02, 0.98))
        return cls(replay, weights, tapes, where, tapes.k / STRIKE_UNIT, misfit)

    def select(self, which: Tensor) -> _Bent:
        free = [parameter[which].clone().requires_grad_() for parameter in self.parameters()]
        columns = (self.tapes.market, self.tapes.k, self.tapes.T, self.tapes.iv, self.tapes.weight)
        return _Bent(self.replay, self.weights[which], Tapes(*(column[which] for column in columns)), *free)

    def parameters(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.where, self.strike, self.misfit

    def rows(self) -> Tapes:
        left, right = self._pillars(self.replay, self.tapes)
        k, T = STRIKE_UNIT * self.strike, left + (right - left) * torch.sigmoid(self.where)
        blank = Tapes(self.tapes.market, k, T, self.tapes.iv, self.tapes.weight)
        vol = self.replay.slopes(self.weights, blank).vol
        iv = (vol + MISFIT_UNIT / POINTS * self.misfit).clamp(0.02, 5.0)
        return Tapes(blank.market, k, T, iv, row_weight(k, T, iv) * (blank.weight > 0))

    def mismatch(self, target: Tensor, desks: int) -> Tensor:
        total = self.replay.train(self.weights, self.rows()).reshape(len(target), desks, -1).sum(1)
        square = ((total - target) ** 2).sum(1) / (target**2).sum(1).clamp_min(1e-12)
        return square + 1 - torch.cosine_similarity(total, target, dim=1, eps=1e-9)

    @staticmethod
    def _pillars(replay: Replay, tapes: Tapes) -> tuple[Tensor, Tensor]:
        segment = replay.segment(tapes.T)
        return replay.times[segment - 1], replay.times[segment]


def _tape(tapes: Tapes, row: int) -> Rows:
    columns = (tapes.market, tapes.k, tapes.T, tapes.iv, tapes.weight)
    return Rows(*(column[row].detach().numpy() for column in columns))


@dataclass(frozen=True)
class Score:
    """How much of a victim's tape a guess holds.

    Args:
        found: share of the victim's rows with a guessed row near it, each guessed row counting for one.
        exact: the same within |k − k'| <= EXACT, where luck hardly leads.
        k_error: median over the victim's rows of |k − k'| to the nearest guessed row in the same cell; NaN where no
            guess is in a cell of the victim's.
    """

    found: float
    exact: float
    k_error: float


def score(spec: ModelSpec, truth: Rows, guess: Rows) -> Score:
    cell = (truth.market * len(spec.pillars) + segments(spec, truth))[:, None] == (
        guess.market * len(spec.pillars) + segments(spec, guess)
    )
    distance = np.where(cell, np.abs(truth.k[:, None] - guess.k), np.inf)
    found, exact = (_matched(distance <= within) for within in (NEAR, EXACT))
    nearest = distance.min(axis=1)
    hit = nearest[np.isfinite(nearest)]
    return Score(found, exact, float(np.median(hit)) if hit.size else float("nan"))


def _matched(near: Mask) -> float:
    """Share of the rows of `near` that get a column of their own."""
    return float((maximum_bipartite_matching(csr_array(near.astype(np.int8)), perm_type="column") >= 0).mean())


def balanced_accuracy(said: Mask, true: Mask) -> float:
    """Mean of the shares of touched and of untouched pillars that are named rightly: 0.5 is chance."""
    sides = [(said == true)[true == side].mean() for side in (True, False) if (true == side).any()]
    return float(np.mean(sides))
