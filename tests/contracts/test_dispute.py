"""dispute: one wrong unit overturns a proposal, nothing else does, and only what was revealed counts."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PHASES

from fedvol.protocol.vector import content_id, pack_update

LAST = 29
"""Weight of the last word of `revealed`, which holds six."""
ZERO = bytes(32)


def phases(actual):
    return {"actual": PHASES.index(actual), "needed": PHASES.index("Challenge")}


@pytest.fixture
def right(revealed, trio):
    """A right proposal, and its bytes."""
    return revealed, revealed.propose(trio, revealed.aggregate(trio))


@pytest.fixture
def wrong(revealed, trio):
    """A proposal that is wrong by one in its first weight."""
    return revealed, revealed.propose(trio, revealed.aggregate(trio, {0: 1}))


@pytest.mark.parametrize("error", [1, -1])
@pytest.mark.parametrize("index", [0, 7, 13, 24, LAST])
def test_dispute_one_unit_in_one_weight_succeeds(revealed, trio, stranger, index, error):
    model, lead = revealed.aggregate(trio, {index: error}), revealed.lead(trio)
    revealed.propose(trio, model)
    word = index // 8
    right_before = {"firstWord": 0, "words": word}
    if word:
        with ape.reverts(revealed.settlement.ProposalHolds, error_inputs=right_before):
            revealed.dispute(model, trio, 0, word, by=stranger)
    receipt = revealed.dispute(model, trio, word, 1, by=stranger)
    event = {"round": 1, "proposer": lead.address, "accuser": stranger.address, "word": word, "taken": BOND}
    assert receipt.events.filter(revealed.settlement.Disproved, **event)
    assert (revealed.bond(lead), revealed.vault.claimable(stranger)) == (0, BOND // 2)
    assert revealed.phase == "Settle"
    revealed.pass_settling()
    assert revealed.phase == "Propose"


def test_dispute_names_the_first_wrong_word_succeeds(revealed, trio, stranger):
    model = revealed.propose(trio, revealed.aggregate(trio, {17: 1, LAST: 1}))
    receipt = revealed.dispute(model, trio, by=stranger)
    assert receipt.events.filter(revealed.settlement.Disproved, word=2)


def test_dispute_right_proposal_reverts(right, trio, stranger):
    arena, model = right
    for first, words in ((0, 4), (0, 1), (3, 1)):
        inputs = {"firstWord": first, "words": words}
        with ape.reverts(arena.settlement.ProposalHolds, error_inputs=inputs):
            arena.dispute(model, trio, first, words, by=stranger)
    assert arena.phase == "Challenge"


@pytest.mark.parametrize(("first", "words"), [(0, 0), (4, 1), (0, 5), (3, 2), (2**256 - 1, 1), (1, 2**256 - 1)])
def test_dispute_range_outside_the_model_reverts(wrong, trio, stranger, first, words):
    arena, model = wrong
    inputs = {"firstWord": first, "words": words}
    with ape.reverts(arena.settlement.EmptyRange, error_inputs=inputs):
        arena.dispute(model, trio, first, words, by=stranger)


def test_dispute_other_model_reverts(wrong, trio, stranger):
    """A right proposal cannot be overturned by disproving something else."""
    arena, model = wrong
    other = arena.aggregate(trio, {1: 1})
    inputs = {"given": content_id(other), "proposed": content_id(model)}
    with ape.reverts(arena.settlement.NotTheProposal, error_inputs=inputs):
        arena.dispute(other, trio, by=stranger)


def test_dispute_bytes_that_do_not_count_reverts(right, trio, stranger):
    """Nobody can be left out, counted twice, replaced or misquoted: each would make a right proposal look wrong."""
    arena, model = right
    settlement, (a, b, c) = arena.settlement, arena.vectors(trio)
    foreign = (stranger.address, ZERO, arena.salt(stranger), arena.update(stranger), [])
    with_foreign = sorted([a, b, foreign], key=lambda v: int(v[0], 16))
    forged = pack_update([5] * arena.weights)
    cases = [
        (settlement.WrongVectorCount, {"given": 2, "expected": 3}, [a, b]),
        (settlement.WrongVectorCount, {"given": 0, "expected": 3}, []),
        (settlement.NotRising, {"index": 1}, [a, a, b]),
        (settlement.NotRising, {"index": 3}, [a, b, c, c]),
        (settlement.NotRising, {"index": 2}, [a, c, b]),
        (settlement.DoesNotCount, {"node": stranger.address}, with_foreign),
        (settlement.NotCommitted, {"node": b[0]}, [a, (*b[:3], forged, []), c]),
        (settlement.NotCommitted, {"node": b[0]}, [a, (b[0], *a[1:]), c]),
        (settlement.NotCommitted, {"node": b[0]}, [a, (b[0], b[1], bytes(32), b[3], []), c]),
        (settlement.NotCommitted, {"node": b[0]}, [a, (b[0], b"\1" * 32, b[2], b[3], []), c]),
        (settlement.WrongVectorLength, {"node": c[0], "given": 96, "expected": 128}, [a, b, (*c[:3], c[3][:-32], [])]),
        (settlement.WrongVectorLength, {"node": c[0], "given": 129}, [a, b, (*c[:3], c[3] + b"\0", [])]),
    ]
    for error, inputs, vectors in cases:
        with ape.reverts(error, error_inputs=inputs):
            settlement.dispute(model, vectors, 0, 4, sender=stranger)


def test_dispute_bytes_of_another_round_reverts(joined, nodes, stranger):
    joined.run_round(nodes)
    old = joined.vectors(nodes)
    joined.salt = lambda node: content_id(node.address.encode() + b"second")
    try:
        model = joined.propose(nodes)
        with ape.reverts(joined.settlement.NotCommitted, error_inputs={"node": old[0][0]}):
            joined.settlement.dispute(model, old, 0, 4, sender=stranger)
        joined.dispute(model, nodes, by=stranger)
    finally:
        del joined.salt


def test_dispute_leaves_out_what_was_demanded_in_vain_only_succeeds(revealed, trio, stranger):
    """The proposal of who was left out counts it: wrong; and nobody else may be left out in its place."""
    revealed.demand(trio[0], by=stranger)
    model = revealed.propose(trio[1:], revealed.aggregate(trio)) if revealed.lead(trio) in trio[1:] else None
    if model is None:
        revealed.pass_to("Propose")
        model = revealed.aggregate(trio)
        revealed.federation.propose(model, 0, sender=revealed.lead(trio))
    with ape.reverts(revealed.settlement.WrongVectorCount, error_inputs={"given": 3, "expected": 2}):
        revealed.dispute(model, trio, by=stranger)
    with ape.reverts(revealed.settlement.DoesNotCount, error_inputs={"node": trio[0].address}):
        revealed.dispute(model, trio[:2], by=stranger)
    revealed.dispute(model, trio[1:], by=stranger)


def test_dispute_outside_challenge_reverts(revealed, trio, stranger):
    model = revealed.aggregate(trio, {0: 1})
    with ape.reverts(revealed.settlement.WrongPhase, error_inputs=phases("Availability")):
        revealed.dispute(model, trio, by=stranger)
    revealed.propose(trio, model)
    revealed.pass_phase()
    with ape.reverts(revealed.settlement.WrongPhase, error_inputs=phases("Final")):
        revealed.dispute(model, trio, by=stranger)


def test_dispute_copied_by_a_front_runner_still_saves_the_round_succeeds(wrong, trio, stranger):
    """The reward goes to who is first; the round is saved all the same."""
    arena, model = wrong
    thief = arena.guardian
    arena.dispute(model, trio, by=thief)
    with ape.reverts(arena.settlement.WrongPhase, error_inputs=phases("Settle")):
        arena.dispute(model, trio, by=stranger)
    assert arena.vault.claimable(stranger) == 0
    assert arena.vault.claimable(thief) == BOND // 2
    arena.pass_settling()
    assert arena.phase == "Propose"
    with ape.reverts(arena.settlement.WrongPhase, error_inputs=phases("Propose")):
        arena.dispute(model, trio, by=stranger)
