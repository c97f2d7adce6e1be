"""Scores of participants: every round is a game, and what a coalition is worth shows on rows that come later.

The worth of a coalition in a round is by how much the model that the protocol's rule makes of its members' vectors
prices the *next* snapshot's held rows better than the model that the round began with: mean squared errors in vol
points², with index and vol index of that moment known, as the pricing engine knows them. Rounds and snapshots add up,
and the whole federation's worth along its own path is what its error fell by.

A round's vectors are asked for once. That is the score's strength, nobody trains anew for it, and its limit: what a
node said in earlier rounds is in the model already, and a coalition without it still starts there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.backend import Seeded
from fedvol.lab.federation import Nodes
from fedvol.lab.replay.snapshots import Snapshot
from fedvol.lab.replay.walkers import moves
from fedvol.lab.worth.values import Inside, banzhaf, coalitions, is_exact, sampling_variance
from fedvol.learning.contribution import packed
from fedvol.learning.model import Integers, Model, Opening
from fedvol.learning.rows import POINTS

Floats = NDArray[np.float64]

Absent = Literal["still", "gone"]

MOST_COALITIONS = 4096
"""A round: the values of up to twelve players are exact."""


@dataclass
class Score:
    """Of one snapshot's rounds together, vol points² of the next one's mean squared error.

    Args:
        whole: the federation's worth. left_out, banzhaf: each node's, (nodes,).
        variance: of `banzhaf` from drawn coalitions, (nodes,); 0 where all were looked at.
    """

    whole: float
    left_out: Floats
    banzhaf: Floats
    variance: Floats


@dataclass(frozen=True)
class _Game:
    """Players of one round, each some nodes, and its coalitions: those that Banzhaf's value is of, then all but one
    player, for each, then all. `rows`: where among the round's models each coalition's is."""

    players: Sequence[Sequence[int]]
    inside: Inside
    exact: bool
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class _Round:
    at: Snapshot
    before: Integers
    models: Sequence[Integers]
    present: frozenset[int]
    games: Sequence[_Game]


class Scorer:
    """Runs a federation's rounds (`advance`, for a `Surface`), and scores them once later rows are there (`judge`).

    Args:
        nodes: in clusters of one. Under a mean, plain or weighted, the model of several clusters is that of their
            members, so that nothing else is needed for groups.
        groups: scores are also made for that many groups, drawn anew for each snapshot by the protocol's lot; only
            their sums enter, and a group's value is shared evenly by those of it that sent a vector.
        absent: how those outside a coalition are: *still*, there with their weights and no move, so that nobody's move
            counts for more than it did in the round; or *gone*, so that the rule is of the coalition alone.
        most: coalitions looked at in a round and game.
    """

    def __init__(
        self,
        nodes: Nodes,
        groups: int | None = None,
        absent: Absent = "still",
        most: int = MOST_COALITIONS,
        seed: int = 0,
    ) -> None:
        self.nodes, self._groups, self._absent, self._most = nodes, groups, absent, most
        self.by_node: list[Score] = []
        self.by_group: list[Score] = []
        self.counting = True
        self._rng, self._lot = np.random.default_rng(seed), Seeded(seed, epoch=1)
        self._pending: list[_Round] = []

    def advance(self, weights: Integers, opening: Opening, at: Snapshot) -> Integers:
        """One round of the whole federation; remembered while `counting`."""
        sent = self.nodes.sent(weights, opening, at.desks)
        moved = {node: packed(one) for node, one in sent.items()}
        if self.counting:
            still = {node: packed((0 * moves, sure)) for node, (moves, sure) in sent.items()}
            self._pending.append(self._round(weights, at, moved, still if self._absent == "still" else {}))
        return self.nodes.settle(weights, moved)

    def judge(self, now: Snapshot) -> None:
        """Scores the rounds since the last call on a later snapshot's held rows."""
        if not self._pending:
            return
        found: list[list[tuple[float, Floats, Floats, Floats]]] = []
        for one in self._pending:
            start = error(self.nodes.model, one.before, one.at, now)
            worth = start - np.array([error(self.nodes.model, model, one.at, now) for model in one.models])
            found.append([self._values(game, worth[game.rows], one.present) for game in one.games])
        for kept, rounds in zip((self.by_node, self.by_group), zip(*found, strict=True), strict=False):
            kept.append(Score(*(sum(parts[1:], parts[0]) for parts in zip(*rounds, strict=True))))
        self._pending.clear()

    def _round(self, weights: Integers, at: Snapshot, sent: dict[int, bytes], still: dict[int, bytes]) -> _Round:
        count = self.nodes.count
        dealt = [[[node] for node in range(count)]] + ([self._drawn()] if self._groups else [])
        drawn = [self._coalitions(len(players)) for players in dealt]
        masks = [inside @ _members(players, count) for players, inside in zip(dealt, drawn, strict=True)]
        here = np.isin(np.arange(count), list(sent))
        different, rows = np.unique(np.concatenate(masks) & here, axis=0, return_inverse=True)
        models = [
            self.nodes.settle(weights, still | {node: sent[node] for node in np.flatnonzero(mask).tolist()})
            for mask in different
        ]
        parts = np.split(rows.ravel(), np.cumsum([len(inside) for inside in drawn])[:-1])
        games = [
            _Game(players, inside, is_exact(len(players), self._most), part)
            for players, inside, part in zip(dealt, drawn, parts, strict=True)
        ]
        return _Round(at, weights, models, frozenset(sent), games)

    def _drawn(self) -> list[list[int]]:
        """The groups of this snapshot: as even as can be."""
        seats = np.array(self._lot.seats(1 + len(self.by_group), self.nodes.count))
        group = seats * self._groups // self.nodes.count
        return [np.flatnonzero(group == number).tolist() for number in range(self._groups)]

    def _coalitions(self, players: int) -> Inside:
        all_ = np.ones((1, players), dtype=bool)
        return np.concatenate([coalitions(players, self._most, self._rng), ~np.eye(players, dtype=bool), all_])

    def _values(self, game: _Game, worth: Floats, present: frozenset[int]) -> tuple[float, Floats, Floats, Floats]:
        count = len(game.players)
        inside, drawn, whole = game.inside[: -count - 1], worth[: -count - 1], worth[-1]
        share = np.zeros((self.nodes.count, count))
        for player, members in enumerate(game.players):
            those = [node for node in members if node in present]
            share[those, player] = 1 / max(len(those), 1)
        spread = np.zeros(count) if game.exact else sampling_variance(inside, drawn)
        left_out = whole - worth[-count - 1 : -1]
        return float(whole), share @ left_out, share @ banzhaf(inside, drawn), share**2 @ spread


def error(model: Model, weights: Integers, then: Snapshot, now: Snapshot) -> float:
    """Mean squared error of a version on a later snapshot's held rows, vol points², its clock moved by public state."""
    floats, rows = model.spec.to_float(weights), now.held
    g = model.clocks(floats, moves(then, now))
    vols = model.implied_vol(floats, then.as_of, rows.market, rows.k, rows.expiry, g[rows.market])
    return float(np.mean((POINTS * (vols - rows.iv)) ** 2))


def _members(players: Sequence[Sequence[int]], count: int) -> NDArray[np.bool_]:
    """(players, nodes): who holds whom."""
    return np.array([np.isin(np.arange(count), members) for members in players])
