"""What a node does next: a function of what the chain says and what the journal holds, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fedvol.chain.federation import NodeState, Phase, Snapshot

NOTHING, COMMITTED = 0, 1
"""`Ballot.state` in the contract."""


class Act(StrEnum):
    JOIN = "join"
    OPEN = "open"
    DRAW = "draw"
    COMMIT = "commit"
    REVEAL = "reveal"
    PROPOSE = "propose"
    PUBLISH = "publish"
    REPORT = "report"


@dataclass(frozen=True)
class Action:
    """One transaction that is missing. `node`: whom a report is about."""

    act: Act
    node: str | None = None


@dataclass(frozen=True)
class View:
    """What this process knows besides the snapshot.

    Attributes:
        can_reveal: the journal holds this round's update and salt.
        waited: seconds of chain time for which this process has seen the round stand where it stands.
        silent: nodes that committed, did not reveal in time, and were not reported.
    """

    can_reveal: bool = False
    waited: int = 0
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """What this node takes part in.

    Attributes:
        stagger: seconds from one node's turn to the next one's, in acts that one node does for all.
    """

    join: bool = True
    propose: bool = True
    keeper: bool = True
    stagger: float = 4.0


def decide(s: Snapshot, view: View, roles: Roles) -> Action | None:
    """The next act of the node in `s.node`, or None while there is nothing for it to do."""
    node = s.node
    assert node is not None
    if node.status == "none":
        return Action(Act.JOIN) if roles.join else None
    if _may_commit(s, node):
        return Action(Act.COMMIT)
    if s.phase == Phase.REVEAL and _ballot(s, node) == COMMITTED and view.can_reveal:
        return Action(Act.REVEAL)
    if roles.propose and _may_propose(s, node, roles):
        return Action(Act.PROPOSE)
    if roles.keeper and view.waited >= turn(s, node) * roles.stagger:
        return _keep(s, view, roles)
    return None


def turn(s: Snapshot, node: NodeState) -> int:
    """How many nodes come before this one in acts that one does for all: by seat from the one drawn by lot, then those
    without a seat. Before the first draw, by index."""
    selected = s.clock.selected
    if selected == 0 or node.status == "joining":
        return node.index
    if node.seat is None or node.seat >= selected:
        return selected + node.index
    return (node.seat - s.lead_seat) % selected


def proposals_open_at(s: Snapshot) -> int:
    """Second from which not only the lead may propose; the snapshot is in the proposing phase."""
    return s.ends_at - s.params["proposeWindow"] + s.params["leadWindow"]


def _ballot(s: Snapshot, node: NodeState) -> int:
    return node.ballot_state if node.ballot_round == s.clock.number else NOTHING


def _may_commit(s: Snapshot, node: NodeState) -> bool:
    seated = node.seat is not None and node.seat < s.clock.selected
    return s.phase == Phase.COMMIT and seated and node.ballot_round != s.clock.number


def _may_propose(s: Snapshot, node: NodeState, roles: Roles) -> bool:
    if s.phase != Phase.PROPOSE or node.status == "joining" or node.bond < s.params["bond"]:
        return False
    if node.seat == s.lead_seat:
        return True
    # However many nodes there are, each gets its turn in the first half of what is left.
    room = s.params["proposeWindow"] - s.params["leadWindow"]
    return s.time >= proposals_open_at(s) + min(turn(s, node) * roles.stagger, room / 2)


def _keep(s: Snapshot, view: View, roles: Roles) -> Action | None:
    if s.phase == Phase.DRAW:
        return Action(Act.DRAW) if s.block > s.proposal.seed_block else None
    if s.phase == Phase.FINAL and not s.published:
        return Action(Act.PUBLISH)
    if view.silent:
        return Action(Act.REPORT, view.silent[0])
    idle = s.phase in (Phase.IDLE, Phase.VOID, Phase.FINAL)
    enough = s.members + s.joining >= s.params["minMembers"]
    return Action(Act.OPEN) if idle and enough and s.time >= s.next_opening else None
