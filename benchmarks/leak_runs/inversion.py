"""The three attacks of `benchmarks/leaks.py`, each as rows of its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fedvol.lab.leaks import inversion
from fedvol.lab.leaks.inversion import Prior, balanced_accuracy, cells
from fedvol.lab.leaks.replay import Replay, Tapes
from fedvol.lab.leaks.scene import Round, join, masked, read_lanes
from fedvol.learning.model import ModelSpec
from fedvol.learning.rows import Rows

Floats = NDArray[np.float64]

BOUND = 1 << 19
"""The federation's clamp, half a weight unit."""
CLUSTER = 4
ROUNDING = 2.0**-20
SCREENED = 16
"""Guesses drawn for each that is bent."""


@dataclass(frozen=True)
class View:
    """What an attacker sees in a setting, and knows.

    Args:
        sees: "own" (the victim's update), "lanes" (its masked vector), "sum" (of the cluster), "rest" (the sum less the
            attacker's own update).
        fields: knows in which cells each desk trades.
    """

    setting: str
    sees: str
    fields: bool = False

    @property
    def name(self) -> str:
        what = {
            "own": "the victim's update",
            "lanes": "its masked vector",
            "sum": "sum of 4",
            "rest": "sum less its own",
        }[self.sees]
        return what + (", fields known" if self.fields else "")

    @property
    def desks(self) -> int:
        return {"own": 1, "lanes": 1, "sum": CLUSTER, "rest": CLUSTER - 1}[self.sees]


PLAIN_VIEWS = (
    View("plain", "own"),
    View("masked", "lanes"),
    View("masked", "sum"),
    View("masked", "sum", True),
    View("masked", "rest", True),
)


def private_views(budget: str) -> tuple[View, ...]:
    return View(f"plain + {budget}", "own"), View(f"masked + {budget}", "sum", True)


@dataclass(frozen=True)
class Victim:
    """A victim's tape first, then those of its cluster; the cells in which each trades, from the days before."""

    start: Floats
    tapes: list[Rows]
    fields: list[NDArray[np.bool_]]


def victims(
    plays: Sequence[Round], fields: Sequence[NDArray[np.bool_]], size: int, count: int, generator: np.random.Generator
) -> list[Victim]:
    """`count` victims with tapes of `size` rows of the last rounds, each in a cluster of its own."""
    pools = [plays[-1].held[desk] for desk in range(len(fields))]
    for play in plays[-2::-1]:
        pools = [
            join(pool, rows) if len(pool) < 2 * size else pool for pool, rows in zip(pools, play.held, strict=True)
        ]
    found = []
    for number in range(count):
        others = generator.permutation([desk for desk in range(len(pools)) if desk != number % len(pools)])
        desks = [number % len(pools), *others[: CLUSTER - 1]]
        tapes = [
            pools[desk].select(np.sort(generator.choice(len(pools[desk]), min(size, len(pools[desk])), replace=False)))
            for desk in desks
        ]
        found.append(Victim(plays[-1].start, tapes, [fields[desk] for desk in desks]))
    return found


def invert_views(
    views: Sequence[View],
    replay: Replay,
    prior: Prior,
    crowd: Sequence[Victim],
    restarts: int,
    steps: int,
    generator: np.random.Generator,
) -> list[dict]:
    """One row of the table for each view; all views that add up equally many tapes are attacked in one go."""
    spec = prior.spec
    rows = []
    for desks in sorted({min(view.desks, 2) for view in views}):
        group = [view for view in views if min(view.desks, 2) == desks]
        width = max(view.desks for view in group)
        tries = restarts if width == 1 else max(1, restarts // CLUSTER)
        cases = [_see(view, victim, replay, generator) for view in group for victim in crowd]
        guesses = [
            [_draw(prior, case, desk, generator) for desk in range(width)]
            for case in cases
            for _ in range(SCREENED * tries)
        ]
        start = np.array([case.victim.start for case in cases])
        seen = np.array([case.seen for case in cases])
        found, mismatch = inversion.invert(replay, start, seen, guesses, tries, steps)
        for at, view in enumerate(group):
            mine = range(at * len(crowd), (at + 1) * len(crowd))
            rows.append(
                {
                    "setting": view.setting,
                    "sees": view.name,
                    "rows": len(crowd[0].tapes[0]),
                    "victims": len(crowd),
                    **_tally(
                        spec,
                        prior,
                        [cases[i] for i in mine],
                        [found[i][0] for i in mine],
                        [guesses[i * SCREENED * tries][0] for i in mine],
                        generator,
                    ),
                    "mismatch": float(np.median(mismatch[list(mine)])),
                }
            )
    return rows


@dataclass(frozen=True)
class _Case:
    view: View
    victim: Victim
    seen: Floats
    pillars: list[NDArray[np.bool_]]
    """Of each desk in the sum, those that the attacker takes for its own."""


def _see(view: View, victim: Victim, replay: Replay, generator: np.random.Generator) -> _Case:
    spec, desks = replay.spec, view.desks
    own = replay.train(victim.start, Tapes.of(victim.tapes[:desks]), noise=_noise(generator)).numpy()
    if view.sees == "lanes":
        lanes = np.rint(np.clip(own[0] * spec.scale, -BOUND, BOUND)).astype(np.int64)
        seen = read_lanes(spec, masked(lanes, generator), BOUND)
    else:
        seen = round_at_random(np.clip(own, -BOUND * ROUNDING, BOUND * ROUNDING), generator).sum(axis=0)
    without = desks * replay.nobody(victim.start[None])[0]
    moved = inversion.moved(spec, seen - without, 2 * np.sqrt(desks) * replay.noise_alone())
    pillars = [moved & reach(field) if view.fields else moved for field in victim.fields[:desks]]
    return _Case(view, victim, seen, pillars)


def reach(field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pillars that rows in these cells read."""
    return field | np.pad(field, ((0, 0), (0, 1)))[:, 1:]


def _draw(prior: Prior, case: _Case, desk: int, generator: np.random.Generator) -> Rows:
    size = len(case.victim.tapes[0])
    if desk >= case.view.desks:
        return case.victim.tapes[0].select(np.zeros(0, np.int64))
    allowed = cells(case.pillars[desk])
    if case.view.fields:
        allowed = allowed & case.victim.fields[desk]
        allowed = allowed if allowed.any() else case.victim.fields[desk]
    return prior.draw(allowed, size, generator)


def _tally(
    spec: ModelSpec,
    prior: Prior,
    cases: Sequence[_Case],
    found: Sequence[Rows],
    first: Sequence[Rows],
    generator: np.random.Generator,
) -> dict:
    everywhere = np.ones((len(spec.markets), len(spec.pillars)), dtype=bool)
    truth = [case.victim.tapes[0] for case in cases]
    blind = [
        prior.draw(case.victim.fields[0] if case.view.fields else everywhere, len(tape), generator)
        for case, tape in zip(cases, truth, strict=True)
    ]
    scores = {
        name: [inversion.score(spec, tape, guess) for tape, guess in zip(truth, guesses, strict=True)]
        for name, guesses in (("guessed", blind), ("support", first), ("found", found))
    }
    shares = {name: np.array([each.found for each in some]) for name, some in scores.items()}
    errors = np.array([each.k_error for each in scores["found"]])
    known = [
        balanced_accuracy(
            reach(case.victim.fields[0]) if case.view.fields else everywhere, inversion.touched(spec, tape)
        )
        for case, tape in zip(cases, truth, strict=True)
    ]
    support = [
        balanced_accuracy(case.pillars[0], inversion.touched(spec, tape))
        for case, tape in zip(cases, truth, strict=True)
    ]
    return {
        **{name: float(share.mean()) for name, share in shares.items()},
        "found_error": float(shares["found"].std(ddof=1) / np.sqrt(len(cases))),
        "exact": float(np.mean([each.exact for each in scores["found"]])),
        "support_exact": float(np.mean([each.exact for each in scores["support"]])),
        "k_error": float(np.nanmedian(errors)) if np.isfinite(errors).any() else None,
        "pillars": float(np.mean(support)),
        "pillars_guessed": float(np.mean(known)),
    }


def round_at_random(moves: Floats, generator: np.random.Generator) -> Floats:
    """As `to_update` rounds: to one of the two nearest integers of the wire, unbiased."""
    units = moves / ROUNDING
    floor = np.floor(units)
    return (floor + (generator.random(units.shape) < units - floor)) * ROUNDING


def _noise(generator: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(generator.integers(2**62)))
