"""Sums of clusters, told apart over many rounds: who moves how, from who sat with whom.

Seats are public, and so is the sum of every cluster. Each sum is an equation in its members' mean updates; where
clusters are drawn anew there are soon more equations than nodes. Where seats stay for an epoch, each epoch adds only as
many as there are clusters, less one.
"""

from __future__ import annotations

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
    draws = -(-rounds // epoch)
    drawn = np.array(
        [[seat((seed << 16) + draw, node, nodes) // size for node in range(nodes)] for draw in range(draws)]
    )
    return drawn.repeat(epoch, axis=0)[:rounds]


def cluster_sums(updates: Floats, clusters: NDArray[np.int64]) -> Floats:
    """rounds × clusters × d sums of rounds × nodes × d updates: all that anybody sees."""
    return np.einsum("rcn,rnd->rcd", _membership(clusters), updates)


def tell_apart(sums: Floats, clusters: NDArray[np.int64]) -> Floats:
    """nodes × d: the mean update of each node, estimated from the sums of its clusters.

    What all nodes do in a round is known and taken out; what is left is regressed on membership, weight by weight.
    Ridge regression, its penalty chosen by generalised cross-validation (Golub, Heath, Wahba, Technometrics 21, 1979):
    where seats stay, least squares would be worse than no guess.
    """
    nodes = clusters.shape[1]
    membership = _membership(clusters)
    everybody = sums.sum(axis=1, keepdims=True) / nodes
    own = sums - membership.sum(axis=2, keepdims=True) * everybody
    design = membership.reshape(-1, nodes)
    return everybody.mean(axis=0) + _ridge(design, own.reshape(len(design), -1))


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
    # The sums of one draw of seats say the same thing but once.
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
