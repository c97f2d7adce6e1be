"""What `fedvol node status` shows: chain and journal of one node, whether or not it runs. No password, nothing sent."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from web3.exceptions import TransactionNotFound

from fedvol import __version__
from fedvol.chain.client import readable
from fedvol.chain.deployment import NOWHERE
from fedvol.chain.federation import FederationClient, Snapshot
from fedvol.chain.outbox import call_rpc
from fedvol.chain.stake import when
from fedvol.node import lock
from fedvol.node.budget import account
from fedvol.node.config import NodeConfig
from fedvol.node.duty import duty_of, penalty
from fedvol.node.journal import Journal, Sent, read_journal

LATEST = 10

_REPORTS = ("AbsenceReported", "SilenceReported", "UnansweredReported", "VeiledReported", "VoidReported")


def status(client: FederationClient, address: str, config: NodeConfig) -> dict[str, Any]:
    """One document: plain values, and the lists "actions" and "journal". Times in seconds, amounts in smallest units.

    Raises:
        FedvolError: the chain cannot be read, or the journal is damaged.
    """
    s = client.snapshot(address)
    with read_journal(config.data_dir) as journal:
        kept = _journal(journal, config)
        sent = journal.latest_attempts(LATEST) if journal else []
    tokens, wei = client.claimable(address, s.block)
    earned_tokens, earned_wei = client.claimed(address, s.block)
    node = s.node
    return {
        "account": address,
        "federation": client.deployment.name,
        "chain_id": client.deployment.chain_id,
        "process_runs": lock.is_held(config.data_dir),
        "fedvol": __version__,
        "block": s.block,
        "block_age": round(time.time() - s.time),
        "round": s.clock.number,
        "phase": s.phase.name.lower(),
        "phase_ends_in": max(0, s.ends_at - s.time) if s.ends_at else None,
        **_duty(s),
        "status": node.status,
        "seat": node.seat,
        "bond": node.bond,
        "next_penalty": penalty(s, node),
        "faults": node.faults,
        **_penalties(client, address, s.block),
        "balance_wei": node.balance_wei,
        "bond_tokens_held": node.tokens,
        "claimable_tokens": tokens,
        "claimable_wei": wei,
        "earned_tokens": earned_tokens,
        "earned_wei": earned_wei,
        "model_version": s.version,
        "model_age": s.time - s.published_at,
        "model_served": _served(client, s),
        **kept,
        "actions": [_action(client, each, s.block) for each in sent],
    }


def _duty(s: Snapshot) -> dict[str, Any]:
    duty = duty_of(s)
    return {
        "duty": str(duty.act) if duty else None,
        "duty_opens_in": max(0, duty.opens - s.time) if duty else None,
        "duty_ends_in": duty.until - s.time if duty else None,
        "duty_until": when(duty.until) if duty else None,
        "duty_penalty": duty.penalty if duty else None,
    }


def _penalties(client: FederationClient, address: str, block: int) -> dict[str, Any]:
    """Faults by kind, and what they took, from the events."""
    found = {
        name.removesuffix("Reported").lower(): len(client.events(name, block, client.duties, node=address))
        for name in _REPORTS
    }
    taken = sum(e["args"]["taken"] for e in client.events("Slashed", block, client.vault, node=address))
    return {"slashed": taken, "reported": {kind: count for kind, count in found.items() if count}}


def _served(client: FederationClient, s: Snapshot) -> int | None:
    """The version that the pricing engine answers from, which keeps the last good one; None without an engine."""
    if client.engine.address == NOWHERE:
        return None
    with readable("the pricing engine"):
        return client.engine.functions.currentVersion().call(block_identifier=s.block)


def _journal(journal: Journal | None, config: NodeConfig) -> dict[str, Any]:
    rounds = journal.latest(LATEST) if journal else []
    return {
        "trained_from_version": rounds[0].version if rounds else None,
        "waiting_transactions": journal.waiting() if journal else [],
        **(account(journal, config.privacy).facts() if config.privacy else {"privacy_epsilon": None}),
        "journal": [
            {
                "round": part.number,
                "from_version": part.version,
                "step": part.step,
                "content_id": f"0x{part.content_id.hex()}",
            }
            for part in rounds
        ],
    }


def _action(client: FederationClient, sent: Sent, block: int) -> dict[str, Any]:
    gas = None
    if sent.block is not None:
        with suppress(TransactionNotFound):  # of a block that was undone
            gas = call_rpc(lambda: client.web3.eth.get_transaction_receipt(sent.hash))["gasUsed"]
    outcome = "waits" if sent.block is None else "mined" if sent.succeeded else "reverted"
    act, number, *_ = [*sent.purpose.split(":"), ""]
    return {
        "act": act,
        "round": int(number) if number.isdigit() else None,
        "outcome": outcome,
        "block": sent.block,
        "blocks_ago": None if sent.block is None else block - sent.block,
        "seconds_ago": round(time.time() - sent.sent_at),
        "gas": gas,
    }
