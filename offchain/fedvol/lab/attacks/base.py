"""What an attack is, and what it may know and send."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.engine import Job
from fedvol.learning.contribution import Contribution, packed
from fedvol.learning.model import Integers
from fedvol.learning.quantize import within
from fedvol.learning.rows import Rows
from fedvol.protocol.vector import BIAS

if TYPE_CHECKING:
    from fedvol.lab.federation import Nodes

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """The largest lanes that count, or pass, of one node."""

    move: int
    weight: int


@dataclass
class Scene:
    """One round as attackers know it who know everything: all that honest nodes will send, and the rule.

    Args:
        sent: what every node's own training made, hostile ones included.
        before: fixed-point weights of the round before; those of this one in the first.
        progress: share of the run that has passed, 0 to 1.
    """

    nodes: Nodes
    job: Job
    sent: Mapping[int, Contribution]
    hostile: Sequence[int]
    before: Integers
    progress: float
    draws: np.random.Generator

    @cached_property
    def honest(self) -> list[int]:
        return [node for node in self.sent if node not in self.hostile]

    @cached_property
    def limits(self) -> Limits:
        """Plain rounds clamp each node, and so do proofs; a cluster without them clamps the sum alone."""
        rule = self.job.rule
        move, weight = rule.clamp, 1
        if rule.weighted:
            move, weight = rule.weight_cap * rule.clamp >> rule.weight_shift, rule.weight_cap
        if self.nodes.m == 1 or self.nodes.norm is not None:
            return Limits(move, weight)
        return Limits(BIAS - 1, min(weight * self.nodes.m, BIAS - 1))

    @cached_property
    def moves(self) -> Floats:
        """What each honest node asks of each weight, in units of the wire: honest × d."""
        return np.stack([self.asked(self.sent[node]) for node in self.honest])

    @cached_property
    def sure(self) -> Floats:
        """How much each of them counts there: honest × d."""
        return np.stack([self.counted(self.sent[node]) for node in self.honest])

    @cached_property
    def mean(self) -> Floats:
        """The honest nodes' mean move, each weight by who is sure of it; 0 where nobody is."""
        total = self.sure.sum(axis=0)
        return (self.sure * self.moves).sum(axis=0) / np.where(total > 0, total, 1)

    @cached_property
    def deviation(self) -> Floats:
        """Their standard deviation around it, (d,)."""
        total = self.sure.sum(axis=0)
        squares = (self.sure * (self.moves - self.mean) ** 2).sum(axis=0)
        return np.sqrt(squares / np.where(total > 0, total, 1))

    def asked(self, sent: Contribution) -> Floats:
        moves, weights = sent
        if weights is None:
            return moves.astype(np.float64)
        return np.where(weights > 0, moves * 2.0**self.job.rule.weight_shift / np.maximum(weights, 1), 0.0)

    def counted(self, sent: Contribution) -> Floats:
        moves, weights = sent
        return np.ones(moves.size) if weights is None else weights.astype(np.float64)

    def vector(self, move: Floats, weights: Integers | None = None) -> Contribution:
        """What asks for this move, with these weights, or with all that a node can get."""
        if not self.job.rule.weighted:
            return self.limited((np.rint(move).astype(np.int64), None))
        if weights is None:
            weights = np.full(move.size, self.limits.weight)
        bounded = np.clip(move, -self.job.rule.clamp, self.job.rule.clamp)
        return self.limited((np.rint(bounded * weights / 2.0**self.job.rule.weight_shift).astype(np.int64), weights))

    def limited(self, sent: Contribution) -> Contribution:
        """The same within what passes."""
        moves, weights = sent
        moves = np.clip(moves, -self.limits.move, self.limits.move)
        if self.nodes.norm is not None:
            moves = within(moves, self.nodes.norm)
        return moves, None if weights is None else np.clip(weights, 0, self.limits.weight)

    def damage(self, vector: Contribution) -> float:
        """How far the model ends from the honest nodes' own, if all hostile ones send this: L2, in units; 0 where the
        engine would refuse it."""
        bad = packed(self.limited(vector))
        both = {node: bad if node in self.hostile else data for node, data in self._packed.items()}
        new = self.nodes.settle(self.job.weights, both)
        if self.nodes.refuses(new, self.job.weights, self.job.opening.as_of):
            return 0.0
        return float(np.linalg.norm(new - self._clean))

    @cached_property
    def _packed(self) -> dict[int, bytes]:
        return {node: packed(sent) for node, sent in self.sent.items()}

    @cached_property
    def _clean(self) -> Integers:
        return self.nodes.settle(self.job.weights, {node: self._packed[node] for node in self.honest})


class Attack(ABC):
    """Honest unless told otherwise. An attack lives as long as a run, and may remember."""

    name: ClassVar[str]
    source: ClassVar[str]
    from_the_start: ClassVar[bool] = False
    """It does not wait until the federation has warmed up."""

    def rows(self, job: Job, own: Rows) -> Rows:
        """What a hostile node trains on."""
        return own

    def send(self, scene: Scene, node: int) -> Contribution | None:
        """What it sends; None: nothing. What does not pass is clipped by the caller."""
        return scene.sent[node]
