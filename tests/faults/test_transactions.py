"""Transactions whose nonce somebody else used, that were mined twice over, or that a wrong clock sent.

Stuck under a fee spike, dropped by the network, killed around sending: see `tests/node/test_node_outbox.py`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from scripts._anvil import rpc
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from fedvol.chain.outbox import Attempt, Outbox
from fedvol.node.journal import Journal
from tests.node.test_node_outbox import ACCOUNT, held, in_background, mint, outbox, pool, sent, wait_for


def test_a_transaction_that_another_one_replaced_is_sent_with_the_next_nonce(
    chain: Web3, token: Contract, journal: Journal, tmp_path: Path
) -> None:
    """Somebody uses the key elsewhere, and pays more for the same nonce."""
    rpc(chain.provider.endpoint_uri, "evm_setAutomine", False)
    before = sent(chain)
    done = in_background(chain, tmp_path, "mint", mint(token), resubmit_after=60)
    wait_for(lambda: pool(chain))
    (waiting,) = journal.attempts("mint")
    stranger = {
        "type": 2, "chainId": 31337, "nonce": waiting.nonce, "to": ACCOUNT.address, "value": 0, "gas": 21_000,
        "maxFeePerGas": 2 * waiting.max_fee, "maxPriorityFeePerGas": 2 * waiting.tip,
    }  # fmt: skip
    chain.eth.send_raw_transaction(ACCOUNT.sign_transaction(stranger).raw_transaction)
    rpc(chain.provider.endpoint_uri, "anvil_mine", 1)
    rpc(chain.provider.endpoint_uri, "evm_setAutomine", True)
    done()
    assert (held(token), sent(chain)) == (5, before + 2)


def test_an_act_that_was_mined_under_a_later_nonce_is_done_though_its_first_try_failed(
    chain: Web3, token: Contract, journal: Journal
) -> None:
    """After a reorganisation: the act went out again with the nonce that had come free, and its first transaction,
    still in the pool, failed behind it."""
    seen, url = chain.eth.block_number, chain.provider.endpoint_uri
    supply = 100
    outbox(chain, journal).deliver("mint", token.functions.mint(ACCOUNT.address, supply), seen)
    give_all = token.functions.transfer(token.address, supply)
    signed = [_signed(chain, give_all, sent(chain) + n) for n in (1, 0)]  # the first try, the second one
    rpc(url, "evm_setAutomine", False)
    for attempt in signed:
        journal.record_attempt(attempt)
        chain.eth.send_raw_transaction(attempt.raw)
    rpc(url, "anvil_mine", 1)
    rpc(url, "evm_setAutomine", True)
    receipt = outbox(chain, journal).deliver("give", give_all, seen)
    assert bytes(receipt["transactionHash"]) == signed[1].hash


@pytest.mark.parametrize("skew", [-120, 120])
def test_a_clock_that_was_set_does_not_keep_a_stuck_transaction_from_its_price(
    chain: Web3, token: Contract, journal: Journal, skew: int
) -> None:
    """What waits was sent at a time that lies two minutes ahead now, or further back than it was."""
    url = chain.provider.endpoint_uri
    rpc(url, "evm_setAutomine", False)
    stuck = _signed(chain, mint(token), sent(chain))
    journal.record_attempt(replace(stuck, purpose="mint", sent_at=time.time() - skew))
    chain.eth.send_raw_transaction(stuck.raw)
    box: Outbox = outbox(chain, journal, resubmit_after=30, sleep=lambda _: rpc(url, "anvil_mine", 1))
    receipt = box.deliver("mint", mint(token), 0)
    first, second = journal.attempts("mint")
    assert second.max_fee >= first.max_fee * 1.1
    assert bytes(receipt["transactionHash"]) == second.hash
    assert held(token) == 5


def _signed(chain: Web3, call: ContractFunction, nonce: int) -> Attempt:
    max_fee, tip = 10 * 10**9, 10**9
    transaction = {
        "type": 2, "chainId": 31337, "nonce": nonce, "to": call.address, "data": call._encode_transaction_data(),
        "value": 0, "gas": 200_000, "maxFeePerGas": max_fee, "maxPriorityFeePerGas": tip,
    }  # fmt: skip
    signed = ACCOUNT.sign_transaction(transaction)
    return Attempt("give", nonce, bytes(signed.hash), bytes(signed.raw_transaction), max_fee, tip, time.time())
