"""Cluster sums told apart, as rows of the table of `benchmarks/leaks.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fedvol.lab.leaks.differencing import cluster_sums, cosine, seating, tell_apart
from fedvol.lab.leaks.replay import Replay, Tapes
from fedvol.learning.rows import Rows

Floats = NDArray[np.float64]

ROUNDS = (25, 100)
SIZES = (4, 8)
EPOCHS = {"every round": 1, "every 10 rounds": 10, "never": 1 << 20}
SEEDS = 10


def updates_of(
    tapes: Sequence[Sequence[Rows]], start: Floats, replay: Replay, warm_up: int, step: float, seed: int
) -> tuple[Floats, Floats]:
    """rounds × nodes × d: what nodes send, and what they would without noise, from the weights of the same round."""
    noise = torch.Generator().manual_seed(seed)
    weights, sent, meant = start, [], []
    for number, held in enumerate(tapes):
        batch = Tapes.of(held)
        moves = replay.train(weights, batch, noise=noise).numpy()
        if number >= warm_up:
            sent.append(moves)
            meant.append(replay.train(weights, batch).numpy() if replay.settings.privacy else moves)
        weights = weights + step * moves.mean(axis=0)
    return np.array(sent), np.array(meant)


def differencing_rows(setting: str, sent: Floats, meant: Floats) -> list[dict]:
    """Cosines of estimates with the mean of what nodes meant to send, averaged over nodes and over draws of seats.

    `cosine` is of the whole, `own` of what is left when the average of all nodes, which is public, is taken out;
    `of_the_average` is what that average alone reaches, `of_all_updates` the plain mode.
    """
    nodes, rounds = sent.shape[1], len(sent)
    truth = meant.mean(axis=0)
    average = np.broadcast_to(sent.mean(axis=(0, 1)), truth.shape)
    rows = []
    for size in SIZES:
        for redrawn, epoch in EPOCHS.items():
            each, own = [], []
            for seed in range(SEEDS):
                clusters = seating(seed, rounds, nodes, size, min(epoch, rounds))
                found = tell_apart(cluster_sums(sent, clusters), clusters)
                each.append(cosine(found, truth).mean())
                own.append(cosine(found - average, truth - truth.mean(axis=0)).mean())
            rows.append(
                {
                    "setting": setting,
                    "nodes": nodes,
                    "cluster": size,
                    "rounds": rounds,
                    "redrawn": redrawn,
                    "cosine": float(np.mean(each)),
                    "spread": float(np.std(each, ddof=1)),
                    "own": float(np.mean(own)),
                    "own_spread": float(np.std(own, ddof=1)),
                    "of_the_average": float(cosine(average, truth).mean()),
                    "of_all_updates": float(cosine(sent.mean(axis=0), truth).mean()),
                }
            )
    return rows
