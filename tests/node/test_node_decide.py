"""What a node does next, by tables; no chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fedvol.chain.federation import Clock, NodeState, Phase, Proposal, Snapshot
from fedvol.node.decide import Act, Action, Roles, View, decide, turn

NODE = NodeState(
    address="0xA", status="active", index=2, seat=2, ballot_round=6, ballot_state=2, faults=0, absences=0,
    absent_round=0, voids=0, key_since=0, bond=1000, unlocks_at=0, balance_wei=10**18, tokens=0,
)  # fmt: skip
CLOCK = Clock(
    stage=Phase.COMMIT, cluster_size=1, number=7, epoch_start=5, demands=0, since=100, commit_window=60,
    reveal_window=60, finality=2, selected=4,
    quorum=2, committed=0, revealed=0, seed=9,
)  # fmt: skip
SNAPSHOT = Snapshot(
    block=50, time=1_000, phase=Phase.COMMIT, ends_at=1_060, clock=CLOCK,
    proposal=Proposal("0x0", 900, 48, 0, bytes(32), 0),
    params={"bond": 1000, "proposeWindow": 60, "leadWindow": 20, "minMembers": 3, "demandWindow": 30},
    next_opening=960, version=3, published_at=900,
    lead_seat=1, members=6, joining=1, roll=None, node=NODE,
)  # fmt: skip
LATE = View(waited=10_000)
SILENT, ABSENT = Action(Act.REPORT_SILENCE, "0xB"), Action(Act.REPORT_ABSENCE, "0xC")
OWN = Action(Act.REPORT_VOID, "0xA")


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
CAN = View(can_open=True)


@pytest.mark.parametrize(
    ("snapshot", "view", "expected"),
    [
        (at(Phase.IDLE, {"status": "none"}), View(), Act.JOIN),
        (at(Phase.COMMIT, {"status": "none"}), View(), Act.JOIN),
        (at(Phase.IDLE, {"status": "none"}), View(needs_key=True), Act.REGISTER_KEY),
        (at(Phase.IDLE, {"status": "none", "key_since": 1}), View(needs_key=True), Act.JOIN),
        # masks: a key for the next epoch when nothing else is due; opened when the survivors are certain
        (at(Phase.COMMIT, COMMITTED), View(needs_key=True), Act.REGISTER_KEY),
        (at(Phase.COMMIT), View(needs_key=True), Act.COMMIT),
        (at(Phase.COMMIT, COMMITTED | {"status": "leaving"}), View(needs_key=True), None),
        (at(Phase.COMMIT), View(can_mask=False), None),
        (at(Phase.UNMASK, REVEALED), View(may_open=True), Act.UNMASK),
        (at(Phase.UNMASK, REVEALED), View(), None),
        # bytes that it owed an earlier round keep it from committing until it says so itself
        (at(Phase.COMMIT, {"ballot_state": 4}), View(), Action(Act.REPORT_UNANSWERED, "0xA")),
        # an exit that no opening would carry out
        (at(Phase.VOID, {"status": "leaving"}, next_opening=970), LATE, Act.SETTLE_EXITS),
        (at(Phase.VOID, {"status": "leaving"}, next_opening=971), LATE, Act.OPEN),
        (at(Phase.VOID, {"status": "leaving"}, next_opening=970), View(), None),
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
        (at(Phase.FINAL, LEAD, stage=Phase.CHALLENGE, time=10**9), View(reports=(SILENT,)), Act.PUBLISH),
        (at(Phase.CHALLENGE, LEAD), LATE, None),
        # open: when due, and nothing is left to do in the round
        (at(Phase.FINAL, LEAD), View(), Act.OPEN),
        (at(Phase.VOID, LEAD), View(), Act.OPEN),
        (at(Phase.IDLE, LEAD), View(), Act.OPEN),
        (at(Phase.FINAL, LEAD, next_opening=1_001), View(), None),
        (at(Phase.IDLE, LEAD, members=1, joining=1), View(), None),
        (at(Phase.IDLE, LEAD, members=0, joining=3), View(), Act.OPEN),
        (at(Phase.FINAL, LEAD), View(reports=(SILENT, ABSENT)), SILENT),
        (at(Phase.CHALLENGE, LEAD), View(reports=(SILENT,)), SILENT),
        # whoever is at fault lets others report it before its opening would end that
        (at(Phase.FINAL, LEAD), View(reports=(SILENT, OWN)), SILENT),
        (at(Phase.FINAL, LEAD), View(reports=(OWN,), waited=29), None),
        (at(Phase.FINAL, LEAD), View(reports=(OWN,), waited=30), Act.OPEN),
        # draw: after the seed's block
        (at(Phase.DRAW, LEAD, block=48), View(), None),
        (at(Phase.DRAW, LEAD, block=49), View(), Act.DRAW),
    ],
)
def test_the_next_act(snapshot: Snapshot, view: View, expected: Act | Action | None) -> None:
    wanted = Action(expected) if isinstance(expected, Act) else expected
    assert decide(snapshot, view, Roles()) == wanted


DEMANDED = {"ballot_round": 7, "ballot_state": 4}
OPEN_DEMAND = {"demands": 1}
OVERTURNED = Proposal("0x0", 900, 48, 1, bytes(32), 0)
MISSING = View(missing=("0xB", "0xC"))
WRONG, RIGHT = View(holds=False), View(holds=True)
CLAIM = Action(Act.CLAIM_ETH)
SPENT = {"bond": 900, "tokens": 100}
ROUND = {"since": 1_000}


@pytest.mark.parametrize(
    ("snapshot", "view", "roles", "expected"),
    [
        # answer: the node's own bytes at once, those of others by turns but within half of the time
        (at(Phase.AVAILABILITY, DEMANDED), CAN, Roles(watchtower=False), Action(Act.ANSWER, "0xA")),
        (at(Phase.AVAILABILITY, DEMANDED), View(), Roles(), None),
        (at(Phase.AVAILABILITY, REVEALED), CAN, Roles(), None),
        (at(Phase.AVAILABILITY), View(answerable=("0xB",), waited=3), Roles(), None),
        (at(Phase.AVAILABILITY), View(answerable=("0xB",), waited=4), Roles(), Action(Act.ANSWER, "0xB")),
        (at(Phase.AVAILABILITY), View(answerable=("0xB",), waited=15), Roles(stagger=99), Action(Act.ANSWER, "0xB")),
        # demand: by turns, in the first third, never after demanding is over
        (at(Phase.AVAILABILITY, ends_at=1_027), MISSING, Roles(), None),
        (at(Phase.AVAILABILITY, ends_at=1_026), MISSING, Roles(), Action(Act.DEMAND, "0xB")),
        (at(Phase.AVAILABILITY, ends_at=1_021), MISSING, Roles(stagger=99), None),
        (at(Phase.AVAILABILITY, ends_at=1_020), MISSING, Roles(stagger=99), Action(Act.DEMAND, "0xB")),
        (at(Phase.AVAILABILITY, ends_at=1_031, clock=OPEN_DEMAND), MISSING, Roles(), Action(Act.DEMAND, "0xB")),
        (at(Phase.AVAILABILITY, ends_at=1_030, clock=OPEN_DEMAND), MISSING, Roles(), None),
        (at(Phase.AVAILABILITY, ends_at=1_020), MISSING, Roles(watchtower=False), None),
        # dispute: the lead at once, the others within one poll
        (at(Phase.CHALLENGE, LEAD, ROUND), WRONG, Roles(), Act.DISPUTE),
        (at(Phase.CHALLENGE, clock=ROUND), WRONG, Roles(), None),
        (at(Phase.CHALLENGE, clock=ROUND, time=1_001), WRONG, Roles(), Act.DISPUTE),
        (at(Phase.CHALLENGE, {"status": "none"}, ROUND, time=1_002), WRONG, Roles(join=False), Act.DISPUTE),
        (at(Phase.CHALLENGE, clock=ROUND, time=1_002), View(), Roles(), None),
        (at(Phase.CHALLENGE, clock=ROUND, time=1_002), WRONG, Roles(watchtower=False), None),
        # settle
        (at(Phase.CHALLENGE), RIGHT, Roles(), None),
        (at(Phase.CHALLENGE), RIGHT, Roles(settle=True), Act.SETTLE),
        (at(Phase.CHALLENGE), View(), Roles(settle=True), None),
        # after a wrong proposal nobody leads, and the bond has doubled
        (at(Phase.PROPOSE, {"bond": 2_000}, proposal=OVERTURNED, time=1_004), View(), Roles(), Act.PROPOSE),
        (at(Phase.PROPOSE, {"bond": 2_000}, proposal=OVERTURNED, time=1_003), View(), Roles(), None),
        (at(Phase.PROPOSE, {"tokens": 1_000}, proposal=OVERTURNED, time=1_004), View(), Roles(), Act.TOP_UP),
        (at(Phase.PROPOSE, {"tokens": 999}, proposal=OVERTURNED, time=1_004), View(), Roles(), None),
        # top up: while it is needed, and not after fraud
        (at(Phase.REVEAL, SPENT), View(), Roles(), Act.TOP_UP),
        (at(Phase.REVEAL, SPENT), View(), Roles(top_up=False), None),
        (at(Phase.REVEAL, SPENT | {"tokens": 99}), View(), Roles(), None),
        (at(Phase.REVEAL, SPENT | {"status": "leaving"}), View(), Roles(), None),
        (at(Phase.REVEAL, {"bond": 0, "tokens": 1_000}), View(), Roles(), None),
        # claim: between two rounds only
        (at(Phase.FINAL, LEAD), View(purse=(CLAIM,)), Roles(), CLAIM),
        (at(Phase.DRAW), View(purse=(CLAIM,)), Roles(), CLAIM),
        (at(Phase.FINAL, {"status": "none"}), View(purse=(CLAIM,)), Roles(join=False), CLAIM),
        (at(Phase.CHALLENGE), View(purse=(CLAIM,)), Roles(), None),
        (at(Phase.FINAL, LEAD, stage=Phase.CHALLENGE), View(purse=(CLAIM,)), Roles(), Act.PUBLISH),
    ],
)
def test_the_next_act_of_a_watchful_node(
    snapshot: Snapshot, view: View, roles: Roles, expected: Act | Action | None
) -> None:
    wanted = Action(expected) if isinstance(expected, Act) else expected
    assert decide(snapshot, view, roles) == wanted


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
