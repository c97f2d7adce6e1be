"""A node rests as long as it may, and misses nothing: with the windows of a public chain, on a real one."""

from __future__ import annotations

import heapq
import random
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripts._faults import FaultyProxy, faulty_proxy

from fedvol.chain.federation import Phase, Snapshot
from fedvol.node.daemon import Node
from fedvol.node.decide import Roles, View
from fedvol.node.pace import LONGEST, rest
from tests.node.conftest import PARAMS, Lab
from tests.node.test_node_decide import COMMITTED, LEAD, REVEALED, at

MAINNET = Path(__file__).resolve().parents[2] / "federations" / "mainnet.example.toml"
M = 4
MOST_CALLS = 60
"""A round, of a member with a seat that commits, reveals and unmasks."""
SHARED_CALLS = 4 * 5
"""Of the one that also draws, proposes, publishes and opens, for all."""


@pytest.fixture
def rounds() -> dict[str, Any]:
    plan = {_camel(name): value for name, value in tomllib.loads(MAINNET.read_text())["rounds"].items()}
    timing = {name: plan[name] for name in PARAMS if name in plan and name not in ("clamp", "step")}
    return timing | {"seats": M, "clusterSize": M, "minMembers": M, "quorumBps": 5_000}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.fixture
def proxies(lab: Lab) -> Iterator[list[FaultyProxy]]:
    with ExitStack() as opened:
        yield [opened.enter_context(faulty_proxy(lab.url)) for _ in range(M)]


@pytest.fixture
def nodes(lab: Lab, proxies: list[FaultyProxy]) -> list[Node]:
    return [lab.node(i, rpc=proxy.url, poll_seconds=2.0) for i, proxy in enumerate(proxies, 1)]


WINDOWS = {
    "commitWindow": 3_600, "revealWindow": 1_800, "demandWindow": 1_200, "leadWindow": 600, "proposeWindow": 1_800,
    "challengeWindow": 7_200,
}  # fmt: skip
OLD = View(waited=100_000)


@pytest.mark.parametrize(
    ("snapshot", "view", "expected"),
    [
        # others may end the phase: at first as often as blocks come, then at twice the age, at most a quarter of what
        # may come next
        (at(Phase.COMMIT, COMMITTED, ends_at=4_600), View(can_open=True), 12),
        (at(Phase.COMMIT, COMMITTED, ends_at=4_600), View(can_open=True, waited=100), 100),
        (at(Phase.COMMIT, COMMITTED, ends_at=4_600), replace(OLD, can_open=True), 450),
        (at(Phase.REVEAL, REVEALED, ends_at=2_800), OLD, 300),
        (at(Phase.PROPOSE, REVEALED, ends_at=1_800), OLD, 800),  # everybody's turn has come, and nobody proposes
        (at(Phase.VOID, ends_at=0, next_opening=900), OLD, 100),
        (at(Phase.DRAW, ends_at=0), OLD, 900),
        # never beyond the end of a phase
        (at(Phase.COMMIT, COMMITTED, ends_at=1_005), replace(OLD, can_open=True), 5),
        # a proof is being made, and the end comes near
        (at(Phase.REVEAL, COMMITTED, ends_at=1_400), OLD, 100),
        # only the clock ends these
        (at(Phase.SETTLE, REVEALED, stage=Phase.REVEAL, ends_at=1_768), View(), 768),
        (at(Phase.AVAILABILITY, REVEALED, ends_at=2_200), View(), 1_200),
        (at(Phase.AVAILABILITY, REVEALED, ends_at=2_200), replace(OLD, watched=False), 300),
        (at(Phase.CHALLENGE, REVEALED, ends_at=4_000), View(holds=True), 3_000),
        (at(Phase.CHALLENGE, REVEALED, ends_at=2_000), replace(OLD, watched=False), 250),
        (at(Phase.FINAL, LEAD, ends_at=0, next_opening=2_000), View(), 1_000),
        (at(Phase.VOID, LEAD, ends_at=0, next_opening=2_000), View(), 1_000),
        # its turn, in what one does for all: the second from the lead waits four seconds
        (at(Phase.FINAL, ends_at=0, next_opening=2_000), View(), 1_004),
        (at(Phase.FINAL, stage=Phase.CHALLENGE, ends_at=0, next_opening=900), View(waited=1), 3),
        # and what nobody foresaw
        (at(Phase.FINAL, ends_at=0, next_opening=50_000), View(), LONGEST),
    ],
)
def test_it_rests_as_long_as_it_may(snapshot: Snapshot, view: View, expected: float) -> None:
    snapshot = replace(snapshot, params=snapshot.params | WINDOWS)
    assert rest(snapshot, view, Roles(), beat=12) == expected


def live(lab: Lab, nodes: list[Node], until: Callable[[], bool], pause: Callable[[Node], float] | None = None) -> None:
    """Each node looks when it wants to look again, and time goes by from look to look."""

    def now() -> int:
        return lab.client.web3.eth.get_block("latest")["timestamp"]

    looks = [(now(), place) for place in range(len(nodes))]
    while not until():
        due, place = heapq.heappop(looks)
        if (wait := int(due - now())) > 0:
            lab.pass_time(wait)
        nodes[place].cycle()
        longest = nodes[place].pause if pause is None else pause(nodes[place])
        heapq.heappush(looks, (max(due, now()) + longest, place))


def spotless(lab: Lab) -> bool:
    return all((m.faults, m.absences, m.voids) == (0, 0, 0) for m in lab.client.members(lab.client.snapshot()))


def test_a_round_takes_few_calls_and_as_many_whatever_its_number(
    lab: Lab, nodes: list[Node], proxies: list[FaultyProxy]
) -> None:
    by_round = []
    for number in (2, 3, 4):
        live(lab, nodes, until=lambda number=number: lab.round == number)
        by_round.append(sorted(proxy.methods.total() for proxy in proxies))
        for proxy in proxies:
            proxy.methods.clear()
    assert lab.version == 4, "every round ended well"
    assert spotless(lab)
    for *members, lead in by_round[1:]:  # the first is that of joining
        assert max(members) <= MOST_CALLS, by_round
        assert lead <= MOST_CALLS + SHARED_CALLS, by_round
    assert max(map(sum, by_round[1:])) <= 1.1 * min(map(sum, by_round[1:])), by_round


def test_nobody_misses_a_window_however_late_another_acts(lab: Lab, nodes: list[Node]) -> None:
    """One ends phases when nobody expects it: a minute after all others have acted, then at any time."""
    chance, slow = random.Random(5), nodes[0]

    def pause(node: Node) -> float:
        s = lab.client.snapshot()
        if node is not slow or s.phase != Phase.SETTLE:
            return node.pause
        return s.ends_at - s.time + (60 if s.clock.number == 1 else 0.9 * chance.random() * s.params["revealWindow"])

    live(lab, nodes, until=lambda: lab.round == 3, pause=pause)
    assert lab.version == 3
    assert spotless(lab)


def test_nobody_else_misses_a_window_while_one_is_away(lab: Lab, nodes: list[Node]) -> None:
    """Phases then run by the clock."""
    live(lab, nodes, until=lambda: lab.client.snapshot().clock.committed == M)
    *others, gone = nodes
    live(lab, others, until=lambda: lab.version == 2)
    found = {m.address: m for m in lab.client.members(lab.client.snapshot())}
    assert found.pop(gone._account.address).faults > 0
    assert all((m.faults, m.absences) == (0, 0) for m in found.values())
