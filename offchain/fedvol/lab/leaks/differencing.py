"""Sums of clusters, told apart over many rounds: who moves how, from who sat with whom.

Seats are public, and so is the sum of every cluster. Each sum is an equation in its members' mean updates; where
clusters are drawn anew there are soon more equations than nodes. Where seats stay for an epoch, each epoch adds only as
many as there are clusters, less one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from fedvol.protocol.seat import seat

Floats = NDArray[np.float64]


def seating(seed: int, rounds: int, nodes: int, size: int, epoch: int = 1) -> NDArray[np.int64]:
    """rounds × nodes: the cluster of each node, by the protocol's lot, drawn anew every `epoch` rounds.

    Args:
        size: of a cluster; divides `nodes`.
    """
    if nodes % size:
        raise ValueError(f"clusters of {size} do not divide {nodes} nodes")
    seats = np.array([_seats((seed << 16) + draw, nodes) for draw in range(-(-rounds // epoch))])
    return (seats // size).repeat(epoch, axis=0)[:rounds]


@cache
def _seats(seed: int, nodes: int) -> tuple[int, ...]:
    return tuple(seat(seed, node, nodes) for node in range(nodes))


def cluster_sums(updates: Floats, clusters: NDArray[np.int64]) -> Floats:
    """rounds × clusters × d sums of rounds × nodes × d updates: all that anybody sees."""
    return np.einsum("rcn,rnd->rcd", _membership(clusters), updates)


def tell_apart(sums: Floats, clusters: NDArray[np.int64]) -> Floats:
    """nodes × d: the mean update of each node, estimated from the sums of its clusters.

    What all nodes do in a round is known and taken out; what is left is regressed on membership, weight by weight.
    Rounds of the same seats are one observation, their mean: what nodes do changes more slowly than by the round. Ridge
    regression, its penalty chosen by generalised cross-validation (Golub, Heath, Wahba, Technometrics 21, 1979): where
    seats stay, least squares would be worse than no guess.
    """
    nodes = clusters.shape[1]
    new = np.append(True, (np.diff(clusters, axis=0) != 0).any(axis=1))
    draw = np.cumsum(new) - 1
    times = np.bincount(draw)[:, None, None]
    mean = np.zeros((len(times), *sums.shape[1:]))
    np.add.at(mean, draw, sums)
    mean /= times
    membership = _membership(clusters[new])
    own = mean - membership.sum(axis=2, keepdims=True) * mean.sum(axis=1, keepdims=True) / nodes
    design = (np.sqrt(times) * membership).reshape(-1, nodes)
    everybody = sums.sum(axis=1).mean(axis=0) / nodes
    return everybody + _ridge(design, (np.sqrt(times) * own).reshape(len(design), -1))


def _ridge(design: Floats, values: Floats) -> Floats:
    """Ridge regression of each column of `values`, each with the penalty that cross-validation likes best."""
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    real = singular > 1e-9 * singular[0]
    left, singular, right = left[:, real], singular[real], right[real]
    told = left.T @ values
    outside = (values**2).sum(axis=0) - (told**2).sum(axis=0)
    penalties = singular[0] ** 2 * np.logspace(-6, 3, 28)
    shrink = singular**2 / (singular**2 + penalties[:, None])
    missed = outside + ((1 - shrink[:, :, None]) ** 2 * told**2).sum(axis=1)
    freedom = len(design) - shrink.sum(axis=1)
    best = np.argmin(missed / freedom[:, None] ** 2, axis=0)
    return right.T @ (shrink[best].T / singular[:, None] * told)


def cosine(a: Floats, b: Floats) -> Floats:
    """Of each row with its twin; 0 where one is 0."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.einsum("...d,...d->...", a, b) / np.where(lengths > 0, lengths, 1)


def _membership(clusters: NDArray[np.int64]) -> Floats:
    """rounds × clusters × nodes of 0 and 1."""
    return (clusters[:, None, :] == np.arange(clusters.max() + 1)[None, :, None]).astype(np.float64)
