"""Many reads in one request: the same answers as one by one, of one block, whatever fails among them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripts._anvil import rpc
from scripts._faults import FaultyProxy, faulty_proxy
from web3.exceptions import BadFunctionCallOutput, ContractLogicError

from fedvol.chain.client import WrongChain, abi, connect
from fedvol.chain.federation import FederationClient
from fedvol.chain.lens import look
from tests.node.conftest import Lab, mined

NOBODY = "0x00000000000000000000000000000000000000a1"


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultyProxy]:
    with faulty_proxy(lab.url) as opened:
        yield opened


def test_answers_are_those_of_single_calls(lab: Lab) -> None:
    web3, founder = lab.client.web3, lab.client.web3.eth.accounts[0]
    view = lab.client.federation.functions
    calls = [
        view.params(), view.clock(), view.memberCounts(), view.words([founder]), view.membersAt(0, 3), view.modules(),
        lab.client.registry.functions.modelOf(1), lab.client.registry.functions.versionAt(1),
        lab.client.engine.functions.configuration(), lab.client.token.functions.name(),
    ]  # fmt: skip
    seen = look(web3, [*calls, founder])
    head = web3.eth.get_block("latest")
    assert (seen.block, seen.time) == (head["number"], head["timestamp"])
    *answers, balance = seen.answers
    assert balance == web3.eth.get_balance(founder)
    for call, answer in zip(calls, answers, strict=True):
        assert _plain(answer) == _plain(call.call()), call.fn_name


def _plain(value: object) -> object:
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def test_a_snapshot_is_one_request_and_stays_at_the_block_that_is_asked_for(lab: Lab, proxy: FaultyProxy) -> None:
    client, founder = FederationClient(connect(proxy.url), lab.client.deployment), lab.client.web3.eth.accounts[0]
    before = client.snapshot(founder)
    proxy.methods.clear()
    mined(lab.client.token.functions.mint(founder, 7), founder)
    rpc(lab.url, "anvil_mine", 3)
    after = client.snapshot(founder)
    assert proxy.methods == {"eth_call": 1}
    assert (after.block, after.node.tokens) == (before.block + 4, before.node.tokens + 7)
    assert client.snapshot(founder, before.block) == before


def test_what_does_not_fit_one_answer_takes_several_of_the_same_block(lab: Lab, proxy: FaultyProxy) -> None:
    web3 = connect(proxy.url)
    client = FederationClient(web3, lab.client.deployment)
    proxy.methods.clear()
    many = look(web3, [client.federation.functions.params()] * 50)
    assert many.answers == [many.answers[0]] * 50
    assert 1 < proxy.methods["eth_call"] <= 3
    models = look(web3, [client.registry.functions.modelOf(1)] * 5)
    assert models.answers == [lab.client.model(1)] * 5


def test_another_chain_is_known_before_its_answers_are_read(lab: Lab) -> None:
    web3, calls = lab.client.web3, [lab.client.registry.functions.versionAt(9)]
    with pytest.raises(WrongChain, match="serves chain 31337, not 1"):
        look(web3, calls, chain_id=1)
    with pytest.raises(ContractLogicError):
        look(web3, calls, chain_id=31337)


def test_a_call_that_fails_is_told_from_the_others(lab: Lab) -> None:
    web3, registry = lab.client.web3, lab.client.registry.functions
    nowhere = web3.eth.contract(address=web3.to_checksum_address(NOBODY), abi=abi("BondToken")).functions
    calls = [registry.current(), registry.versionAt(9), nowhere.totalSupply()]
    first, *failed = look(web3, calls, may_fail=True).answers
    assert first[0] == 1
    assert failed == [None, None]
    with pytest.raises(ContractLogicError):
        look(web3, calls[:2])
    with pytest.raises(BadFunctionCallOutput, match="totalSupply"):
        look(web3, calls[2:])
