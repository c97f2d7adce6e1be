"""A federation of many members in rounds with real updates: what the gas of settlement and duties is measured on.

All that enters calldata is fixed, so that figures are the same on every run.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

import numpy as np
from scripts._anvil import TRANSACTION_GAS_CAP
from tests.contracts.arena import BOND, PARAMS, Arena, config_of
from tests.contracts.wallets import Wallets

from fedvol.protocol import commitment as twin
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.rule import Rule, apply
from fedvol.protocol.vector import content_id, pack_model, pack_update, pack_weighted

ANNEX = bytes(32)
MOVES = 1 << 16


class Crowd:
    """`count` members of a model of `weights` weights.

    Args:
        parts: what is deployed once: founder, guardian, token, factory.
        changes: to the parameters.
    """

    def __init__(self, project: Any, chain: Any, parts: Any, count: int, weights: int, **changes: Any) -> None:
        self.weights = weights
        self.params = PARAMS | {"seats": 128, "leadWindow": 0} | changes
        label = hashlib.sha256(f"{count} {weights} {sorted(changes.items())}".encode()).digest()
        config = config_of(parts.token, parts.founder, parts.guardian, label=label, dimension=weights)
        config["params"] = self.params
        parts.factory.create(config, sender=parts.founder)
        where = parts.factory.addressesOf(parts.founder, label)
        self.arena = Arena(
            chain=chain, founder=parts.founder, guardian=parts.guardian, token=parts.token, factory=parts.factory,
            feeds=[], federation=project.Federation.at(where.federation),
            vault=project.StakeVault.at(where.vault), registry=project.ModelRegistry.at(where.registry),
            engine=None, settlement=project.Settlement.at(where.settlement),
            duties=project.Duties.at(where.duties), keyring=project.Keyring.at(where.keyring),
            genesis=config["genesis"], weights=weights,
        )  # fmt: skip
        self.federation, self.settlement, self.duties = self.arena.federation, self.arena.settlement, self.arena.duties
        self.wallets = Wallets(self.arena)
        self.founder = parts.founder.address
        self.members = self.wallets.crowd(count)

    # ------------------------------------------------------------------ what members reveal

    def update(self, node: str) -> bytes:
        rng = np.random.default_rng(int(node, 16) % 2**32)
        moves = rng.integers(-MOVES, MOVES, self.weights)
        if not self.params["weighted"]:
            return pack_update(moves)
        weights = rng.integers(1, self.params["weightCap"], self.weights)
        return pack_weighted(moves * weights >> self.params["weightShift"], weights)

    def salt(self, node: str) -> bytes:
        return hashlib.sha256(node.encode()).digest()

    def vectors(self, nodes: list[str]) -> tuple[Any, ...]:
        rising = sorted(nodes, key=lambda n: int(n, 16))
        return tuple((n, ANNEX, self.salt(n), self.update(n), ()) for n in rising)

    @cached_property
    def aggregate(self) -> np.ndarray:
        """The rule's model of all members' updates, from the genesis."""
        rule = Rule.from_params(self.params)
        return apply(rule, np.zeros(self.weights, dtype=np.int64), [self.update(n) for n in self.members])

    # ------------------------------------------------------------------ a round

    def wait_for(self, phase: str) -> None:
        while (now := self.arena.phase) != phase:
            ends_at = int(self.federation.phase().endsAt)
            assert ends_at, f"{now} does not end by time"
            latest = self.wallets.rpc("eth_getBlockByNumber", ["latest", False])
            self.wallets.wait(max(1, ends_at - int(latest["timestamp"], 16)))

    def reveal_round(self, absent: list[str] | None = None, silent: list[str] | None = None) -> None:
        """A round up to where bytes can be demanded."""
        absent, silent = absent or [], silent or []
        send = self.wallets.send
        self.wallets.wait(self.params["interval"] + 1)
        send(self.founder, self.federation.open)
        self.wallets.rpc("anvil_mine", [hex(self.params["seedDelay"] + 1)])
        send(self.founder, self.federation.draw)
        self.wait_for("Commit")
        clock = self.federation.clock()
        chain_id = self.arena.chain.chain_id
        where = twin.RoundId(chain_id, self.federation.address, int(clock.number), int(clock.seed))
        here = [n for n in self.members if n not in absent]
        names = {n: content_id(self.update(n)) for n in here}
        for n in here:
            send(n, self.federation.commit, twin.commitment(where, n, names[n], self.salt(n)))
        self.wait_for("Reveal")
        for n in here:
            if n not in silent:
                send(n, self.federation.reveal, names[n], ANNEX, self.salt(n), NO_PLEDGE)
        self.wait_for("Availability")

    def propose(self, by: str, model: bytes) -> int:
        self.wait_for("Propose")
        return self.wallets.send(by, self.federation.propose, model, 0)

    def settle(self, model: bytes, words: int) -> int:
        """Gas; raises `Reverted` where it is more than a transaction may use."""
        call = (self.settlement.settle, model, self.vectors(self.members), words)
        return self.wallets.send(self.founder, *call, gas=TRANSACTION_GAS_CAP)


def measure_round(crowd: Crowd) -> dict[str, int]:
    """Gas of what settlement and duties do, by name."""
    send, members, founder = crowd.wallets.send, crowd.members, crowd.founder
    duties, settlement = crowd.duties, crowd.settlement
    gas: dict[str, int] = {}

    crowd.reveal_round()
    right = pack_model(crowd.aggregate)
    wrong = crowd.aggregate.copy()
    wrong[16] += 1
    wrong = pack_model(wrong)
    crowd.propose(members[0], wrong)
    vectors = crowd.vectors(members)
    gas["dispute_chunk"] = send(founder, settlement.dispute, wrong, vectors, 0, 3)
    crowd.wallets.fund(members[1], BOND)
    send(members[1], crowd.arena.vault.fund, members[1], BOND)
    crowd.propose(members[1], right)
    gas["settle_instant"] = crowd.settle(right, crowd.weights)

    crowd.members = members = members[1:]
    absent, silent, asked, withholding = members[1:5]
    crowd.reveal_round(absent=[absent], silent=[silent])
    gas["report_absence"] = send(founder, duties.reportAbsence, absent)
    gas["report_silence"] = send(founder, duties.reportSilence, silent)
    bond = crowd.params["demandBond"]
    gas["demand"] = max(send(founder, duties.demand, n, value=bond) for n in (asked, withholding))
    gas["answer"] = send(asked, duties.answer, asked, ANNEX, crowd.salt(asked), crowd.update(asked), b"")
    crowd.wait_for("Propose")
    gas["report_unanswered"] = send(founder, duties.reportUnanswered, withholding)
    gas["claim_wei"] = send(founder, duties.claim)
    return gas
