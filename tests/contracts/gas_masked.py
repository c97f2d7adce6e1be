"""Gas of a masked round: what a node sends in it, and the dispute of one word of it; a cluster of eight, 128 weights.

Nothing that enters calldata has a zero byte, and the missing sit at the ends: figures are the same on every run.
"""

from __future__ import annotations

import hashlib
from itertools import count
from typing import Any

import numpy as np
from tests.contracts.arena import BOND, PARAMS, config_of
from tests.contracts.masked import MaskedArena

from fedvol.protocol import commitment as twin
from fedvol.protocol import mask
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.grumpkin import public_key
from fedvol.protocol.mask import masks_left, words_of_bytes
from fedvol.protocol.poseidon2 import FIELD, mask_words
from fedvol.protocol.vector import content_id, pack_model, pack_update

M, WEIGHTS = 8, 128
WORDS = WEIGHTS // 8
MISSING = (0, M - 1)


def full(*parts: object, below: int = 1 << 256) -> bytes:
    """32 bytes out of a hat, none of them zero."""
    hashes = (hashlib.sha256(repr((parts, i)).encode()).digest() for i in count())
    return next(h for h in hashes if 0 not in h and int.from_bytes(h, "big") < below)


class GasArena(MaskedArena):
    """One cluster of eight desks, whose vectors are anything but where a sum is asked for."""

    m = M
    pledging = False

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.made: dict[tuple[int, str], Any] = {}

    def once(self, what: str, node: Any, make: Any) -> Any:
        key = (int(self.federation.clock().number), what + node.address)
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def keys(self, node: Any) -> tuple[int, list[int], int]:
        return self.once("keys", node, lambda: self._keys(node))

    def _keys(self, node: Any) -> tuple[int, list[int], int]:
        own = self.seat(node)
        for i in count():
            # Contracts never compare the two ends of a pair: each may think what it likes.
            key, *pairs = (int.from_bytes(full(node.address, i, s, below=FIELD), "big") for s in range(-1, M))
            pairs[own] = 0
            shown = mask.opening(key, pairs, own, 0)[1] + mask.annex(key, pairs, own)
            shown += b"".join(mask.key_hash(p) for p in pairs if p)
            if 0 not in shown:
                return key, pairs, own
        raise AssertionError

    def salt(self, node: Any) -> bytes:
        return self.once("salt", node, lambda: self._salt(node))

    def _salt(self, node: Any) -> bytes:
        clock = self.federation.clock()
        where = twin.RoundId(self.chain.chain_id, self.federation.address, int(clock.number), int(clock.seed))
        for i in count():
            salt = full("salt", i)
            made = twin.commitment(where, node.address, content_id(self.vector(node)), salt, self.annex(node))
            if 0 not in made.to_bytes(26, "big"):
                return salt
        raise AssertionError

    def pledged(self, node: Any) -> bytes:
        return full("pledge", self.federation.clock().number, node.address) if self.pledging else NO_PLEDGE

    def vector(self, node: Any) -> bytes:
        return self.once("vector", node, lambda: self._vector(node))

    def _vector(self, node: Any) -> bytes:
        return b"".join(full("y", node.address, w, below=FIELD) for w in range(WORDS))


def vectors_of_a_sum(arena: GasArena, survivors: list[Any], missing: int) -> dict[str, bytes]:
    """Vectors whose sum is one of packed updates: all but the last are anything, and that follows."""
    *rest, _ = survivors
    masks = [0] * WORDS
    for n in survivors:
        self_key, pairs, place = arena.keys(n)
        for key, sign in masks_left(mask.opening(self_key, pairs, place, missing), missing, place):
            masks = [a + sign * b for a, b in zip(masks, mask_words(key, WORDS), strict=True)]
    total = words_of_bytes(pack_update(np.full(WEIGHTS, 1)))
    bias = words_of_bytes(pack_update(np.zeros(WEIGHTS, dtype=np.int64)))
    columns = []
    for w in range(WORDS):
        for attempt in count():
            column = [full("y", n.address, w, attempt, below=FIELD) for n in rest]
            others = sum(int.from_bytes(y, "big") for y in column)
            last = (total[w] + (len(survivors) - 1) * bias[w] + masks[w] - others) % FIELD
            if 0 not in last.to_bytes(32, "big"):
                columns.append([*column, last.to_bytes(32, "big")])
                break
    return {n.address: b"".join(row) for n, row in zip(survivors, zip(*columns, strict=True), strict=True)}


def measure(project: Any, chain: Any, parts: Any, nodes: list[Any]) -> dict[str, int]:
    """Gas by name; `nodes`: eight accounts that nothing else uses, without a zero byte in their addresses."""
    changes = {"seats": M, "clusterSize": M, "minMembers": M, "clamp": 1 << 19, "leadWindow": 0, "epochRounds": 8}
    label = hashlib.sha256(b"masked").digest()
    config = config_of(parts.token, parts.founder, parts.guardian, label=label, dimension=WEIGHTS)
    config["params"] = PARAMS | changes
    parts.factory.create(config, sender=parts.founder)
    where = parts.factory.addressesOf(parts.founder, label)
    arena = GasArena(
        chain=chain, founder=parts.founder, guardian=parts.guardian, token=parts.token, factory=parts.factory,
        feeds=[], federation=project.Federation.at(where.federation),
        vault=project.StakeVault.at(where.vault), registry=project.ModelRegistry.at(where.registry),
        engine=None, settlement=project.Settlement.at(where.settlement),
        duties=project.Duties.at(where.duties), keyring=project.Keyring.at(where.keyring), genesis=config["genesis"],
        weights=WEIGHTS,
    )  # fmt: skip
    gas: dict[str, int] = {}
    points = (public_key(int.from_bytes(full("secret", n.address, below=FIELD), "big")) for n in nodes)
    registered = [arena.keyring.register(x, y, sender=n).gas_used for n, (x, y) in zip(nodes, points, strict=True)]
    gas["register_key"] = max(registered)
    for n in nodes:
        arena.fund(n, 2 * BOND)
        arena.federation.join(2 * BOND, sender=n)

    # The first round computes seats; the last ends with a bond slashed, and a member less. Pledges fill two new slots.
    usual = [(True, (), ""), (False, (), "")]
    pledging = [(False, (), "pledged_first")] * 2 + [(False, (), "pledged")] * 2
    for first, missing, pledge in [*usual, *pledging, (False, MISSING[:1], ""), (False, MISSING, "")]:
        arena.open()
        arena.pledging = bool(pledge)
        seats = {arena.seat(n): n for n in nodes}
        survivors = [n for s, n in sorted(seats.items()) if s not in missing]
        if missing == MISSING:
            bits, number = sum(1 << s for s in missing), int(arena.federation.clock().number)
            made = vectors_of_a_sum(arena, survivors, bits)
            arena.made |= {(number, f"vector{node}"): data for node, data in made.items()}
        commits = [r.gas_used for r in arena.commit(*nodes)]
        reveals = [r.gas_used for r in arena.reveal(*survivors)]
        arena.pass_to("Unmask")
        opened = [r.gas_used for r in arena.unmask(*survivors)]
        suffix = f"_{len(missing)}_missing" if missing else ""
        if not first:
            gas |= {"commit_masked": max(commits[:-1]), f"reveal_{pledge or 'masked'}": max(reveals[:-1])}
            gas["unmask_masked" + suffix] = max(opened[:-1])
        if pledge == "pledged":
            gas["pledge"] = arena.federation.pledge(arena.pledged(nodes[0]), sender=nodes[0]).gas_used
        if missing != MISSING:
            arena.pass_to("Void")
    arena.pass_to("Propose")
    model = pack_model(np.full(WEIGHTS, 0x01010101 >> 8))
    arena.federation.propose(model, 0, sender=survivors[0])
    receipt = arena.settlement.dispute(model, arena.vectors(nodes), 0, 1, sender=parts.founder)
    gas["dispute_masked_word"] = receipt.gas_used
    return gas
