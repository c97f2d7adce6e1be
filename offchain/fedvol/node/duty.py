"""What a node owes the running round, until when, and what it costs not to do it: a function of the snapshot alone."""

from __future__ import annotations

from dataclasses import dataclass

from fedvol.chain.federation import ANSWERED, COMMITTED, DEMANDED, NOTHING, REVEALED, NodeState, Phase, Snapshot
from fedvol.node.decide import Act
from fedvol.protocol.roll import Roll

MOST_DOUBLINGS = 3
"""As in the contract `Duties`: a penalty doubles with each fault, so many times."""

AT_STAKE = (Act.REVEAL, Act.ANSWER, Act.UNMASK)
"""What a node has bound itself to by its commit."""

_RUNNING = (Phase.COMMIT, Phase.REVEAL, Phase.AVAILABILITY, Phase.UNMASK)
"""Stages in which nodes owe something. Time alone may carry a round through them all, and its stage stand still."""


@dataclass(frozen=True)
class Duty:
    """An act that only this node can do.

    Attributes:
        opens, until: chain seconds from which, and before which, it can be done.
        penalty: token units that it costs not to do it.
    """

    act: Act
    opens: int
    until: int
    penalty: int

    @property
    def at_stake(self) -> bool:
        """Whether the node has bound itself to it."""
        return self.act in AT_STAKE


def duty_of(s: Snapshot) -> Duty | None:
    """The next duty of the node in `s.node`; None where the round asks for nothing more of it, or is not drawn yet."""
    node = s.node
    assert node is not None
    if s.clock.stage not in _RUNNING or s.phase not in (*_RUNNING, Phase.SETTLE):
        return None
    duty = _owed(s, node, node.ballot_state if node.ballot_round == s.clock.number else NOTHING)
    return duty if duty is not None and s.time < duty.until else None


def _owed(s: Snapshot, node: NodeState, ballot: int) -> Duty | None:
    seated = node.seat is not None and node.seat < s.clock.selected
    if ballot == NOTHING and seated and s.phase == Phase.COMMIT:
        return Duty(Act.COMMIT, s.clock.since, s.ends_at, penalty(s, node, halves=1))
    if ballot == COMMITTED:
        opens = _reveals_from(s)
        return Duty(Act.REVEAL, opens, opens + s.clock.reveal_window, penalty(s, node, halves=2))
    if ballot == DEMANDED:
        opens = _available_from(s)
        return Duty(Act.ANSWER, opens, opens + 2 * s.params["demandWindow"], penalty(s, node, halves=4))
    if ballot in (REVEALED, ANSWERED) and seated and s.roll is not None and _will_unmask(s, s.roll, node.seat):
        opens = _unmasks_from(s)
        return Duty(Act.UNMASK, opens, opens + s.params["unmaskWindow"], penalty(s, node, halves=3))
    return None


def penalty(s: Snapshot, node: NodeState, halves: int = 2) -> int:
    """Token units that the node's next fault costs, in halves of `silencePenalty`: 1 absent, 2 silent, 3 veiled, 4 not
    answered."""
    return -(-halves * s.params["silencePenalty"] // 2) << min(node.faults, MOST_DOUBLINGS)


def _will_unmask(s: Snapshot, roll: Roll, seat: int) -> bool:
    """Whether the node's keys are waited for, or may be: which clusters have enough is known once revealing is over."""
    revealing = s.clock.stage in (Phase.COMMIT, Phase.REVEAL) and s.time < _reveals_from(s) + s.clock.reveal_window
    return roll.is_veiled(seat) if revealing else roll.must_unmask(seat)


def _reveals_from(s: Snapshot) -> int:
    c = s.clock
    return c.since if c.stage == Phase.REVEAL else c.since + c.commit_window + c.finality


def _available_from(s: Snapshot) -> int:
    c = s.clock
    return c.since if c.stage == Phase.AVAILABILITY else _reveals_from(s) + c.reveal_window + c.finality


def _unmasks_from(s: Snapshot) -> int:
    if s.clock.stage == Phase.UNMASK:
        return s.clock.since
    return _available_from(s) + (2 if s.clock.demands else 1) * s.params["demandWindow"] + s.clock.finality
