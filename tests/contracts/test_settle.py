"""settle: a right proposal is final once all of it is recomputed, in one call or several; a wrong one never."""

from __future__ import annotations

import ape
import numpy as np
import pytest
from tests.contracts.arena import BOND, PHASES

from fedvol.protocol.vector import content_id


@pytest.fixture
def right(revealed, trio):
    """A right proposal, and its bytes."""
    return revealed, revealed.propose(trio, revealed.aggregate(trio))


def test_settle_in_one_call_by_anybody_succeeds(right, trio, stranger):
    arena, model = right
    receipt = arena.settle(model, trio, by=stranger)
    settled = {"round": 1, "settler": stranger.address, "words": 4, "final_": True}
    assert receipt.events.filter(arena.settlement.Settled, **settled)
    assert receipt.events.filter(arena.federation.RoundFinal, round=1, version=2, contentId=content_id(model))
    assert bytes(arena.registry.modelOf(2)) == model
    assert arena.phase == "Final"
    with ape.reverts(arena.federation.WrongPhase):
        arena.federation.publish(model, sender=stranger)
    assert arena.open() == 2


def test_settle_in_steps_by_several_succeeds(right, trio, nodes, stranger):
    arena, model = right
    for done, by in ((1, stranger), (2, nodes[4])):
        receipt = arena.settle(model, trio, 1, by=by)
        assert receipt.events.filter(arena.settlement.Settled, settler=by.address, words=done, final_=False)
        assert (int(arena.settlement.settledWords()), arena.phase) == (done, "Challenge")
    arena.settle(model, trio, 3, by=stranger)
    assert (arena.phase, int(arena.registry.current().version)) == ("Final", 2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rule", [0, 1, 2])
def test_settle_by_every_rule_agrees_with_the_twin_succeeds(make_arena, nodes, rule, weighted):
    arena = make_arena(rule=rule, weighted=weighted, step=50_000, dimension=30)
    arena.join(*nodes)
    arena.reveal_all(nodes)
    model = arena.aggregate(nodes)
    assert np.frombuffer(model, ">i4")[:30].all() or weighted
    arena.propose(nodes, model)
    with ape.reverts(arena.settlement.ProposalHolds):
        arena.dispute(model, nodes, by=nodes[0])
    arena.settle(model, nodes)
    assert bytes(arena.registry.modelOf(2)) == model


def test_settle_wrong_proposal_reverts(revealed, trio, stranger):
    model = revealed.propose(trio, revealed.aggregate(trio, {29: -1}))
    with ape.reverts(revealed.settlement.ProposalWrong, error_inputs={"word": 3}):
        revealed.settle(model, trio, by=stranger)
    revealed.settle(model, trio, 3, by=stranger)
    with ape.reverts(revealed.settlement.ProposalWrong, error_inputs={"word": 3}):
        revealed.settle(model, trio, 1, by=stranger)
    assert revealed.phase == "Challenge"


def test_settle_starts_anew_after_an_overturn_succeeds(revealed, trio, nodes, stranger):
    """Words of a wrong proposal that were right say nothing about the next one."""
    bad = revealed.propose(trio, revealed.aggregate(trio, {29: 1}))
    revealed.settle(bad, trio, 3, by=stranger)
    liar = revealed.federation.proposal().proposer
    revealed.dispute(bad, trio, 3, 1, by=stranger)
    assert int(revealed.settlement.settledWords()) == 0
    revealed.pass_settling()
    honest = next(n for n in trio if n.address != liar)
    revealed.fund(honest, BOND)
    revealed.vault.fund(honest, BOND, sender=honest)
    worse = revealed.aggregate(trio, {0: 1})
    revealed.federation.propose(worse, 0, sender=honest)
    with ape.reverts(revealed.settlement.ProposalWrong, error_inputs={"word": 0}):
        revealed.settle(worse, trio, 1, by=stranger)


def test_settle_of_nothing_reverts(right, trio, stranger):
    arena, model = right
    with ape.reverts(arena.settlement.EmptyRange, error_inputs={"firstWord": 0, "words": 0}):
        arena.settle(model, trio, 0, by=stranger)


def test_settle_without_all_vectors_reverts(right, trio, stranger):
    arena, model = right
    with ape.reverts(arena.settlement.WrongVectorCount, error_inputs={"given": 2, "expected": 3}):
        arena.settle(model, trio[:2], by=stranger)


def test_settle_other_model_reverts(right, trio, stranger):
    arena, _ = right
    other = arena.aggregate(trio, {0: 1})
    with ape.reverts(arena.settlement.NotTheProposal, error_inputs={"given": content_id(other)}):
        arena.settle(other, trio, by=stranger)


def test_settle_outside_challenge_reverts(right, trio, stranger):
    arena, model = right
    arena.settle(model, trio, by=stranger)
    inputs = {"actual": PHASES.index("Final"), "needed": PHASES.index("Challenge")}
    with ape.reverts(arena.settlement.WrongPhase, error_inputs=inputs):
        arena.settle(model, trio, by=stranger)


def test_settle_after_the_challenge_window_reverts(right, trio, stranger):
    """There is nothing left to recompute for: it can be published."""
    arena, model = right
    arena.pass_phase()
    with ape.reverts(arena.settlement.WrongPhase):
        arena.settle(model, trio, by=stranger)
    arena.federation.publish(model, sender=stranger)


def test_settle_ignores_what_hostile_padding_holds_succeeds(make_arena, trio, stranger):
    """Lanes behind the last weight, and the top byte, are anything at all: the model's padding stays 0."""
    arena = make_arena(dimension=30)
    clean = arena.update
    arena.update = lambda node: clean(node)[:-32] + b"\xff" + clean(node)[-31:-8] + b"\xff" * 8
    arena.join(*trio)
    arena.reveal_all(trio)
    model = arena.propose(trio, arena.aggregate(trio))
    assert model[-8:] == bytes(8)
    arena.settle(model, trio, by=stranger)
    assert arena.phase == "Final"
