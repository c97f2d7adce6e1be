"""Local training of one round: a robust fit of a surface to a desk's rows, held near the round's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.functional import huber_loss

from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings

Surface = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(weights, market, k, T) → implied vols, differentiable in the weights."""

Penalty = Callable[[Tensor], Tensor]
"""weights → a number ≥ 0, for what rows leave open."""


def fit(
    surface: Surface, penalty: Penalty, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings
) -> NDArray[np.float64]:
    """Adam on: the rows' weighted mean Huber misfit in vol points + smoothing · penalty + proximal · |move|²
    / 2.

    One thread, float64, no randomness but the seed's: the same arguments give the same bytes. A weight whose
    gradient is zero throughout does not move at all, so a desk without rows returns what it was given.
    """
    torch.set_num_threads(1)
    start = torch.tensor(np.asarray(weights, dtype=np.float64))
    if not len(rows):
        return start.numpy()
    rows = _at_most(rows, settings.max_rows, seed)
    market, k, T, iv, weight = (torch.tensor(c) for c in (rows.market, rows.k, rows.T, rows.iv, rows.weight))
    total = float(weight.sum())
    confidence = min(1.0, total / settings.few_rows)

    local = start.clone().requires_grad_()
    adam = torch.optim.Adam([local], lr=settings.learning_rate, foreach=False)
    decay = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / settings.steps)
    for _ in range(settings.steps):
        adam.zero_grad()
        vols = surface(local, market, k, T)
        misfit = huber_loss(POINTS * vols, POINTS * iv, reduction="none", delta=settings.huber_points)
        told = torch.dot(weight, misfit) / total + settings.smoothing * penalty(local)
        (confidence * told + settings.proximal / 2 * torch.sum((local - start) ** 2)).backward()
        adam.step()
        decay.step()

    return clip_move(start, local, settings.clip)


def clip_move(start: Tensor, local: Tensor, longest: float) -> NDArray[np.float64]:
    """The trained weights, moved at most `longest` (L2) from where they started."""
    move = local.detach() - start
    length = float(torch.linalg.vector_norm(move))
    if length > longest:
        move *= longest / length
    return (start + move).numpy()


def curvature(surface: Surface, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings) -> NDArray[np.float64]:
    """How much the rows say about each weight: the diagonal of the Gauss–Newton matrix of their weighted misfit,
    h_j = Σᵢ weightᵢ · (∂iv_i / ∂weight_j)², with vols as fractions. Zero where no row moves with the weight.

    Source: the diagonal empirical Fisher as in Matena, Raffel, "Merging models with Fisher-weighted averaging", 2022.
    """
    torch.set_num_threads(1)
    start = torch.tensor(np.asarray(weights, dtype=np.float64))
    if not len(rows):
        return np.zeros(start.numel())
    rows = _at_most(rows, settings.max_rows, seed)
    market, k, T, weight = (torch.tensor(c) for c in (rows.market, rows.k, rows.T, rows.weight))
    slopes = torch.func.jacfwd(lambda w: surface(w, market, k, T))(start)
    return torch.mv((slopes**2).T, weight).numpy()


def _at_most(rows: Rows, count: int, seed: bytes) -> Rows:
    if len(rows) <= count:
        return rows
    entropy = int.from_bytes(hashlib.sha256(b"fedvol rows of a round" + seed).digest(), "big")
    generator = np.random.Generator(np.random.PCG64(entropy))
    return rows.select(np.sort(generator.choice(len(rows), count, replace=False)))
