"""Rounds of a federation without a chain: the nodes' own code trains, packs and masks, the settlement's combines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedvol.lab.backend import Backend, Seeded
from fedvol.lab.engine import Engine, InTurn, Job
from fedvol.learning.contribution import Contribution, packed
from fedvol.learning.model import Integers, Model, Opening
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.protocol import cluster, mask, pricing, rule
from fedvol.protocol.agreed import Limits
from fedvol.protocol.grumpkin import Point, public_key
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.pricing import Bounds
from fedvol.protocol.roll import least_survivors
from fedvol.protocol.rule import Rule, RuleKind

if TYPE_CHECKING:
    from fedvol.lab.attacks import Attacker

PLAN_RULE = Rule(RuleKind.MEAN, clamp=1 << 19, step=1 << 16, weighted=True, weight_cap=1 << 18, weight_shift=18)
"""As in the founders' plans: moves up to 0.5 count, weights up to 64 rows."""

PLAN_BOUNDS = Bounds(least_vol_bps=500, most_vol_bps=40_000, most_move_bps=20_000)
"""As in the founders' plans: vols of 5% to 400%, and no version halves or doubles one."""


class Nodes:
    """Some desks that train one model together.

    Args:
        agreed: limits of rows, where all train by `fedvol.learning.agreed`, and `settings` do not count.
        cluster_size: 1 = plain; else clusters whose vectors are summed.
        norm: of a federation that asks for proofs: the sum of the squared lanes of moves that they bound.
        masks: False leaves the masks of clusters out. They cancel, so the model is the same to the bit.
        bounds: of the pricing engine: a version that breaks them is refused, and the last one stays.
        attacker: what hostile nodes train on and send instead.
        engine: how participants are trained.
    """

    def __init__(
        self,
        model: Model,
        count: int,
        by: Rule = PLAN_RULE,
        settings: Settings | None = None,
        agreed: Limits | None = None,
        cluster_size: int = 1,
        seed: int = 0,
        norm: int | None = None,
        masks: bool = True,
        bounds: Bounds | None = None,
        attacker: Attacker | None = None,
        backend: Backend | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.model, self.rule, self.m, self.count, self.norm = model, by, cluster_size, count, norm
        self.settings = settings or Settings()
        self.attacker, self.engine = attacker, engine or InTurn()
        self.backend = backend or Seeded(seed)
        self.bounds, self.number, self.refused = bounds, 0, 0
        self._agreed, self._masks = agreed, masks and cluster_size > 1
        self._points: dict[int, Point] = {}

    def round(self, weights: Integers, opening: Opening, desks: Sequence[Rows]) -> Integers:
        """The next model; that of before where too few take part, or where the engine refuses it."""
        sent = {node: packed(one) for node, one in self.sent(weights, opening, desks).items()}
        new = self.settle(weights, sent)
        if self.refuses(new, weights, opening.as_of):
            self.refused += 1
            return weights
        return new

    def sent(self, weights: Integers, opening: Opening, desks: Sequence[Rows]) -> dict[int, Contribution]:
        """Begins the next round: what each node sends in it that takes part."""
        self.number += 1
        job = Job(self.model, weights, opening, self.settings, self.rule, self._agreed, self.norm)
        if self.attacker is not None:
            desks = self.attacker.poisoned(self, job, desks)
        private = self.settings.privacy is not None
        here = [node for node, rows in enumerate(desks) if private or len(rows.after(opening.as_of))]
        parts = [(desks[node], self.backend.round_secret(self.number, node)) for node in here]
        sent = dict(zip(here, self.engine.train(job, parts), strict=True))
        return sent if self.attacker is None else self.attacker.tampered(self, job, sent)

    def settle(self, weights: Integers, sent: dict[int, bytes]) -> Integers:
        """The model that follows from vectors of the running round; that of before where too few take part."""
        if not sent:
            return weights
        if self.m == 1:
            return rule.apply(self.rule, weights, list(sent.values()))
        return cluster.apply(self.rule, self.m, weights, list(self.sums(sent).values()))

    def clusters(self) -> list[list[int]]:
        """The nodes of each cluster of the running round, by place."""
        by_seat = sorted(range(self.count), key=self.backend.seats(self.number, self.count).__getitem__)
        return [by_seat[first : first + self.m] for first in range(0, self.count, self.m)]

    def sums(self, sent: dict[int, bytes]) -> dict[int, cluster.ClusterSum]:
        """Sums of the clusters that enough take part in, and whose words are sums: a void one is left out."""
        found = {number: self._sum(number, nodes, sent) for number, nodes in enumerate(self.clusters())}
        return {number: one for number, one in found.items() if one is not None and one.void_word is None}

    def refuses(self, new: Integers, old: Integers, as_of: int) -> bool:
        """Whether the engine would keep the old version."""
        if self.bounds is None:
            return False
        spec = self.model.spec

        def breaks(market: int) -> bool:
            block = self.model.block(market)
            now, was = (pricing.draw(w[block].tolist(), as_of, spec.pillars, spec.fraction_bits) for w in (new, old))
            return pricing.first_breach(now, self.bounds, was) is not None

        return any(map(breaks, range(len(spec.markets))))

    def _sum(self, number: int, nodes: Sequence[int], sent: dict[int, bytes]) -> cluster.ClusterSum | None:
        missing = sum(1 << place for place, node in enumerate(nodes) if node not in sent)
        if len(nodes) - missing.bit_count() < least_survivors(self.m):
            return None
        if not self._masks:
            lanes = zip(*(mask.words_of_bytes(sent[node]) for node in nodes if node in sent), strict=True)
            return cluster.ClusterSum(tuple(sum(words) % FIELD for words in lanes), len(nodes) - missing.bit_count())
        members = [
            self._member(number * self.m, nodes, place, sent[node], missing)
            for place, node in enumerate(nodes)
            if node in sent
        ]
        return cluster.unmask(members, missing)

    def _member(self, first: int, nodes: Sequence[int], place: int, data: bytes, missing: int) -> cluster.Member:
        """Masks and opens as a node does."""
        where, secret = self.backend.where(self.number), self.backend.mask_secret(nodes[place])
        pairs = [
            0 if j == place else mask.pair_key(secret, self._point(node), where, first + place, first + j)
            for j, node in enumerate(nodes)
        ]
        own = self.backend.self_key(self.number, nodes[place])
        return cluster.Member(place, mask.mask(data, own, pairs, place), mask.opening(own, pairs, place, missing))

    def _point(self, node: int) -> Point:
        if node not in self._points:
            self._points[node] = public_key(self.backend.mask_secret(node))
        return self._points[node]
