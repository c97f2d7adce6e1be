"""Is this row in the victim's tape? Scores for members and for rows that could have been, and how well they part.

Source: Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022 (likelihood ratio against
shadow trainings; true positives at a tiny rate of false ones). The attacker knows all rows that the victim may hold,
twice as many as it does hold, trains shadow tapes with random halves of them, and compares. A private update is a sum
and Gaussian noise once its public part is undone, so that the ratio can be written down without shadows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.leaks.scene import PLAN_RULE, Round, Seen
from fedvol.learning.model import Model
from fedvol.learning.privacy import Privacy
from fedvol.learning.private import evened, gradients
from fedvol.learning.rows import POINTS, Rows

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RIDGE = 1e-3
"""Added to the shadows' covariance, in its own mean variance: what too few shadows leave singular."""


def shadow_tapes(pool: Rows, count: int, generator: np.random.Generator) -> tuple[list[Rows], Mask]:
    """`count` tapes, each a random half of the pool, and which rows (count × C) each of them holds."""
    holds = generator.random((count, len(pool))) < 0.5
    return [pool.select(held) for held in holds], holds


def features(seen: Seen) -> Floats:
    """All lanes as one vector of floats."""
    return np.concatenate([seen.moves, [] if seen.weights is None else seen.weights]).astype(np.float64)


def told_lanes(model: Model, play: Round, rows: Rows, lanes: int) -> Mask:
    """C × lanes: the weights that each row reads by itself, in every lane of a vector."""
    _, slopes = model.see(model.spec.to_float(play.weights), rows, play.as_of)
    reads = np.abs(slopes) > 1e-3 * np.abs(slopes).max(axis=1, keepdims=True)
    return np.tile(reads, (1, lanes // model.spec.dimension))


def likelihood_ratio(seen: Floats, shadows: Floats, holds: Mask, lanes: Mask | None = None) -> Floats:
    """For each of C rows the log-likelihood ratio of what was seen, the row in the tape against not, under Gaussians
    of one covariance fitted to S shadows.

    Args:
        seen: d.
        shadows: S × d, of the same kind as `seen`: an update, or a cluster's sum.
        holds: S × C.
        lanes: C × d, where each row is looked for; everywhere by default.
    """
    lanes = np.ones((holds.shape[1], len(seen)), dtype=bool) if lanes is None else lanes
    live = shadows.std(axis=0) > 0
    scale = np.where(live, shadows.std(axis=0), 1.0)
    seen, shadows = seen / scale, shadows / scale
    return np.array(
        [_ratio(seen[own & live], shadows[:, own & live], held) for own, held in zip(lanes, holds.T, strict=True)]
    )


def _ratio(seen: Floats, shadows: Floats, held: Mask) -> float:
    if not len(seen) or held.all() or not held.any():
        return 0.0
    with_row, without = shadows[held].mean(axis=0), shadows[~held].mean(axis=0)
    covariance = np.cov(np.where(held[:, None], shadows - with_row, shadows - without), rowvar=False)
    inverse = np.linalg.solve(covariance.reshape(len(seen), -1) + RIDGE * np.eye(len(seen)), with_row - without)
    return float((seen - (with_row + without) / 2) @ inverse)


def undone(model: Model, play: Round, seen: Seen, privacy: Privacy) -> Floats:
    """The noisy sum of clipped pulls that a private update of one step was made of: all else in it is public."""
    told, start = model.told() > 0, model.spec.to_float(play.weights)
    even = evened(model, start, play.as_of, privacy)
    move = seen.moves * 2.0**PLAN_RULE.weight_shift / np.maximum(seen.weights, 1) / model.spec.scale
    public = even.T @ (privacy.smoothing * model.smoothness(play.as_of) @ start)[told]
    return -POINTS * (np.linalg.solve(even, move[told]) / privacy.pace + public)


def pulls(model: Model, play: Round, rows: Rows, privacy: Privacy) -> Floats:
    """What each row adds to that sum, C × t."""
    told, start = model.told() > 0, model.spec.to_float(play.weights)
    each = gradients(model, start, rows, play.as_of)[:, told] @ evened(model, start, play.as_of, privacy)
    return each * np.minimum(1.0, privacy.clip / np.maximum(np.linalg.norm(each, axis=1, keepdims=True), 1e-12))


def matched(seen: Floats, pulls: Floats, noise: float) -> Floats:
    """For each of C rows the log-likelihood ratio of a sum of pulls and noise, each row in it with even odds."""
    directions = np.linalg.solve(noise**2 * np.eye(len(seen)) + pulls.T @ pulls / 4, pulls.T).T
    # The row itself is not noise to itself; taken out by Sherman and Morrison's formula.
    within = 1 - np.einsum("cd,cd->c", pulls, directions) / 4
    return directions @ (seen - pulls.sum(axis=0) / 2) / within


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
