"""A masked federation: eight desks in two clusters of four, masked by the twins, with pair keys out of a hat."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.contracts.arena import PARAMS, Arena

from fedvol.protocol import cluster, mask
from fedvol.protocol import commitment as twin
from fedvol.protocol.cluster import ClusterSum, Member
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.grumpkin import public_key
from fedvol.protocol.poseidon2 import FIELD
from fedvol.protocol.roll import Roll
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import content_id, pack_model, unpack_model, unpack_update

M = 4
MASKED = {"seats": 8, "clusterSize": M, "minMembers": M, "clamp": 1 << 19, "quorumBps": 5_000}


def key_from(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest(), "big") % FIELD


class MaskedArena(Arena):
    """`garbage` names desks that mask with a key which they do not commit to."""

    m = M
    garbage: tuple[str, ...] = ()

    def register(self, *nodes: Any) -> None:
        for node in nodes:
            self.keyring.register(*public_key(key_from("secret", node.address)), sender=node)

    def join(self, *nodes: Any) -> None:
        self.register(*nodes)
        super().join(*nodes)

    # ------------------------------------------------------------------ masks

    def seat(self, node: Any) -> int:
        return int(self.federation.seatOf(node))

    def keys(self, node: Any) -> tuple[int, list[int], int]:
        """(self key, pair keys by place, own place) in this round; by seat alone, as they are asked for often."""
        own = self.seat(node)
        first = own - own % self.m
        pairs = [0 if s == own else key_from("pair", *sorted((s, own))) for s in range(first, first + self.m)]
        return key_from("self", node.address), pairs, own % self.m

    def vector(self, node: Any) -> bytes:
        self_key, pairs, place = self.keys(node)
        if node.address in self.garbage:
            self_key += 1
        return mask.mask(self.update(node), self_key, pairs, place)

    def annex(self, node: Any) -> bytes:
        return mask.annex(*self.keys(node))

    def commitment(self, node: Any, data: bytes | None = None) -> int:
        clock = self.federation.clock()
        where = twin.RoundId(self.chain.chain_id, self.federation.address, int(clock.number), int(clock.seed))
        name = content_id(data or self.vector(node))
        return twin.commitment(where, node.address, name, self.salt(node), self.annex(node))

    def reveal(self, *nodes: Any) -> list[Any]:
        self.pass_settling()
        reveal = self.federation.reveal
        return [
            reveal(content_id(self.vector(n)), self.annex(n), self.salt(n), self.pledged(n), sender=n) for n in nodes
        ]

    def pledged(self, node: Any) -> bytes:
        """What the node's reveal pledges; nothing, here."""
        return NO_PLEDGE

    @property
    def roll(self) -> Roll:
        return Roll(int(self.federation.words([])[1]), self.m, int(self.federation.clock().selected))

    def opening(self, node: Any, roll: Roll | None = None) -> list[bytes]:
        return mask.opening(*self.keys(node), (roll or self.roll).missing_in(self.seat(node) // self.m))

    def unmask(self, *nodes: Any, missing: int | None = None) -> list[Any]:
        roll = self.roll
        bound = roll.missing if missing is None else missing
        return [
            self.federation.unmask(bound, content_id(self.vector(n)), self.salt(n), self.opening(n, roll), sender=n)
            for n in nodes
        ]

    # ------------------------------------------------------------------ rounds

    def to_unmask(self, nodes: list[Any], silent: tuple[Any, ...] = ()) -> None:
        """A round in which all `nodes` commit, and all but `silent` reveal, up to where survivors unmask."""
        self.open()
        self.commit(*nodes)
        self.reveal(*(n for n in nodes if n not in silent))
        self.pass_to("Unmask")

    def unmask_all(self, nodes: list[Any], silent: tuple[Any, ...] = ()) -> None:
        """Likewise, up to where a model can be proposed."""
        self.to_unmask(nodes, silent)
        roll = self.roll
        self.unmask(*(n for n in nodes if roll.must_unmask(self.seat(n))))
        self.pass_to("Propose")

    def answer(self, node: Any, *, by: Any) -> Any:
        shown = self.annex(node), self.salt(node), self.vector(node), self.evidence(node)
        return self.duties.answer(node, *shown, sender=by)

    def evidence(self, node: Any) -> bytes:
        """That its update is well made; nothing, where there are no proofs."""
        return b""

    # ------------------------------------------------------------------ what follows from it

    def counted(self, nodes: list[Any]) -> list[Any]:
        roll = self.roll
        return [n for n in nodes if roll.is_open(self.seat(n) // self.m) and not roll.is_missing(self.seat(n))]

    def sums(self, nodes: list[Any]) -> dict[int, ClusterSum]:
        roll, groups = self.roll, {}
        for n in self.counted(nodes):
            seat = self.seat(n)
            groups.setdefault(seat // self.m, []).append(Member(seat % self.m, self.vector(n), self.opening(n, roll)))
        return {k: cluster.unmask(members, roll.missing_in(k)) for k, members in sorted(groups.items())}

    def rule(self) -> Rule:
        params = self.federation.params()
        return Rule.from_params({key: params[key] for key in PARAMS})

    def claims(self, nodes: list[Any]) -> int:
        return cluster.claims_of(self.sums(nodes))

    def aggregate(self, nodes: list[Any], wrong: dict[int, int] | None = None) -> bytes:
        sums = [s for s in self.sums(nodes).values() if s.void_word is None]
        model = cluster.apply(self.rule(), self.m, unpack_model(self.model(0), self.weights), sums).copy()
        for index, error in (wrong or {}).items():
            model[index] += error
        return pack_model(model)

    def plain_sum(self, nodes: list[Any]) -> np.ndarray:
        """What the unmasked updates add up to."""
        return sum(unpack_update(self.update(n), self.weights) for n in nodes)

    def vectors(self, nodes: list[Any]) -> list[tuple[Any, ...]]:
        roll, rising = self.roll, sorted(self.counted(nodes), key=lambda n: int(n.address, 16))
        return [(n.address, self.annex(n), self.salt(n), self.vector(n), self.opening(n, roll)) for n in rising]


@pytest.fixture(scope="session")
def eight(accounts: Any) -> list[Any]:
    return [accounts[i] for i in range(2, 10)]


@pytest.fixture(scope="session")
def make_masked(make_arena: Callable[..., Arena], eight: list[Any]) -> Callable[..., MaskedArena]:
    """Deploys a masked federation that eight desks have joined."""

    def make(**changes: Any) -> MaskedArena:
        arena = MaskedArena(**vars(make_arena(**MASKED | changes)))
        arena.m = int(arena.federation.params().clusterSize)
        arena.join(*eight)
        return arena

    return make


@pytest.fixture(scope="module")
def masked(make_masked: Callable[..., MaskedArena]) -> MaskedArena:
    return make_masked()
