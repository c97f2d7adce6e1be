"""What others owed this round and did not do, where nobody has reported it yet."""

from __future__ import annotations

from fedvol.chain.federation import COMMITTED, DEMANDED, Ballot, FederationClient, Phase, Snapshot
from fedvol.node.decide import Act, Action
from fedvol.protocol.mask import unpack_claims

_PROPOSING = (Phase.PROPOSE, Phase.CHALLENGE, Phase.FINAL, Phase.VOID)
_REVEALED = (Phase.AVAILABILITY, Phase.UNMASK, *_PROPOSING)
_COMMITTED = (Phase.REVEAL, *_REVEALED)


def faults(client: FederationClient, s: Snapshot, account: str) -> list[Action]:
    """Reports that are due, those about `account` last. Reads ballots only where somebody must be at fault."""
    clock, number = s.clock, s.clock.number
    quorum = clock.committed >= clock.quorum
    absent = s.phase in _COMMITTED and clock.committed < clock.selected
    silent = s.phase in _REVEALED and quorum and clock.revealed + clock.demands < clock.committed
    unanswered = s.phase in (Phase.UNMASK, *_PROPOSING) and clock.demands > 0
    veiled = s.phase in _PROPOSING and _veiled(s)
    void = s.published and s.proposal.voids != 0
    if not (absent or silent or unanswered or veiled or void):
        return []
    members = sorted(client.member_addresses(s.members + s.joining, s.block), key=lambda m: m == account)
    due: list[Action] = []
    for node, ballot in client.ballots(members, s.block).items():
        if ballot.round != number:
            if absent and client.seat(node, s.block) < clock.selected and client.record(node, s.block)[2] != number:
                due.append(Action(Act.REPORT_ABSENCE, node))
        elif silent and ballot.state == COMMITTED:
            due.append(Action(Act.REPORT_SILENCE, node))
        elif unanswered and ballot.state == DEMANDED:
            due.append(Action(Act.REPORT_UNANSWERED, node))
        elif veiled and ballot.counts(number) and s.roll.must_unmask(ballot.seat):
            due.append(Action(Act.REPORT_VEILED, node))
        elif void and _is_void(s, ballot) and client.record(node, s.block)[4] != clock.epoch_start:
            due.append(Action(Act.REPORT_VOID, node))
    return due


def _veiled(s: Snapshot) -> bool:
    """Where unmasking took place, and somebody did not."""
    if s.roll is None or s.clock.revealed < s.clock.quorum:
        return False
    viable = sum(map(s.roll.is_viable, s.roll.clusters))
    return viable * s.roll.m >= s.clock.quorum and any(map(s.roll.must_unmask, range(s.roll.selected)))


def _is_void(s: Snapshot, ballot: Ballot) -> bool:
    claimed = {cluster for cluster, _ in unpack_claims(s.proposal.voids)}
    return ballot.counts(s.clock.number) and ballot.seat // s.clock.cluster_size in claimed
