"""The outbox against a real Anvil made to behave as networks do: fees rise, transactions vanish, processes die."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from scripts._anvil import free_port, rpc
from web3 import Web3
from web3.contract import Contract

from fedvol.chain.outbox import FeesTooHigh, NoFunds, Outbox, Unmined, WouldRevert
from fedvol.errors import ChainError
from fedvol.node.journal import Journal, Owner, open_journal, read_journal
from tests.node.conftest import key_of

ACCOUNT = Account.from_key(key_of(9))
STRANGER = Web3.to_checksum_address("0x00000000000000000000000000000000000000a1")
OWNER = Owner(31337, "0xF", ACCOUNT.address)


@pytest.fixture
def token(chain: Web3, deploy: Callable[..., Contract]) -> Contract:
    """The bond token, owned by the account under test."""
    return deploy("BondToken", ACCOUNT.address)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_journal(tmp_path, OWNER) as opened:
        yield opened


def outbox(chain: Web3, journal: Journal, **changes: Any) -> Outbox:
    settings = {"max_fee_wei": 1000 * 10**9, "resubmit_after": 0.6, "patience": 8.0, "poll": 0.1} | changes
    return Outbox(chain, ACCOUNT, journal, **settings)


def mint(token: Contract, amount: int = 5) -> Any:
    return token.functions.mint(STRANGER, amount)


def held(token: Contract) -> int:
    return token.functions.balanceOf(STRANGER).call()


def sent(chain: Web3) -> int:
    return chain.eth.get_transaction_count(ACCOUNT.address)


def in_background(chain: Web3, folder: Path, purpose: str, call: Any, **changes: Any) -> Callable[[], Any]:
    """Delivers in a thread; the returned function waits for the receipt, or raises what was raised."""
    box: dict[str, Any] = {}

    def run() -> None:
        try:
            with read_journal(folder) as journal:  # a connection of this thread's own
                box["result"] = outbox(chain, journal, **changes).deliver(purpose, call, 0)
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=run)
    thread.start()

    def wait() -> Any:
        thread.join(20)
        if "error" in box:
            raise box["error"]
        return box["result"]

    return wait


def wait_for(something: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not something():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pool(chain: Web3) -> list[dict[str, Any]]:
    pending = chain.provider.make_request("txpool_content", [])["result"]
    mine = [*pending["pending"].items(), *pending["queued"].items()]
    return [tx for address, by_nonce in mine if address.lower() == ACCOUNT.address.lower() for tx in by_nonce.values()]


def test_a_call_is_mined_and_asking_again_sends_nothing(chain: Web3, token: Contract, journal: Journal) -> None:
    box, seen = outbox(chain, journal), chain.eth.block_number
    receipt = box.deliver("mint", mint(token), seen)
    assert receipt["status"] == 1
    assert box.deliver("mint", mint(token), seen)["transactionHash"] == receipt["transactionHash"]
    assert held(token) == 5
    # The caller has seen that block, and still misses the act: then it is another one.
    box.deliver("mint", mint(token), receipt["blockNumber"])
    assert held(token) == 10


def test_what_would_revert_is_not_sent(chain: Web3, token: Contract, journal: Journal) -> None:
    before, balance = sent(chain), chain.eth.get_balance(ACCOUNT.address)
    call = token.functions.transferFrom(STRANGER, ACCOUNT.address, 7)
    with pytest.raises(WouldRevert, match=r"ERC20InsufficientAllowance\(spender=.*needed=7\)") as refused:
        outbox(chain, journal).deliver("take", call, 0)
    assert refused.value.error == "ERC20InsufficientAllowance"
    assert refused.value.exit_code == 6
    assert (sent(chain), chain.eth.get_balance(ACCOUNT.address)) == (before, balance)
    assert journal.attempts("take") == []


def test_without_funds_nothing_is_sent_and_the_sum_is_named(chain: Web3, token: Contract, journal: Journal) -> None:
    rpc(chain.provider.endpoint_uri, "anvil_setBalance", ACCOUNT.address, hex(10**12))
    with pytest.raises(NoFunds, match=rf"{ACCOUNT.address} holds 0.000001 ETH and needs up to 0.000"):
        outbox(chain, journal).deliver("mint", mint(token), 0)
    assert journal.attempts("mint") == []


def test_a_transaction_stuck_under_a_risen_base_fee_is_repriced(
    chain: Web3, token: Contract, journal: Journal, tmp_path: Path
) -> None:
    url = chain.provider.endpoint_uri
    rpc(url, "evm_setAutomine", False)
    done = in_background(chain, tmp_path, "mint", mint(token))
    wait_for(lambda: pool(chain))
    first = int(pool(chain)[0]["maxFeePerGas"], 16)
    rpc(url, "anvil_setNextBlockBaseFeePerGas", hex(20 * first))
    rpc(url, "anvil_mine", 1)
    assert held(token) == 0  # too cheap for that block
    rpc(url, "evm_setAutomine", True)
    receipt = done()
    attempts = journal.attempts("mint")
    assert receipt["effectiveGasPrice"] > first
    assert len({a.nonce for a in attempts}) == 1
    for a, b in pairwise(attempts):
        assert b.max_fee >= a.max_fee * 1.1
        assert b.tip >= a.tip * 1.1
    assert held(token) == 5


def test_a_transaction_that_the_network_lost_is_sent_again(
    chain: Web3, token: Contract, journal: Journal, tmp_path: Path
) -> None:
    url = chain.provider.endpoint_uri
    rpc(url, "evm_setAutomine", False)
    done = in_background(chain, tmp_path, "mint", mint(token), resubmit_after=60)
    wait_for(lambda: pool(chain))
    lost = journal.attempts("mint")[0].hash
    rpc(url, "anvil_dropTransaction", Web3.to_hex(lost))
    wait_for(lambda: pool(chain))
    rpc(url, "anvil_mine", 1)
    assert bytes(done()["transactionHash"]) == lost
    assert held(token) == 5


def test_a_waiting_transaction_gives_way_to_the_next_act(
    chain: Web3, token: Contract, journal: Journal, tmp_path: Path
) -> None:
    rpc(chain.provider.endpoint_uri, "evm_setAutomine", False)
    with pytest.raises(Unmined):
        outbox(chain, journal, patience=0.3, resubmit_after=60).deliver("old", mint(token, 1), 0)
    assert journal.waiting() == ["old"]
    done = in_background(chain, tmp_path, "new", mint(token, 2))
    wait_for(lambda: {tx["hash"] for tx in pool(chain)} == {Web3.to_hex(a.hash) for a in journal.attempts("new")})
    rpc(chain.provider.endpoint_uri, "evm_setAutomine", True)
    done()
    assert held(token) == 2
    assert sent(chain) == 1


def test_dear_gas_is_refused(chain: Web3, token: Contract, journal: Journal) -> None:
    with pytest.raises(FeesTooHigh, match="max_fee_gwei"):
        outbox(chain, journal, max_fee_wei=10**8).deliver("mint", mint(token), 0)
    assert journal.attempts("mint") == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_sending_it_is_sent_once(chain: Web3, token: Contract, tmp_path: Path, moment: str) -> None:
    """kill -9 between the journal's write and the broadcast, or between the broadcast and its answer."""

    class Deadly(Web3.HTTPProvider):
        def make_request(self, method: Any, params: Any) -> Any:
            if method == "eth_sendRawTransaction":
                if moment == "after":
                    super().make_request(method, params)
                os.kill(os.getpid(), signal.SIGKILL)
            return super().make_request(method, params)

    def child() -> None:
        web3 = Web3(Deadly(chain.provider.endpoint_uri))
        call = web3.eth.contract(token.address, abi=token.abi).functions.mint(STRANGER, 5)
        with open_journal(tmp_path, OWNER) as journal:
            outbox(web3, journal).deliver("mint", call, seen)

    seen, before = chain.eth.block_number, sent(chain)
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    assert sent(chain) == before + (moment == "after")

    with open_journal(tmp_path, OWNER) as journal:
        (attempt,) = journal.attempts("mint")
        receipt = outbox(chain, journal).deliver("mint", mint(token), seen)
        assert bytes(receipt["transactionHash"]) == attempt.hash
    assert held(token) == 5
    assert sent(chain) == before + 1


def test_a_reorganised_block_takes_the_act_with_it_and_it_is_sent_again(
    chain: Web3, token: Contract, journal: Journal
) -> None:
    box, seen = outbox(chain, journal), chain.eth.block_number
    url = chain.provider.endpoint_uri
    before = rpc(url, "evm_snapshot")
    box.deliver("mint", mint(token), seen)
    rpc(url, "evm_revert", before)
    assert held(token) == 0
    box.deliver("mint", mint(token), seen)
    assert held(token) == 5


def test_a_dead_rpc_is_one_clear_error(chain: Web3, token: Contract, journal: Journal) -> None:
    box = outbox(chain, journal)
    chain.provider.endpoint_uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ChainError, match="does not answer"):
        box.deliver("mint", mint(token), 0)
