"""What a node does next, by tables; no chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedvol.chain.federation import Clock, NodeState, Phase, Proposal, Snapshot
from fedvol.node.decide import Act, Action, Roles, View, decide, turn

NODE = NodeState(
    address="0xA", status="active", index=2, seat=2, ballot_round=6, ballot_state=2, silences=0, bond=1000,
    unlocks_at=0, balance_wei=10**18, tokens=0,
)  # fmt: skip
CLOCK = Clock(
    stage=Phase.COMMIT, number=7, epoch_start=5, since=100, commit_window=60, reveal_window=60, finality=2, selected=4,
    quorum=2, committed=0, revealed=0, seed=9,
)  # fmt: skip
SNAPSHOT = Snapshot(
    block=50, time=1_000, phase=Phase.COMMIT, ends_at=1_060, clock=CLOCK, proposal=Proposal("0x0", 900, 48, bytes(32)),
    params={"bond": 1000, "proposeWindow": 60, "leadWindow": 20, "minMembers": 3},
    next_opening=960, version=3, published_at=900,
    lead_seat=1, members=6, joining=1, node=NODE,
)  # fmt: skip
LATE = View(waited=10_000)


def at(
    phase: Phase, node: dict[str, Any] | None = None, clock: dict[str, Any] | None = None, **changes: Any
) -> Snapshot:
    stage = changes.pop("stage", phase)
    return replace(
        SNAPSHOT,
        phase=phase,
        node=replace(NODE, **(node or {})),
        clock=replace(CLOCK, stage=stage, **(clock or {})),
        **changes,
    )


COMMITTED = {"ballot_round": 7, "ballot_state": 1}
REVEALED = {"ballot_round": 7, "ballot_state": 2}
LEAD = {"seat": 1}
CAN = View(can_reveal=True)


@pytest.mark.parametrize(
    ("snapshot", "view", "expected"),
    [
        (at(Phase.IDLE, {"status": "none"}), View(), Act.JOIN),
        (at(Phase.COMMIT, {"status": "none"}), View(), Act.JOIN),
        # commit: once, if seated
        (at(Phase.COMMIT), View(), Act.COMMIT),
        (at(Phase.COMMIT, {"status": "leaving"}), View(), Act.COMMIT),
        (at(Phase.COMMIT, COMMITTED), View(), None),
        (at(Phase.COMMIT, {"seat": None}), View(), None),
        (at(Phase.COMMIT, {"seat": 4}), View(), None),
        (at(Phase.SETTLE, stage=Phase.COMMIT), View(), None),
        # reveal: only what was committed in this round, and what the journal can open
        (at(Phase.REVEAL, COMMITTED), CAN, Act.REVEAL),
        (at(Phase.REVEAL, COMMITTED), View(), None),
        (at(Phase.REVEAL, REVEALED), CAN, None),
        (at(Phase.REVEAL, {"ballot_round": 6, "ballot_state": 1}), CAN, None),
        (at(Phase.SETTLE, COMMITTED, stage=Phase.REVEAL), CAN, None),
        # propose: the lead at once, the others by turns
        (at(Phase.PROPOSE, LEAD), View(), Act.PROPOSE),
        (at(Phase.PROPOSE, time=1_010), View(), None),
        (at(Phase.PROPOSE, time=1_023), View(), None),
        (at(Phase.PROPOSE, time=1_024), View(), Act.PROPOSE),
        (at(Phase.PROPOSE, {"seat": None, "index": 100}, time=1_039), View(), None),
        (at(Phase.PROPOSE, {"seat": None, "index": 100}, time=1_040), View(), Act.PROPOSE),
        (at(Phase.PROPOSE, LEAD | {"bond": 999}), View(), None),
        (at(Phase.PROPOSE, {"status": "joining"}, time=1_050), View(), None),
        # publish
        (at(Phase.FINAL, LEAD, stage=Phase.CHALLENGE), View(), Act.PUBLISH),
        (at(Phase.FINAL, LEAD, stage=Phase.CHALLENGE, time=10**9), View(silent=("0xB",)), Act.PUBLISH),
        (at(Phase.CHALLENGE, LEAD), LATE, None),
        # open: when due, and nothing is left to do in the round
        (at(Phase.FINAL, LEAD), View(), Act.OPEN),
        (at(Phase.VOID, LEAD), View(), Act.OPEN),
        (at(Phase.IDLE, LEAD), View(), Act.OPEN),
        (at(Phase.FINAL, LEAD, next_opening=1_001), View(), None),
        (at(Phase.IDLE, LEAD, members=1, joining=1), View(), None),
        (at(Phase.IDLE, LEAD, members=0, joining=3), View(), Act.OPEN),
        (at(Phase.FINAL, LEAD), View(silent=("0xB", "0xC")), Action(Act.REPORT, "0xB")),
        (at(Phase.CHALLENGE, LEAD), View(silent=("0xB",)), Action(Act.REPORT, "0xB")),
        # draw: after the seed's block
        (at(Phase.DRAW, LEAD, block=48), View(), None),
        (at(Phase.DRAW, LEAD, block=49), View(), Act.DRAW),
    ],
)
def test_the_next_act(snapshot: Snapshot, view: View, expected: Act | Action | None) -> None:
    wanted = Action(expected) if isinstance(expected, Act) else expected
    assert decide(snapshot, view, Roles()) == wanted


@pytest.mark.parametrize(("waited", "acts"), [(0, False), (3, False), (4, True), (100, True)])
def test_a_keeper_waits_for_its_turn(waited: int, acts: bool) -> None:
    snapshot = at(Phase.FINAL)  # seat 2, the lead has 1: second in turn
    assert (decide(snapshot, View(waited=waited), Roles(stagger=4)) is not None) == acts


@pytest.mark.parametrize(
    ("snapshot", "roles"),
    [
        (at(Phase.IDLE, {"status": "none"}), Roles(join=False)),
        (at(Phase.PROPOSE, LEAD), Roles(propose=False)),
        (at(Phase.FINAL, LEAD), Roles(keeper=False)),
        (at(Phase.FINAL, LEAD, stage=Phase.CHALLENGE), Roles(keeper=False)),
        (at(Phase.DRAW, LEAD, block=100), Roles(keeper=False)),
    ],
)
def test_a_node_without_a_role_leaves_it_to_others(snapshot: Snapshot, roles: Roles) -> None:
    assert decide(snapshot, LATE, roles) is None


def test_every_node_has_a_turn_of_its_own() -> None:
    seats = {turn(SNAPSHOT, replace(NODE, seat=seat, index=9)) for seat in range(4)}
    unseated = {turn(SNAPSHOT, replace(NODE, seat=None, index=index)) for index in range(4)}
    assert seats == {0, 1, 2, 3}
    assert len(unseated) == 4
    assert not seats & unseated
    assert turn(SNAPSHOT, replace(NODE, seat=1)) == 0
