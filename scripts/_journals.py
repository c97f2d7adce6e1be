"""Invariants of nodes' journals, beside the chain that they were written for. See `scripts._invariants`."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from fedvol.learning.privacy import epsilon_spent
from fedvol.node.journal import FILE, read_journal
from fedvol.protocol.mask import opening
from fedvol.protocol.roll import MOST_SEATS, Roll
from fedvol.protocol.vector import content_id
from scripts._invariants import Evidence, Invariant


def _rows(e: Evidence, sql: str) -> Iterator[tuple[str, sqlite3.Row]]:
    """(node, row) of all journals."""
    for node, folder in e.folders.items():
        with closing(sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro", uri=True)) as journal:
            journal.row_factory = sqlite3.Row
            for row in journal.execute(sql):
                yield node, row


def journals_are_sound(e: Evidence) -> Iterator[str | None]:
    """Every journal passes SQLite's own check."""
    for node, row in _rows(e, "PRAGMA quick_check"):
        yield None if row[0] == "ok" else f"{node}: {row[0]}"


def one_commitment_a_round(e: Evidence) -> Iterator[str | None]:
    """For each round and seed a node has signed one commitment only, that of its journal."""
    held = {(n, r["number"], r["seed"]): r for n, r in _rows(e, "SELECT * FROM rounds")}
    for node, row in _rows(e, "SELECT purpose, raw FROM outbox WHERE purpose LIKE 'commit:%'"):
        _, number, seed = row["purpose"].split(":")
        signed = TypedTransaction.from_bytes(HexBytes(row["raw"])).as_dict()["data"]
        part = held.get((node, int(number), seed))
        good = part is not None and int.from_bytes(signed[4:]) == int(part["commitment"])
        yield None if good else f"{node} signed another commitment for round {number} than its journal holds"


def commits_can_be_opened(e: Evidence) -> Iterator[str | None]:
    """Every commit on the chain has its salt and its bytes in the journal, and was opened with them."""
    held = {(n, r["number"], r["seed"]): r for n, r in _rows(e, "SELECT * FROM rounds")}
    seeds = {x["args"]["round"]: f"{x['args']['seed']:016x}" for x in e.events("RoundDrawn")}
    opened = {(x["args"]["node"], x["args"]["round"]): x["args"] for x in e.events("Revealed")}
    for x in e.events("Committed"):
        node, number = x["args"]["node"], x["args"]["round"]
        if node not in e.folders:
            continue
        part = held.get((node, number, seeds[number]))
        sent = e.client.web3.eth.get_transaction(x["transactionHash"])["input"]
        if part is None or int(part["commitment"]) != int.from_bytes(sent[4:]):
            yield f"{node}: its journal does not hold what it committed to in round {number}"
            continue
        shown = opened.get((node, number))
        named = (content_id(part["bytes"]), part["salt"])
        good = shown is None or (shown["contentId"], shown["salt"]) == named
        yield None if good else f"{node}: it opened round {number} with something else than its journal holds"


# ---------------------------------------------------------------------- transactions


def _receipts(e: Evidence) -> Iterator[tuple[str, sqlite3.Row, Any]]:
    """(node, attempt, its receipt or None)."""
    for node, row in _rows(e, "SELECT hash, purpose, nonce, block, succeeded FROM outbox ORDER BY rowid"):
        yield node, row, e.receipt(row["hash"])


def receipts_agree(e: Evidence) -> Iterator[str | None]:
    """What a journal says of a transaction's block and success the chain says too, unless that block was undone."""
    undone = [spell.undone for spell in e.spells if spell.undone]
    for node, row, receipt in _receipts(e):
        if row["block"] is None or any(first <= row["block"] <= last for first, last in undone):
            continue
        chain = receipt and (receipt["blockNumber"], receipt["status"])
        good = chain == (row["block"], row["succeeded"])
        yield None if good else f"{node}: {row['purpose']} in block {row['block']}, by the chain {chain}"


def nonces_are_used_once(e: Evidence) -> Iterator[str | None]:
    """Of the attempts with one nonce one is mined, and nonces leave no gap."""
    mined: dict[str, Counter[int]] = defaultdict(Counter)
    for node, row, receipt in _receipts(e):
        mined[node][row["nonce"]] += receipt is not None
    for node, nonces in mined.items():
        count = e.client.web3.eth.get_transaction_count(node, e.head.block)
        for nonce in range(max(count, 1 + max(nonces))):
            wanted = int(nonce < count)
            good = nonces[nonce] == wanted
            yield None if good else f"{node}: {nonces[nonce]} mined with nonce {nonce} of {count}"


def purposes_are_served_once(e: Evidence) -> Iterator[str | None]:
    """No act was carried out twice."""
    done = Counter((n, row["purpose"]) for n, row, receipt in _receipts(e) if receipt and receipt["status"] == 1)
    for (node, purpose), times in done.items():
        yield None if times == 1 else f"{node}: {purpose} {times} times"


# ---------------------------------------------------------------------- masks and budgets


def masks_are_opened_for_one_set(e: Evidence) -> Iterator[str | None]:
    """No node has signed an unmasking for two sets of survivors, and what it opened is what its journal allows."""
    sets: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for node, row in _rows(e, "SELECT purpose FROM outbox WHERE purpose LIKE 'unmask:%'"):
        _, number, seed, missing = row["purpose"].split(":")
        sets[node, number, seed].add(missing)
    for (node, number, _), missing in sets.items():
        yield None if len(missing) == 1 else f"{node} opened round {number} for {len(missing)} sets"
    shown = {(x["args"]["node"], x["args"]["round"]): x["args"]["keys"] for x in e.events("Unmasked")}
    seats = {(x["args"]["node"], x["args"]["round"]): x["args"]["seat"] for x in e.events("Committed")}
    seeds = {x["args"]["round"]: f"{x['args']['seed']:016x}" for x in e.events("RoundDrawn")}
    m = e.head.params["clusterSize"]
    for node, row in _rows(e, "SELECT * FROM masks"):
        public = shown.get((node, row["number"]))
        if public is None or row["seed"] != seeds[row["number"]]:
            continue
        if row["opened_for"] is None:
            yield f"{node} opened round {row['number']}, and its journal does not know it"
            continue
        own, *pairs = (int.from_bytes(row["keys"][i : i + 32]) for i in range(0, len(row["keys"]), 32))
        missing = Roll(int(row["opened_for"], 16), m, MOST_SEATS).missing_in(seats[node, row["number"]] // m)
        good = opening(own, pairs, row["place"], missing) == list(public)
        yield None if good else f"{node} showed other keys in round {row['number']} than it may"


def budgets_are_kept(e: Evidence) -> Iterator[str | None]:
    """Who trains under a privacy budget has paid for every round once, and not overspent."""
    for node, privacy in e.budgets.items():
        with read_journal(e.folders[node]) as journal:
            charges, unpaid = journal.charges(), journal.uncharged()
        spent = epsilon_spent(charges, privacy.delta)
        yield None if not unpaid else f"{node}: {unpaid} rounds were trained and not paid for"
        yield None if spent <= privacy.epsilon else f"{node}: spent {spent} of {privacy.epsilon}"


JOURNALS: tuple[Invariant, ...] = (
    journals_are_sound, one_commitment_a_round, commits_can_be_opened, receipts_agree, nonces_are_used_once,
    purposes_are_served_once, masks_are_opened_for_one_set, budgets_are_kept,
)  # fmt: skip
