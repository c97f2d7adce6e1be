"""What others owed this round and did not do, where nobody has reported it yet."""

from __future__ import annotations

from fedvol.chain.federation import COMMITTED, DEMANDED, Ballot, FederationClient, Phase, Snapshot
from fedvol.node.decide import Act, Action
from fedvol.protocol.mask import unpack_claims

_PROPOSING = (Phase.PROPOSE, Phase.CHALLENGE, Phase.FINAL, Phase.VOID)
_REVEALED = (Phase.AVAILABILITY, Phase.UNMASK, *_PROPOSING)
_COMMITTED = (Phase.REVEAL, *_REVEALED)


class Faults:
    """Reports for one account to make. A kind of fault that is reported of all, or of nobody, is looked for no more in
    its round."""

    def __init__(self, client: FederationClient, account: str) -> None:
        self._client = client
        self._account = account
        self._over: set[tuple[int, int, Act]] = set()

    def due(self, s: Snapshot) -> list[Action]:
        """Reports that are due, those about the account itself last. Reads only where somebody must be at fault."""
        clock = s.clock
        quorum = clock.committed >= clock.quorum
        possible = {
            Act.REPORT_ABSENCE: s.phase in _COMMITTED and clock.committed < clock.selected,
            Act.REPORT_SILENCE: s.phase in _REVEALED and quorum and clock.revealed + clock.demands < clock.committed,
            Act.REPORT_UNANSWERED: s.phase in (Phase.UNMASK, *_PROPOSING) and clock.demands > 0,
            Act.REPORT_VEILED: s.phase in _PROPOSING and _veiled(s),
            Act.REPORT_VOID: s.published and s.proposal.voids != 0,
        }
        wanted = {act for act, may in possible.items() if may and (clock.number, clock.seed, act) not in self._over}
        found = self._find(s, wanted) if wanted else []
        self._over |= {(clock.number, clock.seed, act) for act in wanted - {action.act for action in found}}
        return found

    def _find(self, s: Snapshot, wanted: set[Act]) -> list[Action]:
        number = s.clock.number
        members = self._client.member_addresses(s.members + s.joining, s.block)
        members.sort(key=lambda member: member == self._account)
        ballots = self._client.ballots(members, s.block)
        asked = {node: kind for node in members if (kind := _kind(s, ballots[node])) in wanted}
        seats = self._client.seats([n for n, kind in asked.items() if kind == Act.REPORT_ABSENCE], s.block)
        on_record = [n for n, kind in asked.items() if kind in (Act.REPORT_ABSENCE, Act.REPORT_VOID)]
        records = self._client.records(on_record, s.block)
        done = {n for n, seat in seats.items() if seat >= s.clock.selected or records[n][2] == number}
        done |= {n for n in on_record if n not in seats and records[n][4] == s.clock.epoch_start}
        return [Action(kind, node) for node, kind in asked.items() if node not in done]


def _kind(s: Snapshot, ballot: Ballot) -> Act | None:
    """What a node with this ballot may be at fault with."""
    if ballot.round != s.clock.number:
        return Act.REPORT_ABSENCE
    if ballot.state == COMMITTED:
        return Act.REPORT_SILENCE
    if ballot.state == DEMANDED:
        return Act.REPORT_UNANSWERED
    if s.roll is not None and ballot.counts(s.clock.number) and s.roll.must_unmask(ballot.seat):
        return Act.REPORT_VEILED
    return Act.REPORT_VOID if _is_void(s, ballot) else None


def _veiled(s: Snapshot) -> bool:
    """Where unmasking took place, and somebody did not."""
    if s.roll is None or s.clock.revealed < s.clock.quorum:
        return False
    viable = sum(map(s.roll.is_viable, s.roll.clusters))
    return viable * s.roll.m >= s.clock.quorum and any(map(s.roll.must_unmask, range(s.roll.selected)))


def _is_void(s: Snapshot, ballot: Ballot) -> bool:
    claimed = {cluster for cluster, _ in unpack_claims(s.proposal.voids)}
    return ballot.counts(s.clock.number) and ballot.seat // s.clock.cluster_size in claimed
