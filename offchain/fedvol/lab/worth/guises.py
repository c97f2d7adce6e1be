"""One participant under several names: what its scores come to beside those of one honest name.

Each guise is played for real: the federation trains with these nodes, so the model is theirs too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fedvol.lab.engine import Job
from fedvol.lab.federation import Nodes
from fedvol.lab.replay.snapshots import Snapshot
from fedvol.lab.replay.terms import BURN
from fedvol.lab.replay.walkers import Surface
from fedvol.lab.worth.score import MOST_COALITIONS, Absent, Scorer, error
from fedvol.learning.contribution import Contribution
from fedvol.learning.model import Model
from fedvol.learning.rows import Rows
from fedvol.protocol.rule import Rule

GUISES = (
    "honest", "split 2", "split 3", "split 4", "copy 2", "copy 3", "boast", "zero", "sure zero", "noise",
)  # fmt: skip
"""*Split* deals the desk's rows among so many names, *copy* gives each of them all rows. *Boast*: one name that claims
to be eight times as sure as it is. The last three are one name more, without a row: no move and no weight, no move and
the largest weights, and moves at random as long as others' with their mean weights."""

BOAST = 8


@dataclass(frozen=True)
class Guise:
    """What a desk does, as an attacker of `Nodes`.

    Args:
        name: one of GUISES. desk: whose. honest: how many nodes there are without it.
    """

    name: str
    desk: int
    honest: int
    seed: int = 0

    @property
    def identities(self) -> list[int]:
        """The nodes that are the desk's; of a rider it is the rider alone."""
        kind, _, count = self.name.partition(" ")
        if kind in ("split", "copy"):
            return [self.desk, *range(self.honest, self.honest + int(count) - 1)]
        return [self.desk] if kind in ("honest", "boast") else [self.honest]

    @property
    def nodes(self) -> int:
        return max(self.honest, *(node + 1 for node in self.identities))

    def dressed(self, s: Snapshot) -> Snapshot:
        """The snapshot with rows for every node."""
        mine, names = s.desks[self.desk], self.identities
        desks = [*s.desks, *(mine.select(np.array([], dtype=np.int64)) for _ in range(self.nodes - self.honest))]
        if self.name.startswith(("split", "copy")):
            part = np.random.default_rng([self.seed, s.as_of]).permutation(len(mine)) % len(names)
            for number, node in enumerate(names):
                desks[node] = mine.select(part == number) if self.name.startswith("split") else mine
        return replace(s, desks=tuple(desks))

    def poisoned(self, nodes: Nodes, job: Job, desks: Sequence[Rows]) -> Sequence[Rows]:
        return desks

    def tampered(self, nodes: Nodes, job: Job, sent: dict[int, Contribution]) -> dict[int, Contribution]:
        node = self.identities[0]
        if self.name == "boast" and node in sent:
            return sent | {node: _boast(*sent[node], job.rule)}
        if self.name in ("zero", "sure zero", "noise"):
            rng = np.random.default_rng([self.seed, nodes.number])
            return sent | {node: _rider(self.name, list(sent.values()), job.rule, rng)}
        return sent


def play(
    name: str,
    model: Model,
    found: Sequence[Snapshot],
    desk: int,
    rule: Rule,
    rounds: int,
    absent: Absent = "still",
    groups: int | None = None,
    most: int = MOST_COALITIONS,
) -> dict[str, Any]:
    """Scores of a desk in one guise, summed over its names, by scored snapshot.

    Returns:
        `banzhaf`, `left_out`, `others` (Banzhaf values of all else), `next` (the joint model's mean squared error on
        the next snapshot), and with groups `by_group`: arrays, (scored snapshots,).
    """
    guise = Guise(name, desk, len(found[0].desks))
    scorer = Scorer(Nodes(model, guise.nodes, rule, attacker=guise), groups, absent, most)
    surface, mine = Surface(model, scorer.advance, rounds), guise.identities
    missed: list[float] = []
    for number, s in enumerate(found):
        scorer.judge(s)
        if number > BURN:
            missed.append(error(model, surface.weights, found[number - 1], s))
        scorer.counting = number >= BURN
        surface.learn(guise.dressed(s))
    sums = {
        "banzhaf": np.array([one.banzhaf[mine].sum() for one in scorer.by_node]),
        "left_out": np.array([one.left_out[mine].sum() for one in scorer.by_node]),
        "others": np.array([np.delete(one.banzhaf, mine).sum() for one in scorer.by_node]),
        "next": np.array(missed),
    }
    by_group = [one.banzhaf[mine].sum() for one in scorer.by_group]
    return sums | ({"by_group": np.array(by_group)} if groups else {})


def _boast(moves: np.ndarray, weights: np.ndarray | None, rule: Rule) -> Contribution:
    """The same move, said to be surer. Without weights all that is left is a longer move."""
    if weights is None:
        return np.clip(BOAST * moves, -rule.clamp, rule.clamp), None
    more = np.minimum(BOAST * weights, rule.weight_cap)
    most = more * rule.clamp >> rule.weight_shift
    return np.clip(moves * more // np.maximum(weights, 1), -most, most), more


def _rider(name: str, sent: Sequence[Contribution], rule: Rule, rng: np.random.Generator) -> Contribution:
    """What somebody without a row sends."""
    moves = np.stack([one for one, _ in sent])
    noise = np.rint(rng.normal(size=moves.shape[1]) * np.sqrt(np.mean(moves.astype(np.float64) ** 2, axis=0)))
    if not rule.weighted:
        return np.clip(noise, -rule.clamp, rule.clamp).astype(np.int64) if name == "noise" else 0 * moves[0], None
    mean = np.mean([weights for _, weights in sent], axis=0).astype(np.int64)
    if name == "noise":
        most = mean * rule.clamp >> rule.weight_shift
        return np.clip(noise, -most, most).astype(np.int64), mean
    return 0 * moves[0], np.full_like(mean, rule.weight_cap if name == "sure zero" else 0)
