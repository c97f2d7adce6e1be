"""Rows read back, as rows of the table of `benchmarks/leaks.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from fedvol.lab.leaks import inversion
from fedvol.lab.leaks.scene import UNWEIGHTED, Round, Seen, join, masked, read_lanes, secret, send
from fedvol.learning.model import Model
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings

CLUSTER = 4
LOOKS = 12
MASKED = "its masked vector"
PLAIN = Settings()


@dataclass(frozen=True)
class Victim:
    """A victim's tape first, then those of its cluster; what was quoted publicly a round before."""

    play: Round
    tapes: list[Rows]
    chain: Rows


def victims(plays: Sequence[Round], size: int, count: int, generator: np.random.Generator) -> list[Victim]:
    """`count` victims with tapes of `size` rows each, in clusters of their own, in the last round.

    A tape is drawn from what a desk saw in this and, where that is too few, earlier snapshots."""
    last, found = plays[-1], []
    pools = [
        join(*(rows for play in plays[::-1] for rows in (play.held[desk], play.other[desk])))
        for desk in range(len(last.held))
    ]
    pools = [pool.after(last.as_of) for pool in pools]
    chain = join(*plays[-2].held, *plays[-2].other).after(last.as_of)
    for number in range(count):
        own = number % len(pools)
        desks = [own, *generator.permutation([desk for desk in range(len(pools)) if desk != own])[: CLUSTER - 1]]
        tapes = []
        for desk in desks:
            newest = pools[desk].select(np.arange(min(len(pools[desk]), max(2 * size, 64))))
            tapes.append(newest.select(np.sort(generator.choice(len(newest), min(size, len(newest)), replace=False))))
        found.append(Victim(last, tapes, chain))
    return found


def inversion_rows(model: Model, crowd: Sequence[Victim], bent: bool, generator: np.random.Generator) -> list[dict]:
    """A row for each of what an attacker may see."""

    def own(victim: Victim) -> Seen:
        return send(model, victim.play, victim.tapes[0], secret(generator), PLAIN)

    def lanes(victim: Victim) -> Seen:
        return read_lanes(model.spec.dimension, masked(own(victim), generator))

    def total(victim: Victim) -> Seen:
        each = [send(model, victim.play, rows, secret(generator), PLAIN) for rows in victim.tapes]
        return reduce(Seen.__add__, each)

    def moves(victim: Victim) -> Seen:
        return send(model, victim.play, victim.tapes[0], secret(generator), PLAIN, UNWEIGHTED)

    def by_weights(victim: Victim, seen: Seen, senders: int = 1) -> Rows:
        return inversion.from_weights(model, victim.play, seen, senders)

    def by_both(victim: Victim, seen: Seen) -> Rows:
        return inversion.bend(model, victim.play, seen, by_weights(victim, seen), PLAIN, LOOKS)

    def by_moves(victim: Victim, seen: Seen) -> Rows:
        count = len(victim.tapes[0])
        guess = inversion.from_moves(model, victim.play, seen, PLAIN, count)
        return inversion.bend(model, victim.play, seen, guess, PLAIN, LOOKS) if bent else guess

    def blind(victim: Victim, seen: object) -> Rows:
        return thinned(victim.chain, len(victim.tapes[0]))

    def by_lanes(victim: Victim, seen: Seen) -> Rows:
        return thinned(by_weights(victim, seen), len(victim.tapes[0]))

    def thinned(rows: Rows, count: int) -> Rows:
        return rows.select(generator.choice(len(rows), min(count, len(rows)), replace=False))

    views: list[tuple[str, str, Callable, Callable]] = [
        ("none", "the public chain of the round before, number of rows known", lanes, blind),
        ("plain", "weight lanes alone", own, by_weights),
        ("plain", "moves alone, number of rows known", moves, by_moves),
        ("masked", f"{MASKED}, number of rows known", lanes, by_lanes),
        ("masked", f"sum of {CLUSTER}, weight lanes", total, lambda v, s: by_weights(v, s, CLUSTER)),
    ]
    if bent:
        views.insert(2, ("plain", "weight lanes and moves", own, by_both))
    return [
        {"setting": setting, "sees": sees, "rows": len(crowd[0].tapes[0]), "victims": len(crowd)}
        | _tally(model, crowd, [look(victim) for victim in crowd], read, sees)
        for setting, sees, look, read in views
    ]


def _tally(model: Model, crowd: Sequence[Victim], seen: list[Seen], read: Callable, sees: str) -> dict:
    cluster = "sum" in sees
    said, scores = [], []
    for victim, each in zip(crowd, seen, strict=True):
        rows = victim.tapes[0]
        if "moves alone" in sees:
            named = inversion.said_by_moves(model, victim.play, each, PLAIN)
        else:
            named = inversion.said_by_weights(model, victim.play, each, CLUSTER if cluster else 1)
        said.append(inversion.balanced_accuracy(named, inversion.touched(model.spec, rows, victim.play.as_of)))
        guess = read(victim, each)
        # How many rows there are is asked of whom the lanes are of: of the whole cluster in a sum.
        whole = join(*victim.tapes) if cluster else rows
        known = "known" in sees
        scores.append((inversion.score(rows, guess), None if known else abs(len(guess) / len(whole) - 1)))
    found = np.array([score.found for score, _ in scores])
    return {
        "found": float(found.mean()),
        "found_error": float(found.std(ddof=1) / np.sqrt(len(found))),
        "exact": float(np.mean([score.exact for score, _ in scores])),
        "count_error": None if scores[0][1] is None else float(np.mean([off for _, off in scores])),
        "pillars": float(np.mean(said)),
    }
