"""Gas: as in the committed snapshot, below its ceilings, and the same for the first and the hundredth, the few and the many."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fedvol.protocol.vector import pack_model
from scripts._anvil import TRANSACTION_GAS_CAP
from tests.contracts import gas_cases
from tests.contracts.arena import BOND, WEIGHTS, Arena

SNAPSHOT = Path(__file__).resolve().parents[2] / "benchmarks" / "gas.json"


@pytest.fixture(scope="module")
def gas(project, chain, accounts):
    return gas_cases.measure(project, chain, accounts)


def test_gas_equals_the_snapshot_succeeds(gas):
    assert gas == json.loads(SNAPSHOT.read_text()), "gas has changed: run `make gas` and commit benchmarks/gas.json"


@pytest.mark.parametrize("name", gas_cases.CEILINGS)
def test_gas_below_its_ceiling_succeeds(gas, name):
    assert gas[name] <= gas_cases.CEILINGS[name]


def test_gas_of_any_transaction_below_the_cap_succeeds(gas):
    assert max(gas.values()) <= TRANSACTION_GAS_CAP


def test_gas_contract_sizes_succeeds(project):
    sizes = gas_cases.code_sizes(project)
    assert all(0 < size <= gas_cases.CODE_SIZE_CEILING for size in sizes.values()), sizes


class Wallets:
    """Sends from any address without a key, straight to Anvil: hundreds of members, hundreds of rounds in seconds."""

    def __init__(self, arena: Arena) -> None:
        self.arena, self.rpc = arena, arena.chain.provider.make_request
        self.rpc("anvil_autoImpersonateAccount", [True])

    def send(self, sender: str, method: Any, *arguments: Any) -> int:
        """The gas used."""
        data = "0x" + bytes(method.encode_input(*arguments)).hex()
        call = {"from": sender, "to": method.contract.address, "data": data, "gas": hex(2_000_000)}
        receipt = self.rpc("eth_getTransactionReceipt", [self.rpc("eth_sendTransaction", [call])])
        assert receipt["status"] == "0x1", method
        return int(receipt["gasUsed"], 16)

    def wait(self, seconds: int) -> None:
        self.rpc("evm_increaseTime", [seconds])
        self.rpc("anvil_mine", [])

    def crowd(self, count: int) -> list[str]:
        """New members, none of whose addresses has a zero byte."""
        arena = self.arena
        members = ["0x" + (bytes([17, i + 1]) * 10).hex() for i in range(count)]
        for member in members:
            self.rpc("anvil_setBalance", [member, hex(10**18)])
            self.send(arena.founder.address, arena.token.mint, member, BOND)
            self.send(member, arena.token.approve, arena.vault, BOND)
            self.send(member, arena.federation.join, BOND)
        return members

    def open(self) -> None:
        self.wait(int(self.arena.federation.params().interval))
        self.send(self.arena.founder.address, self.arena.federation.open)
        self.rpc("anvil_mine", ["0x2"])
        self.send(self.arena.founder.address, self.arena.federation.draw)
        self.wait(2)

    def round(self, members: list[str], gap: int = 2) -> tuple[int, int]:
        """The first three with a seat commit, and reveal after `gap` seconds; the gas of the first's commit and reveal."""
        federation = self.arena.federation
        self.open()
        selected = int(federation.clock().selected)
        chosen = list(islice((m for m in members if int(federation.seatOf(m)) < selected), 3))
        openings = [gas_cases.opening(self.arena, n) for n in chosen]
        commits = [self.send(n, federation.commit, o[0]) for n, o in zip(chosen, openings, strict=True)]
        self.wait(gap)
        reveals = [
            self.send(n, federation.reveal, gas_cases.CONTENT, gas_cases.ANNEX, o[1])
            for n, o in zip(chosen, openings, strict=True)
        ]
        return commits[0], reveals[0]

    def finish(self, proposer: str, number: int) -> None:
        federation, model = self.arena.federation, pack_model([number] * WEIGHTS)
        self.wait(2)
        self.send(proposer, federation.propose, model)
        self.wait(100)
        self.send(proposer, federation.publish, model)


def test_gas_same_at_round_1_and_100_succeeds(make_arena, nodes):
    """Epochs of three rounds: 1 and 100 are first rounds of theirs, 2 and 101 are not."""
    arena = make_arena(epochRounds=3, interval=0, leadWindow=0)
    wallets = Wallets(arena)
    arena.join(*nodes[:3])
    members = [n.address for n in nodes[:3]]
    rounds = {}
    for number in range(1, 102):
        rounds[number] = wallets.round(members)
        wallets.finish(members[0], number)
    assert int(arena.registry.current().version) == 102
    assert rounds[1] == rounds[100]
    assert rounds[2] == rounds[101]


def test_gas_same_with_10_and_200_members_succeeds(make_arena):
    figures = []
    for count in (10, 200):
        arena = make_arena(seats=128, quorumBps=1, interval=1_000)
        wallets = Wallets(arena)
        members = wallets.crowd(count)
        commit_window_and_gap = 105
        figures.append([wallets.round(members, commit_window_and_gap) for _ in range(2)])
        assert int(arena.federation.memberCounts().active) == count
    assert figures[0] == figures[1]
