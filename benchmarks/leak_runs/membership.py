"""Membership inference as rows of the table of `benchmarks/leaks.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from benchmarks.leak_runs.inversion import CLUSTER
from numpy.typing import NDArray

from fedvol.lab.leaks.membership import (
    features,
    likelihood_ratio,
    matched,
    parting,
    pulls,
    shadow_tapes,
    told_lanes,
    undone,
)
from fedvol.lab.leaks.scene import PLAN_RULE, UNWEIGHTED, Round, Seen, join, secret, send
from fedvol.learning.model import Model
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings

Floats = NDArray[np.float64]

SHADOWS = 96
REPEATS, TRAINED = 32, 16
"""Of the attacker who knows every other row: trials a row with it and without, and shadows of each kind."""

MOVES, OWN, SUM, ALL_BUT_ONE = "moves alone", "the victim's update", f"sum of {CLUSTER}", "everything but one row"
WITHOUT_NOISE = (MOVES, OWN, SUM, ALL_BUT_ONE)
WITH_NOISE = (OWN, SUM, ALL_BUT_ONE)


def membership_rows(
    model: Model, plays: Sequence[Round], settings: Settings, views: Sequence[str], seed: int, budget: str = ""
) -> list[dict]:
    """A row for each view, over every desk of every round."""
    generator = np.random.default_rng(seed)
    pooled: dict[str, tuple[list[Floats], list[Floats]]] = {view: ([], []) for view in views}
    for play in plays:
        for view, inside, outside in _round(model, play, settings, generator):
            pooled[view][0].append(inside)
            pooled[view][1].append(outside)
    rows = []
    for view, (inside, outside) in pooled.items():
        found = parting(inside, outside)
        rows.append(
            {
                "setting": " + ".join(filter(None, ("masked" if view == SUM else "plain", budget))),
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
    model: Model, play: Round, settings: Settings, generator: np.random.Generator
) -> Iterator[tuple[str, Floats, Floats]]:
    def sent(tapes: Sequence[Rows], by=PLAN_RULE) -> list[Seen]:
        return [send(model, play, rows, secret(generator), settings, by) for rows in tapes]

    desks = range(len(play.held))
    pools = [join(held, other) for held, other in zip(play.held, play.other, strict=True)]
    crowds = [[desk, *generator.permutation([m for m in desks if m != desk])[: CLUSTER - 1]] for desk in desks]
    if settings.privacy is not None:
        yield from _private(model, play, pools, crowds, settings.privacy, sent, generator)
        return
    drawn = [shadow_tapes(pool, SHADOWS, generator) for pool in pools]
    for view, by in ((MOVES, UNWEIGHTED), (OWN, PLAN_RULE)):
        seen = sent(play.held, by)
        shadows = [sent(tapes, by) for tapes, _ in drawn]
        for desk in desks:
            yield view, *_scores(model, play, desk, pools[desk], seen[desk], shadows[desk], drawn[desk][1])
    for desk, members in zip(desks, crowds, strict=True):
        # Shadows of the others are drawn anew for each victim by shifting theirs.
        crowd = [
            reduce(Seen.__add__, (shadows[m][(number + at) % SHADOWS] for at, m in enumerate(members)))
            for number in range(SHADOWS)
        ]
        total = reduce(Seen.__add__, (seen[m] for m in members))
        yield SUM, *_scores(model, play, desk, pools[desk], total, crowd, drawn[desk][1])
    for held in filter(len, play.held):
        seen_all = sent(_all_but_one(held, TRAINED + REPEATS, generator)[0])
        known = np.array([features(one) for one in seen_all]).reshape(2, TRAINED + REPEATS, -1)
        spread = known[:, :TRAINED].reshape(2 * TRAINED, -1).var(axis=0)
        live = spread > 0
        apart = (known[0, :TRAINED] - known[1, :TRAINED]).mean(axis=0)[live] / spread[live]
        yield ALL_BUT_ONE, *(known[:, TRAINED:, live] @ apart - known[:, :TRAINED, live].mean(axis=(0, 1)) @ apart)


def _private(
    model: Model, play: Round, pools: list[Rows], crowds: list[list[int]], privacy: Privacy, sent, generator
) -> Iterator[tuple[str, Floats, Floats]]:
    noise = privacy.charge().noise * privacy.clip
    sums = [undone(model, play, one, privacy) for one in sent(play.held)]
    each = [pulls(model, play, pool, privacy) for pool in pools]
    for desk, members in enumerate(crowds):
        count, size = len(play.held[desk]), len(pools[desk])
        own = matched(sums[desk], each[desk], noise)
        yield OWN, own[:count], own[count:]
        total = matched(sum(sums[m] for m in members), np.concatenate([each[m] for m in members]), 2 * noise)
        yield SUM, total[:count], total[count:size]
    for held in filter(len, play.held):
        tapes, target = _all_but_one(held, REPEATS, generator)
        known = pulls(model, play, held, privacy)
        direction, middle = known[target], known.sum(axis=0) - known[target] / 2
        scores = np.array([(undone(model, play, one, privacy) - middle) @ direction for one in sent(tapes)])
        yield ALL_BUT_ONE, scores[:REPEATS], scores[REPEATS:]


def _scores(model, play, desk, pool, seen, shadows, holds) -> tuple[Floats, Floats]:
    lanes = told_lanes(model, play, pool, len(features(seen)))
    scores = likelihood_ratio(features(seen), np.array([features(each) for each in shadows]), holds, lanes)
    count = len(play.held[desk])
    return scores[:count], scores[count:]


def _all_but_one(held: Rows, count: int, generator: np.random.Generator) -> tuple[list[Rows], int]:
    """Differential privacy's own attacker, on one row of the tape: it knows all others, and sees training with and
    without."""
    target = int(generator.integers(len(held)))
    return [held] * count + [held.select(np.arange(len(held)) != target)] * count, target
