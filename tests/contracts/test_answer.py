"""answer: the bytes, all of them, in time, by anybody; paid from the demander's bond and never beyond it."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PARAMS, PHASES

BOND = PARAMS["demandBond"]
WINDOW = PARAMS["demandWindow"]


@pytest.fixture
def asked(revealed, trio, stranger):
    revealed.demand(trio[0], by=stranger)
    return revealed


def opening(arena, node):
    return node, bytes(32), arena.salt(node), arena.update(node), b""


def test_answer_by_anybody_counts_again_succeeds(asked, trio, nodes, stranger):
    receipt = asked.answer(trio[0], by=nodes[4])
    (event,) = receipt.events.filter(asked.duties.Answered, round=1, node=trio[0].address, by=nodes[4].address)
    assert bytes(event.data) == asked.update(trio[0])
    assert asked.ballot_state(trio[0]) == 5
    assert int(asked.federation.clock().revealed) == 3
    assert int(asked.federation.clock().demands) == 0
    model = asked.propose(trio, asked.aggregate(trio))
    asked.settle(model, trio, by=stranger)
    assert asked.phase == "Final"


def test_answer_refund_covers_its_cost_and_the_rest_goes_back_succeeds(asked, trio, nodes, stranger):
    receipt = asked.answer(trio[0], by=nodes[4])
    refund = asked.duties.claimable(nodes[4])
    cost = receipt.gas_used * receipt.gas_price
    assert cost <= refund < 2 * cost
    assert refund + asked.duties.claimable(stranger) == BOND
    (event,) = receipt.events.filter(asked.duties.Answered)
    assert int(event.refund) == refund


def test_answer_refund_never_exceeds_the_bond_succeeds(make_arena, trio, stranger):
    arena = make_arena(demandBond=1_000)
    arena.join(*trio)
    arena.reveal_all(trio)
    arena.demand(trio[0], by=stranger)
    arena.answer(trio[0], by=trio[0])
    assert (arena.duties.claimable(trio[0]), arena.duties.claimable(stranger)) == (1_000, 0)


def test_answer_refund_does_not_grow_with_appended_zeros_succeeds(asked, trio, nodes, stranger):
    """Zeros cost the sender a fraction of what a byte is refunded at."""
    asked.demand(trio[1], by=stranger)
    asked.answer(trio[0], by=nodes[4])
    plain = asked.duties.claimable(nodes[4])
    data = asked.duties.answer.encode_input(*opening(asked, trio[1])) + bytes(20_000)
    nodes[5].transfer(asked.duties, 0, data=data)
    assert asked.ballot_state(trio[1]) == 5
    assert asked.duties.claimable(nodes[5]) < 1.2 * plain


def test_answer_refund_ignores_an_overpaid_tip_succeeds(asked, trio):
    receipt = asked.duties.answer(
        *opening(asked, trio[0]), sender=trio[0], max_fee=10**12, max_priority_fee=10**12 - 10**10
    )
    assert asked.duties.claimable(trio[0]) < receipt.gas_used * receipt.gas_price // 10


def test_answer_the_last_after_demanding_opens_proposing_succeeds(asked, trio, stranger):
    asked.demand(trio[1], by=stranger)
    asked.pass_time(WINDOW)
    asked.answer(trio[0], by=trio[0])
    assert asked.phase == "Availability", "one is still due"
    receipt = asked.answer(trio[1], by=trio[1])
    clock = asked.federation.clock()
    assert PHASES[int(clock.stage)] == "Propose"
    assert int(clock.since) == receipt.timestamp + PARAMS["finality"]
    asked.pass_to("Propose")
    asked.federation.propose(asked.aggregate(trio), 0, sender=asked.lead(trio))


def test_answer_while_demanding_does_not_cut_it_short_succeeds(asked, trio, stranger):
    asked.answer(trio[0], by=trio[0])
    assert asked.phase == "Availability"
    asked.demand(trio[1], by=stranger)


def test_answer_too_late_reverts(asked, trio):
    asked.pass_phase()
    with ape.reverts(asked.duties.NotDemanded, error_inputs={"node": trio[0].address}):
        asked.answer(trio[0], by=trio[0])
    asked.pass_to("Propose")
    with ape.reverts(asked.duties.NotDemanded):
        asked.answer(trio[0], by=trio[0])


def test_answer_in_the_next_round_reverts(asked, trio):
    asked.pass_to("Void")
    asked.open()
    asked.commit(*trio[1:])
    with ape.reverts(asked.duties.NotDemanded):
        asked.answer(trio[0], by=trio[0])


def test_answer_of_what_nobody_demanded_reverts(asked, trio, stranger):
    for node in (trio[1], stranger):
        with ape.reverts(asked.duties.NotDemanded, error_inputs={"node": node.address}):
            asked.answer(node, by=node)


def test_answer_twice_reverts(asked, trio):
    asked.answer(trio[0], by=trio[0])
    with ape.reverts(asked.duties.NotDemanded):
        asked.answer(trio[0], by=trio[0])


@pytest.mark.parametrize("length", [0, 96, 127, 160])
def test_answer_of_a_wrong_length_reverts(asked, trio, length):
    inputs = {"given": length, "expected": 128}
    with ape.reverts(asked.duties.WrongVectorLength, error_inputs=inputs):
        asked.duties.answer(trio[0], bytes(32), asked.salt(trio[0]), bytes(length), b"", sender=trio[0])


def test_answer_with_other_bytes_reverts(asked, trio):
    node, annex, salt, data, evidence = opening(asked, trio[0])
    flipped = data[:-1] + bytes([data[-1] ^ 1])
    for wrong in (
        (annex, salt, flipped),
        (annex, bytes(32), data),
        (salt, salt, data),
        (annex, salt, asked.update(trio[1])),
    ):
        with ape.reverts(asked.duties.NotCommitted, error_inputs={"node": node.address}):
            asked.duties.answer(node, *wrong, evidence, sender=node)


def test_answer_with_evidence_that_nobody_asks_for_reverts(asked, trio):
    """Its length would be refunded."""
    with ape.reverts(asked.duties.NoEvidenceAsked):
        asked.duties.answer(*opening(asked, trio[0])[:-1], bytes(32), sender=trio[0])


def test_answer_claim_pays_once_succeeds(asked, trio, nodes):
    asked.answer(trio[0], by=nodes[4])
    refund, before = asked.duties.claimable(nodes[4]), nodes[4].balance
    receipt = asked.duties.claim(sender=nodes[4])
    assert receipt.events.filter(asked.duties.Claimed, account=nodes[4].address, amount=refund)
    assert nodes[4].balance == before + refund - receipt.total_fees_paid
    with ape.reverts(asked.duties.NothingToClaim, error_inputs={"account": nodes[4].address}):
        asked.duties.claim(sender=nodes[4])
