"""What each player of a cooperative game adds: leave-one-out and Banzhaf values.

A game is a worth U(S) of every coalition S of n players, U(∅) = 0. The Banzhaf value of i is the mean of
U(S ∪ i) − U(S) over all S without i, each S the same. It is linear in U, so values add up over rounds; it gives the
same to players that add the same, and nothing to one that adds nothing; two players that become one get what they got
together (2-efficiency). Of three that become one nothing of the kind holds. Nor does it share out U of all: the values
sum to more or to less, and nobody's is scaled by another's. docs/lab.md says what that does to sybils.

Sources: Banzhaf, "Weighted voting doesn't work", 1965; Lehrer, "An axiomatization of the Banzhaf value", 1988; Wang,
Jia, "Data Banzhaf: a robust data valuation framework for machine learning", 2023, which has the estimator used here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Inside = NDArray[np.bool_]
"""(coalitions, players): who is in."""


def coalitions(players: int, most: int, rng: np.random.Generator) -> Inside:
    """All 2^players coalitions where they are at most `most`; else that many, drawn by a fair coin for each player."""
    if is_exact(players, most):
        return (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)
    return rng.random((most, players)) < 0.5


def is_exact(players: int, most: int) -> bool:
    return players < 63 and 1 << players <= most


def banzhaf(inside: Inside, worth: Floats) -> Floats:
    """Each player's mean worth of the coalitions with it, less that of those without it.

    Of all coalitions that is the Banzhaf value; of drawn ones the maximum-sample-reuse estimate of it, unbiased, in
    which every draw counts for every player.

    Args:
        inside, worth: (k, n) and (k,), from `coalitions`.

    Raises:
        ValueError: a player is in all coalitions, or in none.
    """
    with_, without = _counts(inside)
    return worth @ inside / with_ - worth @ ~inside / without


def sampling_variance(inside: Inside, worth: Floats) -> Floats:
    """The squared standard error of `banzhaf` of drawn coalitions, for each player."""
    out = np.zeros(inside.shape[1])
    for part, counts in zip((inside, ~inside), _counts(inside), strict=True):
        mean = worth @ part / counts
        out += (worth**2 @ part / counts - mean**2) / np.maximum(counts - 1, 1)
    return np.maximum(out, 0.0)


def _counts(inside: Inside) -> tuple[Floats, Floats]:
    with_ = inside.sum(axis=0)
    if not np.all((with_ > 0) & (with_ < len(inside))):
        raise ValueError("a player is in all coalitions or in none: draw more")
    return with_.astype(np.float64), (len(inside) - with_).astype(np.float64)
