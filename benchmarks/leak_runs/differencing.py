"""Cluster sums told apart, as rows of the table of `benchmarks/leaks.py`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.federation import PLAN_RULE
from fedvol.lab.leaks.differencing import cluster_sums, cosine, seating, tell_apart
from fedvol.lab.leaks.scene import Round, secret, send
from fedvol.lab.replay.snapshots import Snapshot
from fedvol.learning.model import Model
from fedvol.learning.settings import Settings
from fedvol.protocol.rule import combine

Floats = NDArray[np.float64]

SIZES = (4, 8)
EPOCHS = {"every round": 1, "every 10 rounds": 10, "never": 1 << 20}
SEEDS = 10


def updates_of(
    model: Model, found: Sequence[Snapshot], settings: Settings, quiet: Settings | None, warm_up: int, seed: int
) -> dict[str, tuple[Floats, Floats]]:
    """For both kinds of lanes, rounds × nodes × d: what nodes send, and what they would without noise (`quiet`), from
    the weights of the same round; a round a snapshot."""
    generator, weights = np.random.default_rng(seed), model.initial_weights()
    sent, meant = [], []
    for number, at in enumerate(found):
        if number:
            weights = model.carry(weights, found[number - 1].as_of, at.as_of)
        play = Round(weights, at.as_of, list(at.desks), [])
        seen = [send(model, play, rows, secret(generator), settings) for rows in at.desks]
        if number >= warm_up:
            sent.append(seen)
            meant.append([send(model, play, rows, bytes(32), quiet) for rows in at.desks] if quiet else seen)
        weights = combine(PLAN_RULE, weights, *(np.stack(lanes) for lanes in _lanes(seen)))
    return {
        name: tuple(np.array([[getattr(one, name) for one in seen] for seen in each], float) for each in (sent, meant))
        for name in ("moves", "weights")
    }


def _lanes(seen) -> tuple[list, list]:
    return [one.moves for one in seen], [one.weights for one in seen]


def differencing_rows(setting: str, lanes: str, sent: Floats, meant: Floats) -> list[dict]:
    """Cosines of estimates with the mean of what nodes meant to send, averaged over nodes and over draws of seats.

    `cosine` is of the whole, `own` of what is left when the average of all nodes, which is public, is taken out;
    `of_the_average` is what that average alone reaches.
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
                    "lanes": lanes,
                    "nodes": nodes,
                    "cluster": size,
                    "rounds": rounds,
                    "redrawn": redrawn,
                    "cosine": float(np.mean(each)),
                    "own": float(np.mean(own)),
                    "own_spread": float(np.std(own, ddof=1)),
                    "of_the_average": float(cosine(average, truth).mean()),
                }
            )
    return rows
