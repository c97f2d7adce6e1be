"""What a node does next: a function of what the chain says and what the process has found out, and of nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fedvol.chain.federation import COMMITTED, DEMANDED, NOTHING, NodeState, Phase, Snapshot

BETWEEN_ROUNDS = (Phase.IDLE, Phase.VOID, Phase.FINAL)

EXIT_PATIENCE = 30
"""Seconds for which a leaver waits for an opening before it settles its exit by itself."""

REPORT_PATIENCE = 30
"""Seconds for which a node that is at fault leaves the next opening, which ends reports, to the others."""


class Act(StrEnum):
    NAME_WITHDRAWAL = "name-withdrawal"
    REGISTER_KEY = "register-key"
    PLEDGE = "pledge"
    JOIN = "join"
    OPEN = "open"
    DRAW = "draw"
    COMMIT = "commit"
    REVEAL = "reveal"
    UNMASK = "unmask"
    ANSWER = "answer"
    DEMAND = "demand"
    PROPOSE = "propose"
    DISPUTE = "dispute"
    SETTLE = "settle"
    PUBLISH = "publish"
    SETTLE_EXITS = "settle-exits"
    REPORT_ABSENCE = "report-absence"
    REPORT_SILENCE = "report-silence"
    REPORT_UNANSWERED = "report-unanswered"
    REPORT_VEILED = "report-veiled"
    REPORT_VOID = "report-void"
    CLAIM_TOKENS = "claim-tokens"
    CLAIM_ETH = "claim-eth"
    TOP_UP = "top-up"


@dataclass(frozen=True)
class Action:
    """One transaction that is missing. `node`: whom it is about, where that is not the node itself."""

    act: Act
    node: str | None = None


@dataclass(frozen=True)
class View:
    """What this process knows besides the snapshot.

    Attributes:
        needs_withdrawal: the withdrawal address that it is told is to be named on chain.
        can_open: the journal holds this round's update and salt.
        needs_key: a key to mask with, for the next epoch, is due.
        needs_pledge: the rows of its next round are to be pledged, and no reveal will do that.
        can_mask: it may commit: the round is plain, or enough of its cluster share masks with it; and where training is
            proven, it had pledged its rows.
        may_open: it is due to unmask, and the survivors are certain.
        can_afford: the privacy budget has room for this round's.
        waited: seconds of chain time for which this process has seen the round stand where it stands.
        watched: nothing that a watchtower could find in this phase is still open.
        missing: nodes whose revealed bytes it cannot get, and that can be demanded.
        answerable: nodes whose demanded bytes it has.
        holds: whether the proposal that stands is right; None where it has not judged.
        reports: faults that are not reported, the node's own last.
        purse: claims to make between rounds.
    """

    needs_withdrawal: bool = False
    can_open: bool = False
    needs_key: bool = False
    needs_pledge: bool = False
    can_mask: bool = True
    may_open: bool = False
    can_afford: bool = True
    waited: int = 0
    watched: bool = True
    missing: tuple[str, ...] = ()
    answerable: tuple[str, ...] = ()
    holds: bool | None = None
    reports: tuple[Action, ...] = ()
    purse: tuple[Action, ...] = ()


@dataclass(frozen=True)
class Roles:
    """What this node takes part in.

    Attributes:
        stagger: seconds from one node's turn to the next one's, in acts that one node does for all.
        only_at_stake: it is about to stop: it does what it has bound itself to, and nothing else.
    """

    join: bool = True
    propose: bool = True
    keeper: bool = True
    watchtower: bool = True
    settle: bool = False
    top_up: bool = True
    stagger: float = 4.0
    only_at_stake: bool = False


def decide(s: Snapshot, view: View, roles: Roles) -> Action | None:
    """The next act of the node in `s.node`, or None while there is nothing for it to do."""
    node = s.node
    assert node is not None
    owed = _owed(s, node, view)
    if owed is not None or roles.only_at_stake:
        return owed
    if view.needs_withdrawal:
        return Action(Act.NAME_WITHDRAWAL)  # before anything is bonded: whoever has the key could name another
    if node.status == "none":
        if roles.join:
            if view.needs_key and node.key_since == 0:
                return Action(Act.REGISTER_KEY)
            return Action(Act.PLEDGE if view.needs_pledge else Act.JOIN)
        return _watch(s, node, view, roles) or _claim(s, view)
    return (
        _take_part(s, node, view, roles)
        or _watch(s, node, view, roles)
        or (Action(Act.PLEDGE) if view.needs_pledge and node.status != "leaving" else None)
        or _claim(s, view)
        or _keep(s, node, view, roles)
        or (Action(Act.TOP_UP) if _can_top_up(s, node, roles, s.params["bond"]) else None)
        or (Action(Act.REGISTER_KEY) if view.needs_key and node.status != "leaving" else None)
    )


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
    lead = 0 if s.proposal.failures else s.params["leadWindow"]
    return s.ends_at - s.params["proposeWindow"] + lead


def bond_to_propose(s: Snapshot) -> int:
    """Token units: the least bond, doubled with each proposal of the round that was proven wrong."""
    return s.params["bond"] << s.proposal.failures


def _owed(s: Snapshot, node: NodeState, view: View) -> Action | None:
    """What only this node can do, and has bound itself to by its commit."""
    if s.phase == Phase.AVAILABILITY and _ballot(s, node) == DEMANDED and view.can_open:
        return Action(Act.ANSWER, node.address)
    if s.phase == Phase.REVEAL and _ballot(s, node) == COMMITTED and view.can_open:
        return Action(Act.REVEAL)
    return Action(Act.UNMASK) if view.may_open else None


def _take_part(s: Snapshot, node: NodeState, view: View, roles: Roles) -> Action | None:
    if view.can_afford and view.can_mask and _may_commit(s, node):
        # Bytes that this node owed an earlier round, and did not hand out, keep it from committing.
        owes = node.ballot_state == DEMANDED
        return Action(Act.REPORT_UNANSWERED, node.address) if owes else Action(Act.COMMIT)
    if roles.propose and _is_turn_to_propose(s, node, roles):
        if node.bond >= bond_to_propose(s):
            return Action(Act.PROPOSE)
        if _can_top_up(s, node, roles, bond_to_propose(s)):
            return Action(Act.TOP_UP)
    return None


def _ballot(s: Snapshot, node: NodeState) -> int:
    return node.ballot_state if node.ballot_round == s.clock.number else NOTHING


def _may_commit(s: Snapshot, node: NodeState) -> bool:
    seated = node.seat is not None and node.seat < s.clock.selected
    return s.phase == Phase.COMMIT and seated and node.ballot_round != s.clock.number


def _is_turn_to_propose(s: Snapshot, node: NodeState, roles: Roles) -> bool:
    if s.phase != Phase.PROPOSE or node.status == "joining":
        return False
    if node.seat == s.lead_seat:
        return True
    # However many nodes there are, each gets its turn in the first half of what is left.
    opens = proposals_open_at(s)
    return s.time >= opens + min(turn(s, node) * roles.stagger, (s.ends_at - opens) / 2)


def _watch(s: Snapshot, node: NodeState, view: View, roles: Roles) -> Action | None:
    if not roles.watchtower:
        return None
    mine = turn(s, node) * roles.stagger
    if s.phase == Phase.AVAILABILITY:
        window = s.params["demandWindow"]
        began = s.ends_at - (2 if s.clock.demands else 1) * window
        if view.missing and began + min(mine, window / 3) <= s.time < began + window:
            return Action(Act.DEMAND, view.missing[0])
        if view.answerable and view.waited >= min(mine, window / 2):
            return Action(Act.ANSWER, view.answerable[0])
    if s.phase == Phase.CHALLENGE:
        # Spread over half a turn only: whoever is late pays nothing but a simulation, and the window must not pass.
        spread = roles.stagger / 2 * min(1.0, turn(s, node) / max(1, s.clock.selected))
        if view.holds is False and s.time >= s.clock.since + spread:
            return Action(Act.DISPUTE)
        if view.holds and roles.settle:
            return Action(Act.SETTLE)
    return None


def _claim(s: Snapshot, view: View) -> Action | None:
    """Between two rounds, where nothing is urgent."""
    calm = s.phase in (Phase.DRAW, Phase.VOID) or s.published
    return view.purse[0] if view.purse and calm else None


def _can_top_up(s: Snapshot, node: NodeState, roles: Roles, needed: int) -> bool:
    """Not where the bond is gone, or the node leaves: more would only be lost."""
    stays = node.status in ("joining", "active") and node.bond > 0
    return roles.top_up and stays and node.bond < needed <= node.bond + node.tokens


def _keep(s: Snapshot, node: NodeState, view: View, roles: Roles) -> Action | None:
    if not roles.keeper or view.waited < turn(s, node) * roles.stagger:
        return None
    if s.phase == Phase.DRAW:
        return Action(Act.DRAW) if s.block > s.proposal.seed_block else None
    if s.phase == Phase.FINAL and not s.published:
        return Action(Act.PUBLISH)
    if view.reports and view.reports[0].node != node.address:
        return view.reports[0]
    idle = s.phase in BETWEEN_ROUNDS
    if idle and node.status == "leaving" and s.time >= s.next_opening + EXIT_PATIENCE:
        # Where too few would stay, no opening carries its exit out, and it could not join again.
        return Action(Act.SETTLE_EXITS)
    enough = s.members + s.joining >= s.params["minMembers"]
    patience = turn(s, node) * roles.stagger + (REPORT_PATIENCE if view.reports else 0)
    due = s.time >= s.next_opening + patience and view.waited >= patience
    return Action(Act.OPEN) if idle and enough and due else None
