"""Gas: as in the committed snapshot, below its ceilings, and the same in round 1 and 100, with 10 members and 200."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts._anvil import TRANSACTION_GAS_CAP
from tests.contracts.arena import PARAMS, WEIGHTS
from tests.contracts.gas_cases import ANNEX, CEILINGS, CODE_SIZE_CEILING, CONTENT, code_sizes, measure, opening
from tests.contracts.wallets import Wallets

from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.vector import pack_model

SNAPSHOT = Path(__file__).resolve().parents[2] / "benchmarks" / "gas.json"


@pytest.fixture(scope="module")
def gas(project, chain, accounts):
    return measure(project, chain, accounts)


def test_gas_equals_the_snapshot_succeeds(gas):
    assert gas == json.loads(SNAPSHOT.read_text()), "gas has changed: run `make gas` and commit benchmarks/gas.json"


@pytest.mark.parametrize("name", CEILINGS)
def test_gas_below_its_ceiling_succeeds(gas, name):
    assert gas[name] <= CEILINGS[name]


def test_gas_of_any_transaction_below_the_cap_succeeds(gas):
    assert max(gas.values()) <= TRANSACTION_GAS_CAP


def test_gas_contract_sizes_succeeds(project):
    sizes = code_sizes(project)
    assert all(0 < size <= CODE_SIZE_CEILING for size in sizes.values()), sizes


def open_(wallets: Wallets) -> None:
    """Opens and draws a round, once the one before is over."""
    federation, founder = wallets.arena.federation, wallets.arena.founder.address
    wallets.wait(int(federation.params().interval) + 1)
    wallets.send(founder, federation.open)
    wallets.rpc("anvil_mine", ["0x2"])
    wallets.send(founder, federation.draw)
    wallets.wait(2)


def play(wallets: Wallets, members: list[str], gap: int) -> tuple[int, int]:
    """The first three with a seat commit, and reveal `gap` seconds later; the gas of the first's commit and reveal."""
    arena, federation = wallets.arena, wallets.arena.federation
    open_(wallets)
    (clock, *seats) = wallets.read((federation.clock,), *((federation.seatOf, m) for m in members))
    chosen = [m for m, (seat,) in zip(members, seats, strict=True) if seat < clock[7]][:3]
    openings = {m: opening(arena, m) for m in chosen}
    commits = [wallets.send(m, federation.commit, value) for m, (value, _) in openings.items()]
    wallets.wait(gap)
    reveals = [wallets.send(m, federation.reveal, CONTENT, ANNEX, salt, NO_PLEDGE) for m, (_, salt) in openings.items()]
    return commits[0], reveals[0]


def finish(wallets: Wallets, proposer: str, number: int) -> None:
    federation, model = wallets.arena.federation, pack_model([number] * WEIGHTS)
    wallets.wait(PARAMS["demandWindow"] + 2 * PARAMS["finality"])
    wallets.send(proposer, federation.propose, model, 0)
    wallets.wait(100)
    wallets.send(proposer, federation.publish, model)


def test_gas_same_at_round_1_and_100_succeeds(make_arena):
    """Epochs of three rounds: 1 and 100 are first rounds of theirs, 2 and 101 are not."""
    arena = make_arena(epochRounds=3, interval=0, leadWindow=0)
    wallets = Wallets(arena)
    members = wallets.crowd(3)
    rounds = {}
    for number in range(1, 102):
        rounds[number] = play(wallets, members, gap=2)
        finish(wallets, members[0], number)
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
        figures.append([play(wallets, members, commit_window_and_gap) for _ in range(2)])
        assert int(arena.federation.memberCounts().active) == count
    assert figures[0] == figures[1]
