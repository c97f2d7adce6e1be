"""What events add up to: who did what in which round, what was reported, what transactions cost.

Bounded: the last `ROUNDS` rounds, the last `INCIDENTS` incidents, and of gas a sample.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fedvol.dashboard.ledger import Entry

ROUNDS = 200
INCIDENTS = 2_000
SHOWN_INCIDENTS = 100
SAMPLES = 64
SAMPLES_A_ROUND = 3
"""Receipts that are fetched, of each kind of transaction in a round."""

COMMITTED, REVEALED, UNMASKED, ABSENT, SILENT, WITHHELD, VEILED = (1 << i for i in range(7))
ACTS = {
    "Committed": COMMITTED,
    "Revealed": REVEALED,
    "Unmasked": UNMASKED,
    "AbsenceReported": ABSENT,
    "SilenceReported": SILENT,
    "UnansweredReported": WITHHELD,
    "VeiledReported": VEILED,
}
FAULTS = ABSENT | SILENT | WITHHELD | VEILED

STANDING = {"Bonded", "Slashed", "Released", "Withdrawn", "Joining", "Leaving", "Left", "VoidReported", *ACTS} - {
    "Committed",
    "Revealed",
    "Unmasked",
}
"""Events after which a node's bond, status or record may be another."""

INCIDENT_KINDS = {
    "Overturned": ("proposal overturned", "proposer", "accuser"),
    "SilenceReported": ("committed, never revealed", "node", "reporter"),
    "AbsenceReported": ("absent", "node", "reporter"),
    "UnansweredReported": ("bytes withheld", "node", "demander"),
    "VeiledReported": ("did not unmask", "node", "reporter"),
    "VoidReported": ("its cluster came to nothing", "node", "reporter"),
    "Demanded": ("bytes demanded", "node", "by"),
    "Answered": ("bytes answered on chain", "node", "by"),
    "VersionRefused": ("version refused by the engine", None, None),
}
"""Event → what it means, which argument names whom it is about, and which who said so."""

KINDS = {
    "Disproved": "dispute", "Overturned": "dispute", "Settled": "settle", "ModelPublished": "publish",
    "RoundFinal": "publish", "Proposed": "propose", "Unmasked": "unmask", "Revealed": "reveal", "Committed": "commit",
    "RoundDrawn": "draw", "RoundRearmed": "rearm", "RoundOpened": "open", "Answered": "answer", "Demanded": "demand",
    "UnansweredReported": "report unanswered", "SilenceReported": "report silence", "AbsenceReported": "report absence",
    "VeiledReported": "report veiled", "VoidReported": "report void", "Joining": "join", "Leaving": "exit",
    "KeyRegistered": "register key", "Bonded": "bond", "Left": "settle exits", "Pledged": "pledge",
    "Withdrawn": "withdraw", "Claimed": "claim", "ParamsScheduled": "schedule parameters", "FeedChanged": "set feed",
    "Paused": "pause", "Unpaused": "unpause",
}  # fmt: skip
"""Event → kind of the transaction. Of several in one transaction the first of this list names it."""
ORDER = (
    "register key", "bond", "join", "open", "rearm", "draw", "commit", "pledge", "reveal", "unmask", "demand", "answer",
    "propose", "dispute", "settle", "publish", "report absence", "report silence", "report veiled", "report void",
    "report unanswered", "exit", "settle exits", "withdraw", "claim", "schedule parameters", "set feed", "pause",
    "unpause",
)  # fmt: skip
"""Kinds as a federation's life goes."""
RANK = {name: i for i, name in enumerate(KINDS)}


@dataclass
class Round:
    """One round. `acts`: node → flags. `version`: what it became; None while it runs, or where it was void."""

    number: int
    selected: int = 0
    opened: int | None = None
    seed: int | None = None
    epoch_start: int | None = None
    overturned: int = 0
    version: int | None = None
    acts: dict[str, int] = field(default_factory=dict)
    sampled: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Incident:
    """Something that somebody had to say of somebody. `taken`: token units, None where nothing is."""

    place: tuple[int, int]
    round: int | None
    what: str
    node: str | None
    by: str | None
    taken: int | None
    transaction: str


class Gas:
    """Transactions by kind: all are counted, of some the receipt is looked at."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._used: dict[str, deque[int]] = {}
        self.wanted: deque[tuple[str, str]] = deque(maxlen=8 * SAMPLES)
        """(transaction, kind) whose receipt would tell."""

    def take(self, transaction: str, kind: str, sampled: dict[str, int]) -> None:
        """Counts a transaction. `sampled`: how many of each kind were looked at in its round."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if sampled.get(kind, 0) < SAMPLES_A_ROUND:
            sampled[kind] = sampled.get(kind, 0) + 1
            self.wanted.append((transaction, kind))

    def learn(self, kind: str, used: int) -> None:
        """What a receipt says."""
        self._used.setdefault(kind, deque(maxlen=SAMPLES)).append(used)

    def table(self) -> list[dict[str, Any]]:
        """Kinds in the order of a federation's life."""
        known = {kind: self._used[kind] for kind in ORDER if kind in self._used}
        return [
            {
                "kind": kind,
                "count": self._counts[kind],
                "sampled": len(used),
                "median": int(median(used)),
                "most": max(used),
            }
            for kind, used in known.items()
        ]


class History:
    """All that the page tells of the past."""

    def __init__(self) -> None:
        self.rounds: dict[int, Round] = {}
        self.incidents: dict[tuple[int, int], Incident] = {}
        self.gas = Gas()
        self.touched: set[str] = set()

    def take(self, entries: list[Entry]) -> None:
        """Adds events, each once; those of one transaction come together."""
        kinds: dict[str, Entry] = {}
        for entry in entries:
            known = kinds.get(entry.transaction)
            if entry.name in KINDS and (known is None or RANK[entry.name] < RANK[known.name]):
                kinds[entry.transaction] = entry
            self._take(entry)
        for transaction, entry in kinds.items():
            number = entry.args.get("round")
            self.gas.take(transaction, KINDS[entry.name], self._round(number).sampled if number else {})

    def _take(self, entry: Entry) -> None:
        args, number = entry.args, entry.args.get("round")
        if entry.name in STANDING:
            self.touched.add(args["node"])
        if entry.name in INCIDENT_KINDS:
            what, node, by = INCIDENT_KINDS[entry.name]
            self.incidents[entry.place] = Incident(
                entry.place, number, what, args.get(node), args.get(by), args.get("taken"), entry.transaction
            )
        if number:
            _enter(self._round(number), entry)

    def trim(self) -> None:
        """Lets go what is too old to be shown."""
        for old in sorted(self.rounds)[:-ROUNDS]:
            del self.rounds[old]
        for old in sorted(self.incidents)[:-INCIDENTS]:
            del self.incidents[old]

    @property
    def is_long_enough(self) -> bool:
        """Whether older blocks would add nothing that is kept."""
        return len(self.rounds) > ROUNDS

    def participation(self, node: str) -> dict[str, Any]:
        """How often a node revealed, of the rounds in which it committed or was reported, and what was said of it."""
        acts = [flags for r in self.rounds.values() if (flags := r.acts.get(node))]
        return {
            "asked": len(acts),
            "revealed": sum(bool(flags & REVEALED) for flags in acts),
            **{
                name: sum(bool(flags & flag) for flags in acts)
                for name, flag in (("absent", ABSENT), ("silent", SILENT), ("withheld", WITHHELD), ("veiled", VEILED))
            },
        }

    def taken_from(self, node: str) -> int:
        """Token units that the incidents on the page took from a node."""
        return sum(i.taken or 0 for i in self.incidents.values() if i.node == node)

    def newest_incidents(self) -> list[Incident]:
        """Newest first, as many as the page shows."""
        return [self.incidents[place] for place in sorted(self.incidents, reverse=True)[:SHOWN_INCIDENTS]]

    def _round(self, number: int) -> Round:
        return self.rounds.setdefault(number, Round(number))


def _enter(r: Round, entry: Entry) -> None:
    args = entry.args
    match entry.name:
        case "RoundOpened":
            r.opened, r.selected = entry.place[0], args["selected"]
        case "RoundDrawn":
            r.seed, r.epoch_start = args["seed"], args["epochStart"]
        case "Overturned":
            r.overturned = max(r.overturned, args["failures"])
        case "RoundFinal":
            r.version = args["version"]
        case name if name in ACTS:
            r.acts[args["node"]] = r.acts.get(args["node"], 0) | ACTS[name]
