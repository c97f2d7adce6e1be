"""Local training of one round: a robust fit of a surface to a desk's rows, held near the round's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings

Floats = NDArray[np.float64]

See = Callable[[Floats], tuple[Floats, Floats]]
"""weights → (vols of n rows, their slopes in the d weights, (n, d))."""


def fit(see: See, start: Floats, iv: Floats, weight: Floats, smoothness: Floats, settings: Settings) -> Floats:
    """A few steps of Levenberg and Marquardt on: the rows' weighted Huber misfit + prior / 2 · |move|² + w' Q w / 2.

    Everything in vols as fractions, so that a row that moves one to one with a weight counts 1 beside `prior` and Q. No
    randomness: the same arguments give the same bytes on one machine.

    Args:
        iv, weight: n vols and their weights.
        smoothness: Q, (d, d), what neighbours pull.

    Source: Marquardt, "An algorithm for least-squares estimation of nonlinear parameters", 1963; Huber's weights by
    iteration as in Holland and Welsch, "Robust regression using iteratively reweighted least-squares", 1977.
    """
    huber = settings.huber_points / POINTS
    unit = np.eye(start.size)

    def cost(vols: Floats, weights: Floats) -> float:
        miss = np.abs(vols - iv)
        rows = np.where(miss < huber, miss * miss / 2, huber * (miss - huber / 2))
        move = weights - start
        return float(weight @ rows + settings.prior / 2 * move @ move + weights @ smoothness @ weights / 2)

    here = start
    vols, slopes = see(here)
    least, damping = cost(vols, here), settings.damping
    for _ in range(settings.steps):
        miss = vols - iv
        pull = weight * huber_pull(miss, huber)
        gradient = slopes.T @ (pull * miss) + settings.prior * (here - start) + smoothness @ here
        curved = (slopes.T * pull) @ slopes + settings.prior * unit + smoothness
        step = np.linalg.solve(curved + damping * unit, -gradient)
        new_vols, new_slopes = see(here + step)
        reached = cost(new_vols, here + step)
        if reached < least:
            here, vols, slopes, least = here + step, new_vols, new_slopes, reached
            damping /= 6
        else:
            damping *= 10
    return clip_move(start, here, settings.clip)


def huber_pull(miss: Floats, huber: float) -> Floats:
    """What a row's misfit leaves of its weight: 1 up to `huber`, then as much less as it lies farther off."""
    return huber / np.maximum(np.abs(miss), huber)


def clip_move(start: Floats, trained: Floats, longest: float) -> Floats:
    """The trained weights, moved at most `longest` (L2) from where they started."""
    move = trained - start
    length = float(np.linalg.norm(move))
    return start + move * (longest / length) if length > longest else trained


def at_most(rows: Rows, count: int, seed: bytes) -> Rows:
    """These rows, or `count` of them drawn by the seed."""
    if len(rows) <= count:
        return rows
    entropy = int.from_bytes(hashlib.sha256(b"fedvol rows of a round" + seed).digest(), "big")
    generator = np.random.Generator(np.random.PCG64(entropy))
    return rows.select(np.sort(generator.choice(len(rows), count, replace=False)))
