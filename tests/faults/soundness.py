"""What holds of a federation whatever went wrong: no act twice, no salt lost, nobody poorer than its lateness costs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound

from fedvol.node.daemon import Node
from fedvol.node.journal import read_journal
from fedvol.node.keystore import address_of
from tests.node.conftest import BOND, Lab

PENALTIES = ("AbsenceReported", "SilenceReported", "UnansweredReported", "VeiledReported", "VoidReported")


def penalties(lab: Lab, number: int | None = None) -> dict[str, list[str]]:
    """Whom each kind of report has hit, in one round or all."""
    head, of = lab.client.web3.eth.block_number, {} if number is None else {"round": number}
    found = {name: lab.client.events(name, head, lab.client.duties, **of) for name in PENALTIES}
    return {name: [e["args"]["node"] for e in events] for name, events in found.items() if events}


def assert_nobody_paid(lab: Lab) -> None:
    assert penalties(lab) == {}
    assert {m.address: m.bond for m in lab.client.members(lab.client.snapshot()) if m.bond != BOND} == {}


def assert_all_rounds_final(lab: Lab) -> int:
    """Every round that ended was final, everybody who committed revealed, once. Returns how many there were."""
    s = lab.client.snapshot()
    done = [e["args"]["round"] for e in lab.client.events("RoundFinal", s.block)]
    assert done == list(range(1, len(done) + 1))
    for number in done:
        who = {
            event: sorted(e["args"]["node"] for e in lab.client.events(event, s.block, round=number))
            for event in ("Committed", "Revealed")
        }
        assert who["Committed"] == who["Revealed"], f"round {number}"
        assert len(set(who["Committed"])) == len(who["Committed"])
    return len(done)


def assert_no_act_twice(lab: Lab, indices: Iterable[int]) -> None:
    """Of every purpose one transaction at most was mined well; and all that an account ever sent is in its journal."""
    eth = lab.client.web3.eth
    for index in indices:
        config = lab.config(index)
        with read_journal(config.data_dir) as journal:
            rows = journal._query("SELECT hash, purpose FROM outbox")
        mined: dict[str, list[int]] = {}
        for tx_hash, purpose in rows:
            with suppress(TransactionNotFound):
                mined.setdefault(purpose, []).append(eth.get_transaction_receipt(tx_hash)["status"])
        assert {p: found for p, found in mined.items() if found.count(1) > 1} == {}
        assert sum(map(len, mined.values())) == eth.get_transaction_count(account(lab, index)), f"node {index}"


def account(lab: Lab, index: int) -> str:
    return address_of(lab.config(index).keystore)


def assert_one_commitment_a_round(lab: Lab, nodes: Iterable[Node]) -> None:
    """Whatever the chain took back: a node has signed one commitment for a round and its seed, and no other."""
    commit = lab.client.federation.functions.commit
    for node in nodes:
        rows = node.acts._journal._query("SELECT purpose, raw FROM outbox WHERE purpose LIKE 'commit:%'")
        signed: dict[str, set[bytes]] = {}
        for purpose, raw in rows:
            sent = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()["data"]
            assert sent[:4] == bytes.fromhex(commit(0).selector[2:])
            signed.setdefault(purpose, set()).add(bytes(sent))
        assert {p: s for p, s in signed.items() if len(s) > 1} == {}
