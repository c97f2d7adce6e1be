"""Is this row in the victim's tape? Scores for members and for rows that could have been, and how well they part.

Source: Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022 (likelihood ratio against
shadow trainings; true positives at a tiny rate of false ones). The attacker knows all rows that the victim may hold,
twice as many as it does hold, trains shadow tapes with random halves of them, and compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fedvol.lab.leaks.replay import Replay, Tapes
from fedvol.learning.rows import POINTS, Rows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RIDGE = 1e-3
"""Added to the shadows' covariance, in its own mean variance: what too few shadows leave singular."""


def shadow_tapes(pool: Rows, count: int, generator: np.random.Generator) -> tuple[Tapes, Mask]:
    """`count` tapes, each a random half of the pool, and which rows (count × C) each of them holds."""
    holds = generator.random((count, len(pool))) < 0.5
    every = Tapes.of([pool]).repeat(count)
    return every.weighing(every.weight * torch.tensor(holds)), holds


def likelihood_ratio(seen: Floats, shadows: Floats, holds: Mask) -> Floats:
    """For each of C rows the log-likelihood ratio of what was seen, the row in the tape against not, under Gaussians
    of one covariance fitted to S shadows.

    Args:
        seen: d.
        shadows: S × d, of the same kind as `seen`: an update, or a cluster's sum.
        holds: S × C.
    """
    live = shadows.std(axis=0) > 0
    if not live.any():
        return np.zeros(holds.shape[1])
    scale = shadows[:, live].std(axis=0)
    shadows, seen = shadows[:, live] / scale, seen[live] / scale
    inside = holds / np.maximum(holds.sum(axis=0), 1)
    outside = ~holds / np.maximum((~holds).sum(axis=0), 1)
    with_row, without = inside.T @ shadows, outside.T @ shadows
    covariance = np.cov(shadows, rowvar=False).reshape(live.sum(), -1)
    apart = with_row - without
    directions = np.linalg.solve(covariance + RIDGE * np.eye(len(covariance)), apart.T).T
    # The covariance of all shadows holds what the row itself adds; taken out by Sherman and Morrison's formula.
    share = holds.mean(axis=0)
    within = 1 - share * (1 - share) * np.einsum("cd,cd->c", apart, directions)
    return np.einsum("cd,cd->c", seen - (with_row + without) / 2, directions) / np.maximum(within, RIDGE)


def alignment(replay: Replay, start: Floats, seen: Floats, rows: Rows) -> Floats:
    """Cosine of what was seen with the step that each row alone would pull the round's weights: no shadows needed."""
    slopes = replay.slopes(torch.tensor(start)[None], Tapes.of([rows]))
    force = (POINTS * (slopes.vol - torch.tensor(rows.iv))).clamp(
        -replay.settings.huber_points, replay.settings.huber_points
    )
    pull = torch.zeros(len(rows), len(start), dtype=torch.float64)
    pull.scatter_add_(1, slopes.at[0], -(force[0, :, None] * slopes.slope[0]))
    return torch.cosine_similarity(pull, torch.tensor(seen)[None], dim=1, eps=1e-12).numpy()


@dataclass(frozen=True)
class Parting:
    """How well scores part members from others, with 95% intervals from resampling whole victims.

    Args:
        auc: probability that a member scores above another row; 0.5 is chance.
        rate: share of members above all but `false_rate` of the others; chance is `false_rate`.
    """

    members: int
    others: int
    auc: float
    auc_interval: tuple[float, float]
    rate: float
    rate_interval: tuple[float, float]


def parting(
    members: Sequence[Floats], others: Sequence[Floats], false_rate: float = 1e-3, draws: int = 200, seed: int = 0
) -> Parting:
    """Scores of one victim and round are one item of each sequence; they are pooled under one threshold."""
    generator = np.random.default_rng(seed)
    whole = _parts(members, others, false_rate)
    again = np.array(
        [
            _parts([members[i] for i in chosen], [others[i] for i in chosen], false_rate)
            for chosen in generator.integers(0, len(members), (draws, len(members)))
        ]
    )
    low, high = np.quantile(again, (0.025, 0.975), axis=0)
    sizes = sum(map(len, members)), sum(map(len, others))
    return Parting(*sizes, whole[0], (low[0], high[0]), whole[1], (low[1], high[1]))


def _parts(members: Sequence[Floats], others: Sequence[Floats], false_rate: float) -> tuple[float, float]:
    inside, outside = np.concatenate(members), np.sort(np.concatenate(others))
    # Ties count half in the one, as misses in the other.
    below = np.searchsorted(outside, inside, "left") + np.searchsorted(outside, inside, "right")
    threshold = outside[-1 - int(false_rate * len(outside))]
    return float(below.mean() / 2 / len(outside)), float((inside > threshold).mean())
