"""`SsviMixture.train` and `curvature` of many desks at once, as the lab needs them; a node has one desk.

Markets share no weight and no row, so a desk's normal equations fall apart into one block for each market. Here the
blocks of many desks are the markets of one chart, and every array operation serves them all. What ties a desk's blocks
together stays by desk: whether a step is taken, its damping, and the clip.

The sums are those of a desk by itself in another order, so floats differ in their last bits.

Shapes: N desks; B blocks, each a market in which a desk has rows; R rows of the longest block, where shorter ones are
filled up with rows that weigh nothing; W weights of a market that rows tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fedvol.learning import chart
from fedvol.learning.model import Floats, Integers, Opening
from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import STATE_PRIOR, SsviMixture
from fedvol.learning.training import at_most, clip_move, huber_pull
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.surface import SLICES, STATE_WEIGHTS

BLOCKS = 128
"""At once, so that their arrays stay in the processor's cache."""


def train(
    model: SsviMixture, weights: Floats, opening: Opening, desks: Sequence[Rows], seeds: Sequence[bytes], by: Settings
) -> tuple[Floats, Floats]:
    """The trained float weights and the curvature of every desk, (N, d) each.

    Args:
        weights: d float weights that the round starts from.
        by: settings without privacy, whose noise is drawn desk by desk.
    """
    trained, sure = np.tile(weights, (len(desks), 1)), np.zeros((len(desks), weights.size))
    used = [at_most(rows.after(opening.as_of), by.max_rows, seed) for rows, seed in zip(desks, seeds, strict=True)]
    # Desks with longest blocks of about one length go together, so that little is filled up.
    longest = {desk: np.bincount(rows.market).max() for desk, rows in enumerate(used) if len(rows)}
    order = sorted(longest, key=longest.__getitem__)
    smooth = model.smoothness(opening.as_of)[model.block(0), model.block(0)]
    at_once = max(1, BLOCKS // len(model.spec.markets))
    for first in range(0, len(order), at_once):
        some = order[first : first + at_once]
        blocks = _Blocks(model, opening, [used[desk] for desk in some], smooth, by)
        trained[some], sure[some] = blocks.train(weights)
    return trained, sure


class _Blocks:
    """The rows of some desks, each with one at least, by block."""

    def __init__(
        self, model: SsviMixture, opening: Opening, desks: Sequence[Rows], smooth: Floats, by: Settings
    ) -> None:
        self._model, self._opening, self._by = model, opening, by
        self._smooth, self._told = smooth, slice(0, len(smooth) - STATE_WEIGHTS)
        self._size = (len(desks), len(model.spec.markets))
        rows = Rows.joined(desks)
        block = np.repeat(np.arange(len(desks)), [len(own) for own in desks]) * self._size[1] + rows.market
        order = np.argsort(block, kind="stable")
        found, first, lengths = np.unique(block[order], return_index=True, return_counts=True)
        self._desk, self._market = np.divmod(found, self._size[1])
        column = np.arange(lengths.max())
        there = column < lengths[:, None]
        self._rows = rows.select(order[first[:, None] + np.where(there, column, 0)].ravel())
        self._iv = self._rows.iv.reshape(there.shape)
        self._weight = np.where(there, self._rows.weight.reshape(there.shape), 0.0)
        self._huber = by.huber_points / POINTS

    def train(self, weights: Floats) -> tuple[Floats, Floats]:
        trained = np.tile(weights.reshape(self._size[1], -1), (self._size[0], 1, 1))
        sure = np.zeros_like(trained)
        at = self._desk, self._market, self._told
        trained[at], sure[at] = self._fit(trained[at])
        flat = trained.reshape(self._size[0], -1)
        for desk in range(self._size[0]):
            flat[desk] = clip_move(weights, flat[desk], self._by.clip)
        self._add_state(trained, sure)
        return flat, sure.reshape(flat.shape)

    def _fit(self, start: Floats) -> tuple[Floats, Floats]:
        """`fedvol.learning.training.fit` on every block, (B, W), not clipped; and the curvature at the start."""
        by, smooth = self._by, self._smooth[self._told, self._told]
        unit = np.eye(len(smooth))
        here = start
        vols, slopes = self._see(here)
        sure = (self._weight[:, None] @ slopes**2)[:, 0] + np.diag(smooth)
        least, damping = self._cost(vols, here, start), np.full(self._size[0], by.damping)
        for _ in range(by.steps):
            miss = vols - self._iv
            pull = self._weight * huber_pull(miss, self._huber)
            gradient = ((pull * miss)[:, None] @ slopes)[:, 0] + by.prior * (here - start) + here @ smooth
            curved = (slopes * pull[..., None]).mT @ slopes + by.prior * unit + smooth
            step = np.linalg.solve(curved + damping[self._desk, None, None] * unit, -gradient[..., None])[..., 0]
            new_vols, new_slopes = self._see(here + step)
            reached = self._cost(new_vols, here + step, start)
            better = reached < least
            taken = better[self._desk]
            here = np.where(taken[:, None], here + step, here)
            vols = np.where(taken[:, None], new_vols, vols)
            slopes = new_slopes if taken.all() else np.where(taken[:, None, None], new_slopes, slopes)
            least, damping = np.where(better, reached, least), np.where(better, damping / 6, damping * 10)
        return here, sure

    def _see(self, weights: Floats) -> tuple[Floats, Floats]:
        """Vols (B, R), and their slopes in the block's own weights (B, R, W)."""
        tenors = self._model.tenors(self._opening.as_of)
        at = chart.chart(weights.reshape(len(weights), len(tenors), SLICES, 3), tenors)
        block = np.repeat(np.arange(len(weights)), self._iv.shape[1])
        vols, slopes = chart.vols_and_slopes(at, self._place(block, self._opening.as_of))
        return vols.reshape(self._iv.shape), slopes.reshape(*self._iv.shape, -1)

    def _cost(self, vols: Floats, weights: Floats, start: Floats) -> Floats:
        """What each desk's fit makes small, (N,)."""
        miss = np.abs(vols - self._iv)
        rows = np.where(miss < self._huber, miss * miss / 2, self._huber * (miss - self._huber / 2))
        move, smooth = weights - start, self._smooth[self._told, self._told]
        blocks = (self._weight * rows).sum(1) + self._by.prior / 2 * (move * move).sum(1)
        blocks += (weights @ smooth * weights).sum(1) / 2
        return np.bincount(self._desk, blocks, self._size[0])

    def _add_state(self, trained: Floats, sure: Floats) -> None:
        """What the state did to the version in force: as in `SsviMixture.train`, block by block."""
        found = self._model.state_slopes(self._opening, self._rows)
        if found is None:
            return
        miss, by_power = (column.reshape(self._iv.shape) for column in found)
        slopes = by_power[..., None] * np.asarray(self._opening.before.moves)[self._market, None]  # (B, R, 2)
        pull = self._weight * huber_pull(miss, self._huber)
        held = (slopes * pull[..., None]).mT @ slopes + STATE_PRIOR * np.eye(STATE_WEIGHTS)
        step = np.linalg.solve(held, slopes.mT @ (pull * miss)[..., None])[..., 0]
        at = self._desk, self._market, slice(-STATE_WEIGHTS, None)
        trained[at] -= step
        sure[at] = (self._weight[:, None] @ slopes**2)[:, 0]

    def _place(self, block: Integers, as_of: int) -> chart.Place:
        tenor = (self._rows.expiry - as_of) / YEAR
        return chart.Place(block, self._rows.k, tenor, chart.clock(tenor, 1.0))
