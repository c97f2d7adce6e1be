"""Membership inference as rows of the table of `benchmarks/leaks.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from benchmarks.leak_runs.inversion import CLUSTER, round_at_random
from numpy.typing import NDArray

from fedvol.lab.leaks.membership import alignment, likelihood_ratio, parting, shadow_tapes
from fedvol.lab.leaks.replay import Replay, Tapes
from fedvol.lab.leaks.scene import Round, join

Floats = NDArray[np.float64]
Scores = dict[str, tuple[list[Floats], list[Floats]]]

SHADOWS = 256
REPEATS, TRAINED = 40, 64
"""Of the attacker who knows every other row: trials a row with it and without, and shadows of each kind."""

OWN_ALIGNED = "the victim's update, alignment"
OWN, SUM, REST = "the victim's update", f"sum of {CLUSTER}", "sum less its own"
ALL_BUT_ONE = "everything but one row"
WITHOUT_NOISE = {OWN_ALIGNED, OWN, ALL_BUT_ONE, SUM, REST}
WITH_NOISE = {OWN, ALL_BUT_ONE, SUM}


def membership_rows(plays: Sequence[Round], replay: Replay, views: set[str], seed: int, budget: str = "") -> list[dict]:
    """A row for each view, over every desk of every round."""
    generator = np.random.default_rng(seed)
    noise = torch.Generator().manual_seed(seed)
    pooled: Scores = {view: ([], []) for view in (OWN_ALIGNED, OWN, SUM, REST, ALL_BUT_ONE) if view in views}
    for play in plays:
        for view, inside, outside in _round(play, replay, views, generator, noise):
            pooled[view][0].append(inside)
            pooled[view][1].append(outside)
    rows = []
    for view, (inside, outside) in pooled.items():
        found = parting(inside, outside)
        rows.append(
            {
                "setting": " + ".join(filter(None, ("masked" if view in (SUM, REST) else "plain", budget))),
                "sees": view,
                "members": found.members,
                "others": found.others,
                "auc": found.auc,
                "auc_interval": list(found.auc_interval),
                "rate": found.rate,
                "rate_interval": list(found.rate_interval),
            }
        )
    return rows


def _round(
    play: Round, replay: Replay, views: set[str], generator: np.random.Generator, noise: torch.Generator
) -> Iterator[tuple[str, Floats, Floats]]:
    def updates(tapes: Tapes) -> Floats:
        return round_at_random(replay.train(play.start, tapes, noise=noise).numpy(), generator)

    desks = range(len(play.held))
    seen = updates(Tapes.of(play.held))
    pools = [join(held, other) for held, other in zip(play.held, play.other, strict=True)]
    shadows: dict[int, tuple[Floats, NDArray[np.bool_]]] = {}
    if views & {OWN, SUM, REST}:
        for desk in desks:
            tapes, holds = shadow_tapes(pools[desk], SHADOWS, generator)
            shadows[desk] = updates(tapes), holds
    for desk in desks:
        others = generator.permutation([each for each in desks if each != desk])
        count = len(play.held[desk])
        if not count or not len(play.other[desk]):
            continue
        for view, size in ((OWN, 1), (SUM, CLUSTER), (REST, CLUSTER - 1)):
            if view in views:
                members = [desk, *others[: size - 1]]
                # Shadows of the others are drawn anew for each victim by shifting theirs.
                crowd = sum(np.roll(shadows[each][0], at, axis=0) for at, each in enumerate(members))
                scores = likelihood_ratio(seen[members].sum(axis=0), crowd, shadows[desk][1])
                yield view, scores[:count], scores[count:]
        if OWN_ALIGNED in views:
            scores = alignment(replay, play.start, seen[desk], pools[desk])
            yield OWN_ALIGNED, scores[:count], scores[count:]
        if ALL_BUT_ONE in views:
            yield ALL_BUT_ONE, *_all_but_one(play.held[desk], updates, generator)


def _all_but_one(held, updates, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Differential privacy's own attacker, on one row of the tape: it knows all others, and trains with and without."""
    target = int(generator.integers(len(held)))
    without = held.weight.copy()
    without[target] = 0.0
    count = TRAINED + REPEATS
    tapes = Tapes.of([held]).repeat(2 * count)
    weight = np.repeat(np.array([held.weight, without]), count, axis=0)
    trained = updates(tapes.weighing(torch.tensor(weight)))
    shadows = np.concatenate((trained[:TRAINED], trained[count : count + TRAINED]))
    holds = np.repeat([True, False], TRAINED)[:, None]
    scores = np.array([likelihood_ratio(each, shadows, holds)[0] for each in trained])
    return scores[TRAINED:count], scores[count + TRAINED :]
