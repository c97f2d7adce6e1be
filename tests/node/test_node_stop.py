"""A node that is told to stop: it does what is at stake, takes nothing new on, and says what it leaves undone."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from scripts._anvil import rpc

from fedvol.chain.federation import Phase, Snapshot
from fedvol.node.closing import Closing
from fedvol.node.daemon import Node
from fedvol.node.decide import Act, Action, Roles, View, decide
from fedvol.node.duty import Duty, duty_of
from fedvol.protocol.roll import Roll
from tests.node.conftest import Lab
from tests.node.daemons import daemon, turn_until
from tests.node.test_node_commands import write
from tests.node.test_node_decide import COMMITTED, DEMANDED, LATE, LEAD, REVEALED, at

PENALTY = 80
PARAMS = {"silencePenalty": PENALTY, "demandWindow": 30, "unmaskWindow": 20, "bond": 1000, "minMembers": 3}
PARAMS |= {"proposeWindow": 60, "leadWindow": 20}
SEATS = range(4)
WAITING = {"roll": Roll.of(4, 4, SEATS, []), "clock": {"cluster_size": 4}}
"""A cluster of four that have all revealed; nobody has unmasked."""


def now(phase: Phase, node: dict[str, Any] | None = None, **changes: Any) -> Snapshot:
    return at(phase, node, params=PARAMS, **changes)


# ---------------------------------------------------------------------- what is owed


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        # the clock's commit stage begins at 100: commits to 160, settling to 162, reveals to 222, availability from 224
        (now(Phase.COMMIT, ends_at=160, time=110), Duty(Act.COMMIT, 100, 160, PENALTY // 2)),
        (now(Phase.COMMIT, {"seat": None}, ends_at=160, time=110), None),
        (now(Phase.COMMIT, {"seat": 4}, ends_at=160, time=110), None),
        (now(Phase.COMMIT, {"faults": 2}, ends_at=160, time=110), Duty(Act.COMMIT, 100, 160, 4 * PENALTY // 2)),
        (now(Phase.COMMIT, {"faults": 9}, ends_at=160, time=110), Duty(Act.COMMIT, 100, 160, 8 * PENALTY // 2)),
        (now(Phase.COMMIT, COMMITTED, time=110), Duty(Act.REVEAL, 162, 222, PENALTY)),
        (now(Phase.SETTLE, COMMITTED, stage=Phase.COMMIT, time=161), Duty(Act.REVEAL, 162, 222, PENALTY)),
        (now(Phase.REVEAL, COMMITTED, stage=Phase.REVEAL, time=110), Duty(Act.REVEAL, 100, 160, PENALTY)),
        (now(Phase.SETTLE, COMMITTED, stage=Phase.REVEAL, time=161), None),
        (now(Phase.AVAILABILITY, COMMITTED, stage=Phase.REVEAL, time=170), None),
        (now(Phase.VOID, COMMITTED, stage=Phase.COMMIT, time=161), None),
        (now(Phase.REVEAL, REVEALED, time=110), None),
        (now(Phase.AVAILABILITY, DEMANDED, time=110), Duty(Act.ANSWER, 100, 160, 2 * PENALTY)),
        (now(Phase.AVAILABILITY, DEMANDED, stage=Phase.COMMIT, time=230), Duty(Act.ANSWER, 224, 284, 2 * PENALTY)),
        (now(Phase.COMMIT, {"ballot_round": 6, "ballot_state": 1, "seat": None}, time=110), None),
        # masked: from the reveal on the keys are owed, while its cluster may have enough
        (now(Phase.UNMASK, REVEALED, time=110, **WAITING), Duty(Act.UNMASK, 100, 120, 3 * PENALTY // 2)),
        (now(Phase.AVAILABILITY, REVEALED, time=110, **WAITING), Duty(Act.UNMASK, 132, 152, 3 * PENALTY // 2)),
        (
            now(Phase.AVAILABILITY, REVEALED, time=110, roll=WAITING["roll"], clock={"demands": 1}),
            Duty(Act.UNMASK, 162, 182, 3 * PENALTY // 2),
        ),
        (now(Phase.REVEAL, REVEALED, time=110, roll=Roll.of(4, 4, [2], [])), Duty(Act.UNMASK, 194, 214, 120)),
        (now(Phase.AVAILABILITY, REVEALED, time=110, roll=Roll.of(4, 4, [2], [])), None),
        (now(Phase.UNMASK, REVEALED, time=110, roll=Roll.of(4, 4, SEATS, [2])), None),
        (now(Phase.PROPOSE, REVEALED, time=130, stage=Phase.UNMASK, roll=WAITING["roll"]), None),
    ],
)
def test_what_a_node_owes_the_round(snapshot: Snapshot, expected: Duty | None) -> None:
    assert duty_of(snapshot) == expected


STAKE = Roles(only_at_stake=True)


@pytest.mark.parametrize(
    ("snapshot", "view", "expected"),
    [
        (at(Phase.REVEAL, COMMITTED), View(can_open=True), Action(Act.REVEAL)),
        (at(Phase.AVAILABILITY, DEMANDED), View(can_open=True), Action(Act.ANSWER, "0xA")),
        (at(Phase.UNMASK, REVEALED), View(may_open=True), Action(Act.UNMASK)),
        (at(Phase.COMMIT), View(), None),
        (at(Phase.IDLE, {"status": "none"}), View(), None),
        (at(Phase.PROPOSE, LEAD), View(), None),
        (at(Phase.FINAL, LEAD), LATE, None),
        (at(Phase.DRAW, LEAD, block=100), LATE, None),
        (at(Phase.CHALLENGE, LEAD), View(holds=False, waited=9), None),
        (at(Phase.AVAILABILITY), View(missing=("0xB",), answerable=("0xB",), waited=99), None),
        (at(Phase.COMMIT, COMMITTED), View(needs_key=True, needs_pledge=True), None),
    ],
)
def test_only_what_is_at_stake_is_decided(snapshot: Snapshot, view: View, expected: Action | None) -> None:
    assert decide(snapshot, view, STAKE) == expected
    assert decide(snapshot, view, Roles()) is not None or snapshot.phase == Phase.DRAW


# ---------------------------------------------------------------------- when it goes


class Told:
    def __init__(self, patience: float) -> None:
        self.seconds = 0.0
        self.closing = Closing(patience, lambda: self.seconds)

    def over(self, s: Snapshot | None) -> tuple[bool, list[dict[str, Any]]]:
        with structlog.testing.capture_logs() as lines:
            return self.closing.is_over(s), lines


def test_it_goes_at_once_where_nothing_is_at_stake_and_never_unasked() -> None:
    told = Told(120)
    assert told.over(now(Phase.REVEAL, REVEALED, time=110)) == (False, [])
    told.closing.ask()
    assert told.over(now(Phase.REVEAL, REVEALED, time=110)) == (True, [])
    assert told.over(now(Phase.COMMIT, ends_at=160, time=110)) == (True, [])  # it need not have committed


def test_it_waits_for_the_reveal_says_so_once_and_loses_patience() -> None:
    told, committed = Told(120), now(Phase.COMMIT, COMMITTED, time=110)
    told.closing.ask()
    over, (line,) = told.over(committed)
    assert not over
    assert (line["event"], line["act"], line["until"]) == (
        "waits before it stops",
        "reveal",
        "1970-01-01 00:03:42Z",
    )
    told.seconds = 60
    assert told.over(committed) == (False, [])
    told.seconds = 120
    over, (line,) = told.over(replace(committed, time=230 - 60))
    assert over
    assert "00:02:42" in line["start_again_between"]
    assert "00:03:42" in line["start_again_between"]


def test_what_takes_longer_than_its_patience_is_not_waited_for() -> None:
    told = Told(51)
    told.closing.ask()
    over, (line,) = told.over(now(Phase.COMMIT, COMMITTED, time=110))  # reveals begin in 52 s
    assert over
    assert line["log_level"] == "warning"


def test_it_looks_what_came_of_its_last_act_before_it_goes() -> None:
    told = Told(120)
    told.closing.ask()
    over, (line,) = told.over(None)
    assert not over
    assert line["event"] == "looks once more before it stops"
    assert told.over(None) == (False, [])
    told.seconds = 121
    over, (line,) = told.over(None)
    assert over
    assert "start it again" in line["next"]


# ---------------------------------------------------------------------- real processes


def until_it_alone_has_committed(lab: Lab, others: list[Node]) -> None:
    """To where the daemon at the third account waits for the others, and revealing cannot begin."""
    turn_until(lab, others, lambda: lab.client.snapshot().phase == Phase.COMMIT)
    account = lab.client.web3.eth.accounts[3]
    turn_until(lab, [], lambda: lab.client.snapshot(account).node.ballot_state == 1, seconds=0)
    assert lab.client.snapshot().clock.committed < 3


def test_a_daemon_reveals_before_it_stops_and_takes_nothing_new_on(lab: Lab, tmp_path: Path) -> None:
    others = [lab.node(i) for i in (1, 2)]
    with daemon(write(lab.config(3), tmp_path)) as one:
        until_it_alone_has_committed(lab, others)
        one.process.send_signal(signal.SIGTERM)
        turn_until(lab, [], lambda: one.said("waits before it stops"), seconds=0)
        assert one.process.poll() is None
        assert one.said("waits before it stops")["act"] == "reveal"
        turn_until(lab, others, lambda: one.process.poll() is not None)
        assert one.process.returncode == 0
        events = [line["event"] for line in one.events]
        assert events.index("waits before it stops") < events.index("reveal") < events.index("stopped")
        after = events[events.index("waits before it stops") :]
        assert not {"commit", "open", "draw", "propose", "publish"} & set(after)


def test_it_does_not_wait_longer_than_it_may_and_says_what_is_lost(lab: Lab, tmp_path: Path) -> None:
    others = [lab.node(i) for i in (1, 2)]
    with daemon(write(lab.config(3), tmp_path), STOP_PATIENCE="3") as one:
        until_it_alone_has_committed(lab, others)
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(30) == 0
        line = one.said("stops")
        assert line["act"] == "reveal"
        assert line["else_lost"] == "50"


def test_a_second_signal_ends_it_at_once(lab: Lab, tmp_path: Path) -> None:
    others = [lab.node(i) for i in (1, 2)]
    with daemon(write(lab.config(3), tmp_path)) as one:
        until_it_alone_has_committed(lab, others)
        one.process.send_signal(signal.SIGTERM)
        turn_until(lab, [], lambda: one.said("waits before it stops"), seconds=0)
        one.process.send_signal(signal.SIGTERM)
        assert one.process.wait(5) == 128 + signal.SIGTERM


def test_what_it_has_not_sent_yet_is_not_sent_any_more_and_what_it_has_is_waited_for(lab: Lab, tmp_path: Path) -> None:
    path = write(lab.config(3), tmp_path)
    rpc(lab.url, "evm_setAutomine", False)
    with daemon(path) as one:
        pending = lambda: lab.client.web3.eth.get_block("pending")["transactions"]  # noqa: E731
        turn_until(lab, [], pending, seconds=0)  # its key, or its approval, waits for a block
        one.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        assert one.process.poll() is None
        rpc(lab.url, "anvil_mine", 1)
        assert one.process.wait(30) == 0
        assert one.said("register-key")
        assert not one.said("join")
        assert not one.said("approve")
        assert not pending()
