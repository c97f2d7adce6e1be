"""Members, as the page shows them. A node is asked for again only with an epoch, and when an event says that it may be
another."""

from __future__ import annotations

from typing import Any

from fedvol.chain.federation import STATUSES, FederationClient, Snapshot
from fedvol.dashboard.history import ABSENT, COMMITTED, REVEALED, SILENT, UNMASKED, VEILED, WITHHELD, History
from fedvol.protocol.roll import Roll, least_survivors
from fedvol.protocol.seat import seat

BALLOTS = ("–", "committed", "revealed", "silent", "bytes demanded", "answered on chain", "dropped", "did not unmask")
"""By `Ballot.state`."""
MARKS = (
    (SILENT, "silent"), (WITHHELD, "withheld"), (VEILED, "veiled"), (ABSENT, "absent"), (REVEALED, "revealed"),
    (COMMITTED, "committed"),
)  # fmt: skip
"""What a round's flags come to, the gravest first."""
STRIP = 16
"""Rounds in a node's strip."""


class Roster:
    """The members of one federation, by address."""

    def __init__(self, client: FederationClient) -> None:
        self._client = client
        self._counts: tuple[int, int, int] | None = None
        self._addresses: list[str] = []
        self._standing: dict[str, dict[str, Any]] = {}

    def forget(self) -> None:
        """After a reorganisation."""
        self._counts, self._standing = None, {}

    def update(self, s: Snapshot, touched: set[str]) -> None:
        """Reads whoever is new, and who was touched.

        Raises:
            ChainError: the chain cannot be read.
        """
        counts = s.members, s.joining, s.clock.epoch_start
        if counts != self._counts or touched:
            self._addresses = self._client.member_addresses(s.members + s.joining, s.block)
            if counts != self._counts:
                self._standing = {}  # with the epoch joiners become members, which no event tells
            self._standing = {a: self._standing[a] for a in self._addresses if a in self._standing}
            self._counts = counts
        wanted = [a for a in self._addresses if a not in self._standing or a in touched]
        self._read(wanted, s.block)

    def _read(self, nodes: list[str], block: int) -> None:
        client = self._client
        views = (client.federation.functions.memberOf, client.vault.functions.bondOf, client.duties.functions.recordOf)
        found = client.look("the members", [view(node) for node in nodes for view in views], block).answers
        for i, node in enumerate(nodes):
            (status, _), (bond, *_), (faults, absences, _, voids, _) = found[3 * i : 3 * i + 3]
            self._standing[node] = {
                "status": STATUSES[status],
                "bond": bond / 1e18,
                "faults": faults,
                "absences": absences,
                "voids": voids,
            }

    def nodes(self, s: Snapshot, history: History) -> list[dict[str, Any]]:
        """A row for each member, in the order of the lot.

        Raises:
            ChainError: the chain cannot be read.
        """
        ballots = self._client.ballots(self._addresses, s.block)
        seats = self._seats(s, history)
        shown = sorted(history.rounds)[-STRIP:]
        rows = []
        for node in self._addresses:
            ballot = ballots[node]
            acts = [(number, history.rounds[number].acts.get(node, 0)) for number in shown]
            absent = any(number == s.clock.number and flags & ABSENT for number, flags in acts)
            idle = "absent" if absent else BALLOTS[0]
            rows.append(
                {
                    "node": node,
                    "seat": seats.get(node),
                    "now": BALLOTS[ballot.state] if ballot.round == s.clock.number else idle,
                    **self._standing[node],
                    **history.participation(node),
                    "taken": history.taken_from(node) / 1e18,
                    "strip": [{"round": number, "did": _mark(flags)} for number, flags in acts],
                }
            )
        return rows

    def _seats(self, s: Snapshot, history: History) -> dict[str, int]:
        """By the lot of the epoch; nobody has one before it is drawn."""
        drawn = history.rounds.get(s.clock.epoch_start)
        if drawn is None or drawn.seed is None or not s.members:
            return {}
        seats = {node: seat(drawn.seed, i, s.members) for i, node in enumerate(self._addresses[: s.members])}
        return {node: place for node, place in seats.items() if place < s.clock.selected}


def clusters(s: Snapshot, nodes: list[dict[str, Any]], history: History) -> list[dict[str, Any]]:
    """The clusters of a masked round; none of a plain one."""
    if s.roll is None:
        return []
    by_seat = {row["seat"]: row for row in nodes if row["seat"] is not None}
    here = history.rounds.get(s.clock.number)
    acts = here.acts if here else {}
    return [
        {
            "cluster": k,
            "needs": least_survivors(s.roll.m),
            "survivors": len(s.roll.survivors(k)),
            "unmasked": sum(not s.roll.is_veiled(place) for place in s.roll.survivors(k)),
            "open": s.roll.is_open(k),
            "viable": s.roll.is_viable(k),
            "seats": [
                _occupant(s.roll, place, by_seat.get(place), acts) for place in range(k * s.roll.m, (k + 1) * s.roll.m)
            ],
        }
        for k in s.roll.clusters
    ]


def _occupant(roll: Roll, place: int, row: dict[str, Any] | None, acts: dict[str, int]) -> dict[str, Any]:
    flags = acts.get(row["node"], 0) if row else 0
    did = "unmasked" if not roll.is_missing(place) and not roll.is_veiled(place) else _mark(flags & ~UNMASKED)
    return {"seat": place, "node": row["node"] if row else None, "did": did}


def _mark(flags: int) -> str:
    return next((name for flag, name in MARKS if flags & flag), "nothing")
