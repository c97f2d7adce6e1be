"""What others owed this round and did not do, where nobody has reported it yet."""

from __future__ import annotations

from fedvol.chain.federation import COMMITTED, DEMANDED, FederationClient, Phase, Snapshot
from fedvol.node.decide import Act, Action

_PROPOSING = (Phase.PROPOSE, Phase.CHALLENGE, Phase.FINAL, Phase.VOID)
_REVEALED = (Phase.AVAILABILITY, *_PROPOSING)
_COMMITTED = (Phase.REVEAL, *_REVEALED)


def faults(client: FederationClient, s: Snapshot, account: str) -> list[Action]:
    """Reports that are due, none about `account`. Reads ballots only where somebody must be at fault."""
    clock, number = s.clock, s.clock.number
    quorum = clock.committed >= clock.quorum
    absent = s.phase in _COMMITTED and clock.committed < clock.selected
    silent = s.phase in _REVEALED and quorum and clock.revealed + s.proposal.demands < clock.committed
    unanswered = s.phase in _PROPOSING and s.proposal.demands > 0
    if not (absent or silent or unanswered):
        return []
    members = [m for m in client.member_addresses(s.members + s.joining, s.block) if m != account]
    due: list[Action] = []
    for node, ballot in client.ballots(members, s.block).items():
        if ballot.round != number:
            if absent and client.seat(node, s.block) < clock.selected and client.absent_round(node, s.block) != number:
                due.append(Action(Act.REPORT_ABSENCE, node))
        elif silent and ballot.state == COMMITTED:
            due.append(Action(Act.REPORT_SILENCE, node))
        elif unanswered and ballot.state == DEMANDED:
            due.append(Action(Act.REPORT_UNANSWERED, node))
    return due
