"""What must hold of a federation whatever went wrong: its contracts, its nodes' journals, its pins.

An invariant is a function whose first line of documentation says it. It yields for each thing that it looked at: None
where that is right, else what is wrong.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from hexbytes import HexBytes
from rich.markup import escape
from rich.table import Table
from web3.exceptions import TransactionNotFound

from fedvol.chain.federation import FederationClient, Snapshot
from fedvol.errors import FedvolError
from fedvol.learning.privacy import Privacy
from fedvol.node.audit import Verdict, audit, exit_code
from fedvol.protocol.vector import content_id
from fedvol.storage import Storage

BURNED = "0x000000000000000000000000000000000000dEaD"
RECOVERY_S = 45
"""Seconds after a fault for which it still excuses: a process starts, a call to storage is patient for half a minute,
and a transaction that was priced too low waits as long before it is sent again."""

SHOWN = 5


@dataclass(frozen=True)
class Spell:
    """A fault that was in force. Seconds of chain time; `node` is None where it hit all; `undone`: first and last block
    that a reorganisation took away."""

    kind: str
    node: str | None
    began: int
    ended: int
    undone: tuple[int, int] | None = None

    def excuses(self, node: str, since: int, until: int) -> bool:
        return self.node in (None, node) and self.began <= until and self.ended + RECOVERY_S >= since


@dataclass(frozen=True)
class Result:
    """What became of one invariant: how many things were looked at, and what is wrong with some of them."""

    name: str
    checked: int
    wrong: tuple[str, ...]


@dataclass
class Evidence:
    """All that a finished run has left.

    Attributes:
        storage: asked directly, not through what was made to fail.
        folders: data folder of each node, by its address; the daemons have ended.
        spells: what went wrong; nothing else is an excuse.
        budgets: of the nodes that train under one.
        kept_from: first round whose vectors must still be pinned.
    """

    client: FederationClient
    storage: Storage
    folders: Mapping[str, Path]
    spells: Iterable[Spell] = ()
    budgets: Mapping[str, Privacy] = field(default_factory=dict)
    kept_from: int = 1

    @cached_property
    def head(self) -> Snapshot:
        return self.client.snapshot()

    @cached_property
    def _logs(self) -> dict[tuple[str, str], list[Any]]:
        return {}

    def events(self, name: str, contract: Any = None) -> list[Any]:
        """All of a name, in the order of the chain."""
        key = (name, (contract or self.client.federation).address)
        if key not in self._logs:
            self._logs[key] = self.client.events(name, self.head.block, contract)
        return self._logs[key]

    def of_round(self, name: str, number: int) -> list[Any]:
        return [e for e in self.events(name) if e["args"]["round"] == number]

    @cached_property
    def _times(self) -> dict[int, int]:
        return {}

    def time(self, event: Any) -> int:
        """Chain time of the event's block."""
        block = event["blockNumber"]
        if block not in self._times:
            self._times[block] = self.client.web3.eth.get_block(block)["timestamp"]
        return self._times[block]

    @cached_property
    def _receipts(self) -> dict[bytes, Any]:
        return {}

    def receipt(self, transaction: bytes) -> Any:
        """None where the chain does not know it, or it is in no block."""
        if transaction not in self._receipts:
            try:
                self._receipts[transaction] = self.client.web3.eth.get_transaction_receipt(HexBytes(transaction))
            except TransactionNotFound:
                self._receipts[transaction] = None
        return self._receipts[transaction]

    @cached_property
    def final(self) -> list[int]:
        """Rounds that became final."""
        return [e["args"]["round"] for e in self.events("RoundFinal")]

    def is_excused(self, node: str, since: int, until: int) -> bool:
        return any(spell.excuses(node, since, until) for spell in self.spells)


Invariant = Callable[[Evidence], Iterator[str | None]]


def check(evidence: Evidence, invariants: Iterable[Invariant]) -> list[Result]:
    """Looks at all of them; what cannot be read is wrong, too."""
    results = []
    for invariant in invariants:
        found: list[str | None] = []
        try:
            found += invariant(evidence)
        except (FedvolError, sqlite3.Error) as error:
            found.append(f"cannot be checked: {error}")
        name = (invariant.__doc__ or invariant.__name__).splitlines()[0].rstrip(".")
        results.append(Result(name, len(found), tuple(complaint for complaint in found if complaint)))
    return results


def table(results: Iterable[Result]) -> Table:
    view = Table("invariant", "checked", "", title_justify="left", title="what must hold")
    view.columns[1].justify = "right"
    for result in results:
        complaints = [*result.wrong[:SHOWN], *(["…"] if len(result.wrong) > SHOWN else [])]
        state = f"[red]{len(result.wrong)} wrong[/]" if result.wrong else "[green]holds[/]"
        said = [result.name, *(f"  [red]{escape(text)}[/]" for text in complaints)]
        view.add_row("\n".join(said), str(result.checked), state)
    return view


# ---------------------------------------------------------------------- money


def vault_holds_what_it_owes(e: Evidence) -> Iterator[str | None]:
    """The vault holds exactly all bonds and rewards, and what was burned is with the dead address."""
    vault, at = e.client.vault, {"block_identifier": e.head.block}
    token = e.client.token.functions
    nodes = {x["args"]["node"] for x in e.events("Bonded", vault)}
    slashed = e.events("Slashed", vault)
    earners = {x["args"]["beneficiary"] for x in slashed}
    owed = sum(vault.functions.bondOf(node).call(**at)[0] for node in nodes)
    owed += sum(vault.functions.claimable(account).call(**at) for account in earners)
    held = token.balanceOf(vault.address).call(**at)
    yield None if held == owed else f"the vault holds {held} and owes {owed}"
    burned, gone = sum(x["args"]["burned"] for x in slashed), token.balanceOf(BURNED).call(**at)
    yield None if gone == burned else f"{burned} was burned, {gone} is with the dead address"


def bonds_follow_their_events(e: Evidence) -> Iterator[str | None]:
    """Each bond is what was bonded, less what was slashed and withdrawn."""
    vault = e.client.vault
    moves: dict[str, list[tuple[int, int, int, int | None]]] = defaultdict(list)
    for name, field_, sign in (("Bonded", "amount", 1), ("Slashed", "taken", -1), ("Withdrawn", "amount", -1)):
        for x in e.events(name, vault):
            total = x["args"].get("total")
            moves[x["args"]["node"]].append((x["blockNumber"], x["logIndex"], sign * x["args"][field_], total))
    for node, steps in moves.items():
        bond, complaint = 0, None
        for *_, amount, total in sorted(steps, key=lambda step: step[:2]):
            bond += amount
            if bond < 0 or total not in (None, bond):
                complaint = f"{node}: the events come to {bond}, not to {total}"
        held = vault.functions.bondOf(node).call(block_identifier=e.head.block)[0]
        yield complaint or (None if held == bond else f"{node}: a bond of {held}, events for {bond}")


def duties_hold_what_they_owe(e: Evidence) -> Iterator[str | None]:
    """The duties hold exactly the wei of open demands and of claims."""
    duties, at = e.client.duties, {"block_identifier": e.head.block}
    demands = e.events("Demanded", duties)
    people = {x["args"]["by"] for x in demands} | {x["args"]["by"] for x in e.events("Answered", duties)}
    owed = sum(duties.functions.claimable(account).call(**at) for account in people)
    held_for = e.client.demands({x["args"]["node"] for x in demands}, e.head.block)
    owed += sum(bond for _, _, bond in held_for.values())
    held = e.client.web3.eth.get_balance(duties.address, **at)
    yield None if held == owed else f"they hold {held} wei and owe {owed}"


# ---------------------------------------------------------------------- rounds and models


def rounds_follow_each_other(e: Evidence) -> Iterator[str | None]:
    """Rounds are opened one after the other, each once, and end at most once."""
    opened = [x["args"]["round"] for x in e.events("RoundOpened")]
    for expected, number in enumerate(opened, 1):
        yield None if number == expected else f"round {number} was opened where {expected} was due"
    for number in set(e.final):
        yield None if e.final.count(number) == 1 else f"round {number} became final twice"


def versions_come_of_final_rounds(e: Evidence) -> Iterator[str | None]:
    """Versions are numbered without a gap, each of its own final round, and its bytes have its content id."""
    published = {x["args"]["version"]: x["args"] for x in e.events("ModelPublished", e.client.registry)}
    final = {x["args"]["version"]: x["args"] for x in e.events("RoundFinal")}
    for version in range(1, e.head.version + 1):
        held, came = published.get(version), final.get(version)
        if held is None or (version > 1 and came is None):
            yield f"version {version} has no event"
            continue
        if came and (came["round"], came["contentId"]) != (held["round"], held["contentId"]):
            yield f"version {version} is not what round {came['round']} made final"
            continue
        right = content_id(e.client.model(version, e.head.block)) == held["contentId"]
        yield None if right else f"version {version} holds other bytes than its content id names"
    for version in set(published) | set(final):
        if version > e.head.version:
            yield f"version {version} has an event, and the registry ends at {e.head.version}"


def audits_pass(e: Evidence) -> Iterator[str | None]:
    """Every final round, recomputed from chain and storage, is what it should be."""
    for number in e.final:
        findings = audit(e.client, e.storage, number)
        bad = [f"{f.step}: {f.what}" for f in findings if f.verdict is not Verdict.HOLDS]
        yield f"round {number}: {'; '.join(bad)}" if exit_code(findings) else None


# ---------------------------------------------------------------------- faults and penalties


def nobody_was_proven_wrong(e: Evidence) -> Iterator[str | None]:
    """No proposal of an honest node was overturned."""
    for x in e.events("Proposed"):
        args = x["args"]
        fallen = [o for o in e.of_round("Overturned", args["round"]) if o["args"]["proposer"] == args["proposer"]]
        yield f"round {args['round']}: {args['proposer']} was overturned" if fallen else None


def windows(e: Evidence, number: int) -> dict[str, tuple[int, int]]:
    """When a round's duties were due, by the name of their report: seconds of chain time."""
    p = e.head.params
    drawn = e.time(e.of_round("RoundDrawn", number)[-1])
    selected = e.of_round("RoundOpened", number)[-1]["args"]["selected"]
    commits, reveals = ([e.time(x) for x in e.of_round(name, number)] for name in ("Committed", "Revealed"))
    committed = max(commits) if len(commits) == selected else drawn + p["finality"] + p["commitWindow"]
    everybody = reveals and len(reveals) == len(commits)
    revealed = max(reveals) if everybody else committed + p["finality"] + p["revealWindow"]
    answered = revealed + p["finality"] + 2 * p["demandWindow"]
    return {
        "AbsenceReported": (drawn, committed),
        "SilenceReported": (committed, revealed),
        "UnansweredReported": (revealed, answered),
        "VeiledReported": (revealed, answered + p["finality"] + p["unmaskWindow"]),
    }


def penalties_are_excused(e: Evidence) -> Iterator[str | None]:
    """Nobody was punished but for being late, where a fault was in force on it when its duty was due."""
    reported: dict[bytes, int] = {}
    for name in ("AbsenceReported", "SilenceReported", "UnansweredReported", "VeiledReported"):
        for x in e.events(name, e.client.duties):
            number, node = x["args"]["round"], x["args"]["node"]
            reported[x["transactionHash"]] = x["args"]["taken"]
            since, until = windows(e, number)[name]
            good = e.is_excused(node, since, until)
            yield None if good else f"{name} of {node} in round {number}, and no fault was in force on it"
    for x in e.events("Overturned"):
        reported[x["transactionHash"]] = x["args"]["taken"]
    for x in e.events("Slashed", e.client.vault):
        right = reported.get(x["transactionHash"]) == x["args"]["taken"] == x["args"]["burned"] + x["args"]["reward"]
        yield None if right else f"{x['args']['node']} lost {x['args']['taken']} without a report of as much"


def no_cluster_was_void_by_a_wrong_mask(e: Evidence) -> Iterator[str | None]:
    """Nobody masked wrongly."""
    for x in e.events("Proposed"):
        yield f"round {x['args']['round']}: voids {x['args']['voids']:x}" if x["args"]["voids"] else None
    for x in e.events("VoidReported", e.client.duties):
        yield f"{x['args']['node']} in round {x['args']['round']}"


def void_rounds_are_excused(e: Evidence) -> Iterator[str | None]:
    """No round was void unless faults had hit two nodes of it, or all."""
    opened = [e.time(x) for x in e.events("RoundOpened")]
    for x, ended in zip(e.events("RoundOpened"), [*opened[1:], e.head.time], strict=True):
        number, began = x["args"]["round"], e.time(x)
        hit = {spell.node for spell in e.spells if spell.excuses(spell.node or "", began, ended)}
        good = number in e.final or number == e.head.clock.number or None in hit or len(hit) > 1
        yield None if good else f"round {number} was void, with {len(hit)} nodes hit"


# ---------------------------------------------------------------------- pins


def vectors_are_pinned(e: Evidence) -> Iterator[str | None]:
    """Every vector that was revealed in a final round that is kept is pinned, and can be fetched."""
    for number in e.final:
        for x in e.of_round("Revealed", number) if number >= e.kept_from else ():
            complaint = _unfetchable(e.storage, x["args"]["contentId"])
            yield complaint and f"round {number}, {x['args']['node']}: {complaint}"


def models_are_pinned(e: Evidence) -> Iterator[str | None]:
    """Every model that became a version is pinned, and can be fetched."""
    for x in e.events("RoundFinal"):
        complaint = _unfetchable(e.storage, x["args"]["contentId"])
        yield complaint and f"version {x['args']['version']}: {complaint}"


def _unfetchable(storage: Storage, name: bytes) -> str | None:
    try:
        if not storage.has(name):
            return f"0x{name.hex()[:16]}… is not pinned"
        storage.get(name)
    except FedvolError as error:
        return error.message
    return None


CONTRACTS: tuple[Invariant, ...] = (
    vault_holds_what_it_owes, bonds_follow_their_events, duties_hold_what_they_owe, rounds_follow_each_other,
    versions_come_of_final_rounds, audits_pass, nobody_was_proven_wrong, penalties_are_excused,
    no_cluster_was_void_by_a_wrong_mask, void_rounds_are_excused,
)  # fmt: skip
PINS: tuple[Invariant, ...] = (vectors_are_pinned, models_are_pinned)
