"""Rounds of a federation without a chain: the nodes' own code trains, packs and masks, the settlement's combines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fedvol.learning.agreed import update
from fedvol.learning.model import Model, Opening
from fedvol.learning.quantize import to_update, to_weighted
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.protocol import cluster, mask, rule
from fedvol.protocol.agreed import Limits
from fedvol.protocol.commitment import RoundId
from fedvol.protocol.grumpkin import ORDER, public_key
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.roll import least_survivors
from fedvol.protocol.rule import Rule, RuleKind
from fedvol.protocol.vector import pack_update, pack_weighted

Integers = NDArray[np.int64]
Tamper = Callable[[int, Integers, Integers | None], tuple[Integers, Integers | None]]
"""(node, moves, weights) → what a hostile node sends instead."""

PLAN_RULE = Rule(RuleKind.MEAN, clamp=1 << 19, step=1 << 16, weighted=True, weight_cap=1 << 18, weight_shift=18)
"""As in the founders' plans: moves up to 0.5 count, weights up to 64 rows."""


def vector(
    model: Model, weights: Integers, opening: Opening, rows: Rows, secret: bytes, settings: Settings, by: Rule
) -> tuple[Integers, Integers | None]:
    """What a node sends, as `fedvol.node.trainer` makes it: moves, and weights where the rule has them."""
    start = model.spec.to_float(weights)
    trained = model.train(start, opening, rows, secret, settings)
    update = to_update(trained, weights, model.spec, by.clamp, secret)
    if not by.weighted:
        return update, None
    return to_weighted(update, model.curvature(start, opening, rows, secret, settings), by, secret)


class Nodes:
    """Some desks that train one model together.

    Args:
        agreed: limits of rows, where all train by `fedvol.learning.agreed`, and `settings` do not count.
        cluster_size: 1 = plain; else clusters whose vectors are summed under real masks.
        tamper: what hostile nodes do with their vector before it is packed.
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
        tamper: Tamper | None = None,
    ) -> None:
        self.model, self.rule, self.m, self.tamper = model, by, cluster_size, tamper
        self.settings = settings or Settings()
        self._agreed = agreed
        self._seed = seed
        self._count = count
        self._round = 0
        if cluster_size > 1:
            self._keys = [1 + self._random(b"mask key", node) % (ORDER - 1) for node in range(count)]
            self._points = [public_key(key) for key in self._keys]

    def round(self, weights: Integers, opening: Opening, desks: Sequence[Rows]) -> Integers:
        """The next model; that of before where too few take part."""
        self._round += 1
        sent: dict[int, bytes] = {}
        for node, rows in enumerate(desks):
            if not len(rows) and self.settings.privacy is None:
                continue
            secret = self._random(b"secret", node).to_bytes(32, "big")
            if self._agreed is None:
                moves, sure = vector(self.model, weights, opening, rows, secret, self.settings, self.rule)
            else:
                moves, sure = update(self.model.spec, weights, opening.as_of, rows, secret, self._agreed, self.rule)
            if self.tamper is not None:
                moves, sure = self.tamper(node, moves, sure)
            sent[node] = pack_update(moves) if sure is None else pack_weighted(moves, sure)
        if not sent:
            return weights
        if self.m == 1:
            return rule.apply(self.rule, weights, list(sent.values()))
        sums = [self._sum(range(first, first + self.m), sent) for first in range(0, self._count, self.m)]
        return cluster.apply(self.rule, self.m, weights, [one for one in sums if one is not None])

    def _sum(self, nodes: range, sent: dict[int, bytes]) -> cluster.ClusterSum | None:
        """Masks, opens and sums as nodes and settlement do."""
        missing = sum(1 << place for place, node in enumerate(nodes) if node not in sent)
        if len(nodes) - missing.bit_count() < least_survivors(self.m):
            return None
        where = RoundId(1, "0x" + "00" * 20, self._round, self._seed % 2**64)
        members = []
        for place, node in enumerate(nodes):
            if node not in sent:
                continue
            pairs = [
                0 if peer == node else mask.pair_key(self._keys[node], self._points[peer], where, node, peer)
                for peer in nodes
            ]
            own = 1 + self._random(b"self key", node) % (FIELD - 1)
            masked = mask.mask(sent[node], own, pairs, place)
            members.append(cluster.Member(place, masked, mask.opening(own, pairs, place, missing)))
        return cluster.unmask(members, missing)

    def _random(self, label: bytes, node: int) -> int:
        text = b"fedvol lab " + label + b" %d %d %d" % (self._seed, self._round, node)
        return int.from_bytes(hashlib.sha256(text).digest(), "big")
