"""Nodes that watch each other: wrong proposals, withheld bytes, absence, and what each costs and earns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from scripts._anvil import rpc

from fedvol.chain.federation import ANSWERED, DROPPED, Phase
from fedvol.chain.outbox import WouldRevert
from fedvol.node.daemon import Node
from fedvol.node.rounds import aggregate_now
from fedvol.protocol.vector import pack_model, unpack_model
from fedvol.storage import open_storage
from tests.node.conftest import BOND, PARAMS, Lab, mined

PENALTY = PARAMS["silencePenalty"]


def until_phase(lab: Lab, *nodes: Node, phase: Phase) -> None:
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().phase == phase, seconds=2)


def until_revealed(lab: Lab, *nodes: Node) -> None:
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().clock.revealed == len(nodes), seconds=2)


def bond(lab: Lab, node: Node) -> int:
    return lab.client.snapshot(node._account.address).node.bond


def tokens(lab: Lab, node: Node) -> int:
    return lab.client.snapshot(node._account.address).node.tokens


def lead_first(lab: Lab, nodes: list[Node]) -> list[Node]:
    lead = lab.client.snapshot().lead_seat
    return sorted(nodes, key=lambda n: lab.client.snapshot(n._account.address).node.seat != lead)


def unpin(lab: Lab, node: Node) -> bytes:
    """Takes a node's revealed bytes out of storage, and keeps it from noticing."""
    node._pins.keep = lambda *_: None
    reveals = lab.client.reveals(lab.round, lab.client.snapshot().block)
    reveal = next(r for r in reveals if r.node == node._account.address)
    storage = open_storage(str(lab.folder / "storage"))
    data = storage.get(reveal.content_id)
    storage.unpin(reveal.content_id)
    return data


def mint(lab: Lab, node: Node, amount: int) -> None:
    call = lab.client.token.functions.mint(node._account.address, amount)
    mined(call, lab.client.web3.eth.accounts[0])


def propose_wrong(lab: Lab, liar: Node, change: Callable[[list[int]], None]) -> bytes:
    s = lab.client.snapshot(liar._account.address)
    weights = unpack_model(aggregate_now(lab.client, liar._sight.bytes, s, 160, 1).model, 160)
    change(weights)
    model = pack_model(weights)
    mined(lab.client.federation.functions.propose(model, 0), liar._account.address)
    return model


def off_by_one(weights: list[int]) -> None:
    weights[17] += 1


def overturned(lab: Lab) -> tuple[Node, list[Node]]:
    """(who proposed a wrong model and was caught, the honest rest), in round 1."""
    nodes = [lab.node(i) for i in (1, 2, 3, 4)]
    until_revealed(lab, *nodes)
    liar, *honest = lead_first(lab, nodes)
    until_phase(lab, *honest, phase=Phase.PROPOSE)
    propose_wrong(lab, liar, off_by_one)
    lab.cycle(*honest, until=lambda: lab.client.snapshot().proposal.failures == 1, seconds=1)
    return liar, honest


def test_a_proposal_wrong_by_one_unit_is_overturned_and_pays_its_accuser(lab: Lab) -> None:
    liar, honest = overturned(lab)
    (won,) = lab.client.events("Disproved", lab.client.snapshot().block, lab.client.settlement)
    assert won["args"]["word"] == 2
    assert won["args"]["taken"] == BOND
    assert bond(lab, liar) == 0

    # The bond to propose has doubled: the next in turn tops up, if it can.
    for node in honest:
        mint(lab, node, BOND)
    lab.cycle(*honest, until=lambda: lab.version == 2, seconds=2)
    accuser = next(n for n in honest if n._account.address == won["args"]["accuser"])
    lab.cycle(*honest, until=lambda: lab.round == 2, seconds=8)
    assert max(bond(lab, node) for node in honest) == 2 * BOND
    assert bond(lab, accuser) + tokens(lab, accuser) == 2 * BOND + BOND // 2


def test_after_three_wrong_proposals_a_round_is_void_and_nobody_tops_up_a_lost_bond(lab: Lab) -> None:
    liars = [lab.node(i, watchtower=False, propose=False) for i in (1, 2, 3)]
    watcher = lab.node(4, propose=False, join=False)
    until_revealed(lab, *liars)
    for failures, liar in enumerate(lead_first(lab, liars)):
        until_phase(lab, watcher, phase=Phase.PROPOSE)
        if failures:
            extra, me = BOND * (2**failures - 1), liar._account.address
            mint(lab, liar, extra)
            mined(lab.client.token.functions.approve(lab.client.vault.address, extra), me)
            mined(lab.client.vault.functions.fund(me, extra), me)
        propose_wrong(lab, liar, off_by_one)
        lab.cycle(watcher, until=lambda n=failures: lab.client.snapshot().proposal.failures == n + 1, seconds=2)
    assert lab.client.snapshot().phase == Phase.VOID
    lab.cycle(watcher, until=lambda: tokens(lab, watcher) > BOND, seconds=2)
    assert tokens(lab, watcher) == BOND + (1 + 2 + 4) * BOND // 2
    for liar in liars:
        with suppress(WouldRevert):  # nobody is left to open a round with
            liar.cycle()
    assert all(bond(lab, liar) == 0 for liar in liars)


def test_missing_bytes_are_demanded_answered_by_their_owner_and_its_gas_is_paid(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    owner = lead_first(lab, nodes)[-1]
    data = unpin(lab, owner)
    wealth = {n: lab.client.web3.eth.get_balance(n._account.address) for n in nodes}
    lab.cycle(*nodes, until=lambda: bool(lab.client.answered(1, lab.client.snapshot().block)), seconds=1)
    paid = wealth[owner] - lab.client.web3.eth.get_balance(owner._account.address)
    assert lab.client.claimable(owner._account.address, lab.client.snapshot().block)[1] >= paid > 0
    assert (
        lab.client.ballots([owner._account.address], lab.client.snapshot().block)[owner._account.address].state
        == ANSWERED
    )

    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    storage = open_storage(str(lab.folder / "storage"))
    assert storage.get(lab.client.reveals(1, lab.client.snapshot().block)[0].content_id)
    assert data in [
        storage.get(r.content_id) for r in lab.client.reveals(1, lab.client.snapshot().block)
    ]  # pinned again
    verdict = nodes[0]._sight._watchtower._verdict
    assert len(verdict.aggregate.vectors) == 3
    lab.cycle(*nodes, until=lambda: lab.round == 2, seconds=2)
    assert lab.client.claimable(owner._account.address, lab.client.snapshot().block)[1] == 0


def test_bytes_that_stay_away_drop_their_node_and_the_round_is_final_without_it(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    *others, gone = lead_first(lab, nodes)
    unpin(lab, gone)
    lab.cycle(*others, until=lambda: lab.version == 2, seconds=2)
    assert len(others[0]._sight._watchtower._verdict.aggregate.vectors) == 2
    lab.cycle(*others, until=lambda: bond(lab, gone) < BOND, seconds=2)
    assert bond(lab, gone) == BOND - 2 * PENALTY
    address = gone._account.address
    assert lab.client.ballots([address], lab.client.snapshot().block)[address].state == DROPPED
    assert lab.client.demands([address], lab.client.snapshot().block)[address][2] == 0


def test_bytes_of_a_wrong_length_drop_their_node(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    monkeypatch.setattr(nodes[0].acts._trainer, "update", lambda *_: b"x" * 96)
    until_revealed(lab, *nodes)
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert len(nodes[1]._sight._watchtower._verdict.aggregate.vectors) == 2


def test_who_demands_everything_pays_and_honest_nodes_lose_nothing(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    until_phase(lab, *nodes, phase=Phase.AVAILABILITY)
    griefer = lab.client.web3.eth.accounts[15]
    for node in nodes:
        call = lab.client.duties.functions.demand(node._account.address)
        mined(call, griefer, PARAMS["demandBond"])
    before = {n: lab.client.web3.eth.get_balance(n._account.address) for n in nodes}
    for node in nodes:
        node.cycle()
        block = lab.client.snapshot().block
        after = (
            lab.client.web3.eth.get_balance(node._account.address)
            + lab.client.claimable(node._account.address, block)[1]
        )
        assert after >= before[node]
    assert len(lab.client.answered(1, lab.client.snapshot().block)) == 3
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=2)
    assert all(bond(lab, node) == BOND for node in nodes)


def test_others_answer_for_a_node_that_sleeps(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    asleep, *awake = nodes
    until_phase(lab, *awake, phase=Phase.AVAILABILITY)
    call = lab.client.duties.functions.demand(asleep._account.address)
    mined(call, lab.client.web3.eth.accounts[15], PARAMS["demandBond"])
    lab.cycle(*awake, until=lambda: bool(lab.client.answered(1, lab.client.snapshot().block)), seconds=1)
    assert lab.client.snapshot().clock.revealed == 3


def test_the_absent_are_reported_and_bonds_topped_up(lab: Lab) -> None:
    nodes = [lab.node(i) for i in (1, 2, 3)]
    lab.cycle(*nodes, until=lambda: lab.client.snapshot().phase == Phase.DRAW, seconds=2)
    *awake, asleep = nodes
    lab.cycle(*awake, until=lambda: lab.version == 2)
    lab.cycle(*awake, until=lambda: bond(lab, asleep) < BOND)
    assert bond(lab, asleep) == BOND - PENALTY // 2
    mint(lab, asleep, PENALTY)
    lab.cycle(asleep, until=lambda: bond(lab, asleep) == BOND, seconds=1, limit=20)
    assert tokens(lab, asleep) == PENALTY - PENALTY // 2


def test_a_settled_round_is_final_without_a_challenge_window(lab: Lab) -> None:
    nodes = [lab.node(1, settle=True), lab.node(2), lab.node(3)]
    until_phase(lab, *nodes, phase=Phase.CHALLENGE)
    began = lab.client.snapshot().time
    lab.cycle(*nodes, until=lambda: lab.version == 2, seconds=1)
    assert lab.client.snapshot().time - began < PARAMS["challengeWindow"]


def test_a_demand_that_a_crash_cut_off_is_not_paid_twice(lab: Lab) -> None:
    """The transaction went out and the process died: the next one finds it in the journal and on the chain."""
    nodes = [lab.node(i) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    lead, *_, gone = lead_first(lab, nodes)
    unpin(lab, gone)
    lab.pass_time(PARAMS["finality"])
    s = lab.client.snapshot(lead._account.address)
    demand = lab.client.duties.functions.demand(gone._account.address)
    purpose = f"demand:1:{gone._account.address}"
    outbox = lead.acts._outbox
    first = outbox.deliver(purpose, demand, s.block, PARAMS["demandBond"])
    again = outbox.deliver(purpose, demand, s.block, PARAMS["demandBond"])
    assert again["transactionHash"] == first["transactionHash"]
    lead.cycle()
    made = lab.client.events("Demanded", lab.client.snapshot().block, lab.client.duties, by=lead._account.address)
    assert len(made) == 1


def test_who_withheld_bytes_in_a_past_round_is_reported_and_the_bond_comes_back(lab: Lab) -> None:
    nodes = [lab.node(i, keeper=i == 1) for i in (1, 2, 3)]
    until_revealed(lab, *nodes)
    lead, *_ = lead_first(lab, nodes)
    gone = next(n for n in nodes if n is not lead and n is not nodes[0])
    unpin(lab, gone)
    rest = [n for n in nodes if n is not gone]
    lab.cycle(*rest, until=lambda: lab.client.snapshot().clock.demands == 1, seconds=1)
    rpc(lab.url, "evm_increaseTime", 500)  # nobody proposes, nobody reports: the round is void
    rpc(lab.url, "anvil_mine", 1)
    mined(lab.client.federation.functions.open(), lab.client.web3.eth.accounts[0])
    (made,) = lab.client.events("Demanded", lab.client.snapshot().block, lab.client.duties)
    demander = next(n for n in nodes if n._account.address == made["args"]["by"])
    for _ in range(2):
        demander.cycle()
    assert lab.client.demands([gone._account.address], lab.client.snapshot().block)[gone._account.address][2] == 0
    held = lab.client.claimable(demander._account.address, lab.client.snapshot().block)
    assert held == (PARAMS["silencePenalty"], PARAMS["demandBond"])
