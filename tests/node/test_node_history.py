"""Events of a round are read from near its opening, however long the chain, and from an endpoint that caps a range."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripts._anvil import rpc
from scripts._faults import FaultyProxy, faulty_proxy
from web3.contract.contract import ContractFunction

from fedvol.chain.client import connect
from fedvol.chain.federation import FederationClient
from fedvol.chain.history import MARGIN, SLACK
from fedvol.errors import ChainError
from tests.node.conftest import BOND, Lab, mined

BLOCKS = 400
APART = 600
"""Blocks before the round, and seconds between two of them."""


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultyProxy]:
    with faulty_proxy(lab.url) as opened:
        yield opened


def fresh(lab: Lab, url: str) -> FederationClient:
    """As of a process that has just started."""
    return FederationClient(connect(url), lab.client.deployment)


def join_and_open(lab: Lab) -> int:
    """Three accounts of Anvil's join and open the first round. Returns its block."""
    web3, federation = lab.client.web3, lab.client.federation.functions

    def send(call: ContractFunction, account: str) -> int:
        return mined(call, account)["blockNumber"]

    founder, *_ = accounts = web3.eth.accounts[:3]
    for account in accounts:
        send(lab.client.token.functions.mint(account, BOND), founder)
        send(lab.client.token.functions.approve(lab.client.vault.address, BOND), account)
        send(federation.join(BOND), account)
    return send(federation.open(), founder)


def mine(lab: Lab, blocks: int) -> None:
    for _ in range(0, blocks, 50):  # a machine with other things to do takes seconds for that many
        rpc(lab.url, "anvil_mine", hex(min(blocks, 50)), hex(APART))


def test_a_round_is_found_in_few_calls_and_its_events_are_read_from_there(lab: Lab, proxy: FaultyProxy) -> None:
    mine(lab, BLOCKS)
    opened = join_and_open(lab)
    mine(lab, 5)
    client = fresh(lab, proxy.url)
    head = client.snapshot().block
    proxy.methods.clear()
    (found,) = client.events("RoundOpened", head, round=1)
    assert found["blockNumber"] == opened
    assert proxy.methods["eth_getLogs"] == 1
    assert proxy.methods["eth_getBlockByNumber"] <= 6, "of log2(400) = 9"
    times = [client.web3.eth.get_block(block)["timestamp"] for block in (client.history.beginning(1), opened)]
    assert MARGIN <= times[1] - times[0] <= MARGIN + SLACK
    proxy.methods.clear()
    client.events("RoundOpened", head, round=1)
    assert proxy.methods == {"eth_getLogs": 1}, "the beginning is remembered"


def test_who_saw_the_head_before_a_round_opened_searches_for_nothing(lab: Lab, proxy: FaultyProxy) -> None:
    mine(lab, BLOCKS)
    client = fresh(lab, proxy.url)
    client.snapshot()
    mine(lab, 4)
    opened = join_and_open(lab)
    client.snapshot()
    proxy.methods.clear()
    assert BLOCKS // 2 < client.history.beginning(1) < opened
    assert not proxy.methods


def test_a_capped_endpoint_is_asked_for_less_at_a_time(lab: Lab, proxy: FaultyProxy) -> None:
    mine(lab, BLOCKS)
    opened = join_and_open(lab)
    client = fresh(lab, proxy.url)
    proxy.most_blocks = 120
    joined = client.events("Joining", opened)
    assert len(joined) == 3
    assert [e["blockNumber"] for e in joined] == sorted(e["blockNumber"] for e in joined)
    assert proxy.methods["eth_getLogs"] < 15
    proxy.most_blocks = 5
    with pytest.raises(ChainError, match="too wide"):
        client.events("Joining", opened)
