"""What a soak is judged by: silent on a clean run, and loud about each single thing that was tampered with."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from scripts._anvil import rpc
from scripts._invariants import (
    CONTRACTS,
    PINS,
    Evidence,
    Invariant,
    Spell,
    audits_pass,
    bonds_follow_their_events,
    check,
    duties_hold_what_they_owe,
    models_are_pinned,
    no_cluster_was_void_by_a_wrong_mask,
    nobody_was_proven_wrong,
    penalties_are_excused,
    rounds_follow_each_other,
    vault_holds_what_it_owes,
    vectors_are_pinned,
    versions_come_of_final_rounds,
    void_rounds_are_excused,
)
from scripts._journals import (
    JOURNALS,
    budgets_are_kept,
    commits_can_be_opened,
    journals_are_sound,
    masks_are_opened_for_one_set,
    nonces_are_used_once,
    one_commitment_a_round,
    purposes_are_served_once,
    receipts_agree,
)
from scripts._localnet import Desk
from scripts._vitals import Life, Vitals, check_processes
from web3 import Web3

from fedvol.learning.privacy import Privacy
from fedvol.node.journal import FILE, Prepared
from fedvol.storage import open_storage
from tests.node.conftest import PASSWORD, Lab, key_of, mined

M = 4
BUDGET = Privacy(epsilon=4.0, noise=20.0)
ALL = (*CONTRACTS, *JOURNALS, *PINS)


@pytest.fixture
def rounds() -> dict[str, Any]:
    return {"seats": M, "clusterSize": M, "minMembers": M, "epochRounds": 2}


@pytest.fixture
def run(lab: Lab) -> Evidence:
    """One round with all, and one in which the last neither committed nor was there for the rest."""
    nodes = [lab.node(i) for i in (1, 2, 3, 4)]
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    lab.cycle(*nodes, until=lambda: lab.round == 2, seconds=2)
    began = lab.client.snapshot().time
    lab.cycle(*nodes[:3], until=lambda: lab.version == 3, seconds=10)
    s = lab.client.snapshot()
    away = Spell("kill", nodes[3]._account.address, began, s.time)
    first, *_ = journals = {node._account.address: node.acts._journal for node in nodes}
    for part in journals[first].latest(2):  # as if it trained under a budget, which takes its time
        journals[first].charge(part.number, part.seed, BUDGET.charge())
    folders = {node._account.address: node._config.data_dir for node in nodes}
    storage = open_storage(str(lab.folder / "storage"))
    return Evidence(lab.client, storage, folders, [away], {first: BUDGET})


def sql(evidence: Evidence, index: int, statement: str, *values: object) -> None:
    folder = list(evidence.folders.values())[index]
    with sqlite3.connect(folder / FILE) as journal:
        assert journal.execute(statement, values).rowcount != 0, "the mutation must hit something"


def slot_of(evidence: Evidence, key: str, contract: str, expected: int) -> str:
    """Where a mapping of the contract keeps a word for an address."""
    web3 = evidence.client.web3
    for slot in range(20):
        place = Web3.keccak(encode(["address", "uint256"], [key, slot])).hex()
        if int.from_bytes(web3.eth.get_storage_at(contract, int(place, 16))) == expected:
            return "0x" + place
    raise AssertionError("no such slot")


# ---------------------------------------------------------------------- mutations


def damage_a_journal(e: Evidence) -> None:
    path = next(iter(e.folders.values())) / FILE
    data = bytearray(path.read_bytes())
    data[4_096:8_192] = bytes(4_096)
    path.write_bytes(data)


def mint_into_the_vault(e: Evidence) -> None:
    founder = e.client.web3.eth.accounts[0]
    mined(e.client.token.functions.mint(e.client.vault.address, 1), founder)


def raise_a_bond(e: Evidence) -> None:
    node = next(iter(e.folders))
    held = e.client.vault.functions.bondOf(node).call()[0]
    place = slot_of(e, node, e.client.vault.address, held)
    rpc(e.client.web3.provider.endpoint_uri, "anvil_setStorageAt", e.client.vault.address, place, f"0x{held + 1:064x}")


def give_the_duties_ether(e: Evidence) -> None:
    rpc(e.client.web3.provider.endpoint_uri, "anvil_setBalance", e.client.duties.address, "0x1")


def change_a_model(e: Evidence) -> None:
    pointer = e.client.registry.functions.versionAt(2).call()[1]
    code = bytearray(e.client.web3.eth.get_code(pointer))
    code[40] ^= 1
    rpc(e.client.web3.provider.endpoint_uri, "anvil_setCode", pointer, "0x" + code.hex())


def forget_the_excuse(e: Evidence) -> None:
    e.spells = []


def excuse_somebody_else(e: Evidence) -> None:
    e.spells = [replace(spell, node=next(iter(e.folders))) for spell in e.spells]


def excuse_another_time(e: Evidence) -> None:
    e.spells = [replace(spell, began=spell.began + 3_600, ended=spell.ended + 3_600) for spell in e.spells]


def overturn_an_honest_proposal(e: Evidence) -> None:
    accused = dict(e.events("Proposed")[0]["args"]) | {"taken": 0}
    e.events("Overturned").append({"args": accused, "transactionHash": bytes(32)})


def count_a_void_cluster(e: Evidence) -> None:
    e.events("VoidReported", e.client.duties).append({"args": {"round": 1, "node": next(iter(e.folders))}})


def open_a_round_twice(e: Evidence) -> None:
    e.events("RoundOpened").append(e.events("RoundOpened")[-1])


def let_a_round_pass(e: Evidence) -> None:
    web3, founder = e.client.web3, e.client.web3.eth.accounts[0]
    url = web3.provider.endpoint_uri
    for call in ("open", "draw", "open"):
        rpc(url, "evm_increaseTime", 300)
        rpc(url, "anvil_mine", 3)
        mined(e.client.federation.functions[call](), founder)


def lose_a_vector(e: Evidence) -> None:
    e.storage.unpin(e.client.reveals(2, e.client.snapshot().block)[0].content_id)


def lose_a_model(e: Evidence) -> None:
    e.storage.unpin(e.events("RoundFinal")[0]["args"]["contentId"])


def change_a_salt(e: Evidence) -> None:
    sql(e, 0, "UPDATE rounds SET salt = zeroblob(32) WHERE number = 1")


def change_an_update(e: Evidence) -> None:
    sql(e, 0, "UPDATE rounds SET bytes = zeroblob(1280) WHERE number = 2")


def change_a_commitment(e: Evidence) -> None:
    sql(e, 1, "UPDATE rounds SET commitment = '7' WHERE number = 2")


def forget_a_round(e: Evidence) -> None:
    sql(e, 2, "DELETE FROM rounds WHERE number = 1")


def move_a_receipt(e: Evidence) -> None:
    sql(e, 0, "UPDATE outbox SET block = block + 1 WHERE purpose LIKE 'reveal:1:%'")


def say_that_it_failed(e: Evidence) -> None:
    sql(e, 0, "UPDATE outbox SET succeeded = 0 WHERE purpose LIKE 'commit:2:%'")


def forget_a_transaction(e: Evidence) -> None:
    sql(e, 0, "DELETE FROM outbox WHERE nonce = 1")


def serve_a_purpose_twice(e: Evidence) -> None:
    sql(e, 0, "UPDATE outbox SET purpose = (SELECT purpose FROM outbox WHERE nonce = 0) WHERE nonce = 1")


def open_for_another_set(e: Evidence) -> None:
    sql(e, 0, "UPDATE masks SET opened_for = '0' WHERE number = 2")


def sign_for_two_sets(e: Evidence) -> None:
    sql(e, 0, "UPDATE outbox SET purpose = purpose || '0' WHERE purpose LIKE 'unmask:2:%' AND nonce % 2 >= 0")
    copied = "randomblob(32), 'unmask:2:' || (SELECT seed FROM rounds WHERE number = 2) || ':f', 999, raw, max_fee, tip"
    sql(e, 0, f"INSERT INTO outbox SELECT {copied}, sent_at, NULL, NULL FROM outbox WHERE purpose LIKE 'unmask:2:%'")


def train_without_paying(e: Evidence) -> None:
    sql(e, 0, "DELETE FROM charges WHERE number = 1")


def overspend(e: Evidence) -> None:
    sql(e, 0, "UPDATE charges SET noise = 0.1")


MUTATIONS: dict[Callable[[Evidence], None], list[Invariant]] = {
    damage_a_journal: [journals_are_sound],
    mint_into_the_vault: [vault_holds_what_it_owes],
    raise_a_bond: [bonds_follow_their_events, vault_holds_what_it_owes],
    give_the_duties_ether: [duties_hold_what_they_owe],
    change_a_model: [versions_come_of_final_rounds, audits_pass],
    forget_the_excuse: [penalties_are_excused],
    excuse_somebody_else: [penalties_are_excused],
    excuse_another_time: [penalties_are_excused],
    overturn_an_honest_proposal: [nobody_was_proven_wrong],
    count_a_void_cluster: [no_cluster_was_void_by_a_wrong_mask],
    open_a_round_twice: [rounds_follow_each_other],
    let_a_round_pass: [void_rounds_are_excused],
    lose_a_vector: [vectors_are_pinned, audits_pass],
    lose_a_model: [models_are_pinned],
    change_a_salt: [commits_can_be_opened],
    change_an_update: [commits_can_be_opened],
    change_a_commitment: [one_commitment_a_round, commits_can_be_opened],
    forget_a_round: [one_commitment_a_round, commits_can_be_opened],
    move_a_receipt: [receipts_agree],
    say_that_it_failed: [receipts_agree],
    forget_a_transaction: [nonces_are_used_once],
    serve_a_purpose_twice: [purposes_are_served_once],
    open_for_another_set: [masks_are_opened_for_one_set],
    sign_for_two_sets: [masks_are_opened_for_one_set],
    train_without_paying: [budgets_are_kept],
    overspend: [budgets_are_kept],
}


def copy_of(run: Evidence, home: Path) -> Evidence:
    """The same run with journals and storage of its own below the folder, which is made anew."""
    shutil.rmtree(home, ignore_errors=True)
    folders = {}
    for node, folder in run.folders.items():
        folders[node] = home / node
        folders[node].mkdir(parents=True)
        with closing(sqlite3.connect(folder / FILE)) as journal:
            (folders[node] / FILE).write_bytes(journal.serialize())
    shutil.copytree(run.storage.path, home / "storage")
    return replace(run, folders=folders, storage=open_storage(str(home / "storage")))


def test_a_clean_run_holds_and_each_thing_that_is_tampered_with_is_found(run: Evidence, lab: Lab) -> None:
    results = check(run, ALL)
    assert [r for r in results if r.wrong] == []
    assert all(r.checked for r in results), "an invariant that looks at nothing holds nothing"
    assert {invariant for expected in MUTATIONS.values() for invariant in expected} == set(ALL)
    for mutate, expected in MUTATIONS.items():
        evidence, before = copy_of(run, lab.folder / "tampered"), rpc(lab.url, "evm_snapshot")
        mutate(evidence)
        results = check(evidence, expected)
        assert all(r.wrong for r in results), (mutate.__name__, [r.name for r in results if not r.wrong])
        rpc(lab.url, "evm_revert", before)


def test_what_a_process_did_wrong_is_found(lab: Lab) -> None:
    salt = secrets.token_bytes(32)
    lab.node(1).acts._journal.prepare(Prepared(1, 5, 1, b"", salt, 7))
    desk = Desk("node1", lab.folder / "node1")
    steady = Life("node1", 1, [(float(t), 200.0 + t % 3, 30 + t % 2, t / 100) for t in range(0, 600, 5)])

    def found(log: str = "all is well", **changes: Any) -> list[str]:
        desk.log.write_text(log)
        vitals = replace(Vitals([steady], exits={"node1": 0}), **changes)
        return [r.wrong[0] for r in check_processes(vitals, [desk], lambda _: {"FEDVOL_PASSWORD": PASSWORD}) if r.wrong]

    leaking = Life("node1", 1, [(t, mb + t / 10, files, cpu) for t, mb, files, cpu in steady.samples])
    opening = Life("node1", 1, [(t, mb, files + int(t / 20), cpu) for t, mb, files, cpu in steady.samples])
    assert found() == []
    assert found(died=["node1"]) == ["node1 ended by itself"]
    assert found(exits={"node1": 6}) == ["node1 stopped with 6"]
    assert found("Traceback (most recent call last)") == ["node1: see its log"]
    assert found(f"the password is {PASSWORD}") == ["node1: a password"]
    assert found(f"key 0x{key_of(1).removeprefix('0x').upper()}") == ["node1: a private key"]
    assert found(f"salt={salt.hex()}") == ["node1: a salt"]
    assert found(lives=[leaking])[0].startswith("node1: from 2")
    assert found(lives=[opening])[0].endswith("files")
