"""Masked rounds settled and disputed: cluster sums, unmasking and the rule over clusters, in the EVM as in Python."""

from __future__ import annotations

import ape
import numpy as np
import pytest
from tests.contracts.arena import BOND
from tests.contracts.masked import M

from fedvol.protocol.cluster import apply, first_wrong_word
from fedvol.protocol.mask import pack_claims
from fedvol.protocol.vector import BIAS, pack_model, pack_update, unpack_model

ALL = 2**256 - 1
RULES = [{"rule": kind, "weighted": weighted, "weightShift": 11} for kind in (0, 1, 2) for weighted in (False, True)]


@pytest.fixture(params=[(), (1,), (0, 3)], ids=["whole", "one missing", "two missing"])
def open_round(request, make_masked, eight):
    """Of eight where two are missing, else of four: sums wear self masks, and pair masks both ways."""

    def build(**changes):
        m = 8 if len(request.param) == 2 else M
        arena = make_masked(clusterSize=m, minMembers=m, **changes)
        arena.open()
        silent = tuple(n for n in eight if arena.seat(n) in request.param)
        arena.commit(*eight)
        arena.reveal(*(n for n in eight if n not in silent))
        arena.pass_to("Unmask")
        arena.unmask(*(n for n in eight if n not in silent))
        arena.pass_to("Propose")
        return arena

    return build


def propose(arena, nodes, model, voids=0):
    lead = next((n for n in nodes if arena.seat(n) == int(arena.federation.leadSeat())), nodes[0])
    arena.federation.propose(model, voids, sender=lead)
    return lead


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_settle_masked_right_model_at_once_succeeds(open_round, eight, stranger, rule):
    arena = open_round(**rule)
    arena.weighted = rule["weighted"]
    model = arena.aggregate(eight)
    propose(arena, eight, model)
    with ape.reverts(arena.settlement.ProposalHolds):
        arena.dispute(model, eight, by=stranger)
    receipt = arena.settle(model, eight)
    assert receipt.events.filter(arena.settlement.Settled, words=len(model) // 32, final_=True)
    assert bytes(arena.registry.modelOf(2)) == model


def test_settle_masked_mean_is_the_plain_one_exactly(open_round, eight):
    arena = open_round()
    counted = arena.counted(eight)
    old = unpack_model(arena.model(0), arena.weights)
    plain = np.array([int(np.sign(v)) * (abs(int(v)) // len(counted)) for v in arena.plain_sum(counted)])
    assert (unpack_model(arena.aggregate(eight), arena.weights) == old + plain).all()


def test_dispute_masked_by_words_succeeds(open_round, eight, stranger):
    arena = open_round()
    model = arena.aggregate(eight, wrong={9: 1})
    liar = propose(arena, eight, model)
    with ape.reverts(arena.settlement.ProposalHolds, error_inputs={"firstWord": 0, "words": 1}):
        arena.dispute(model, eight, 0, 1, by=stranger)
    with ape.reverts(arena.settlement.ProposalWrong, error_inputs={"word": 1}):
        arena.settle(model, eight)
    receipt = arena.dispute(model, eight, 1, 1, by=stranger)
    assert receipt.events.filter(arena.settlement.Disproved, word=1, taken=BOND, proposer=liar.address)
    assert int(arena.federation.proposal().voids) == 0


def test_settle_masked_in_steps_succeeds(open_round, eight):
    arena = open_round()
    model = arena.aggregate(eight)
    propose(arena, eight, model)
    for done in (1, 3):
        arena.settle(model, eight, done if done == 1 else 2)
        assert int(arena.settlement.settledWords()) == done
    arena.settle(model, eight, ALL)
    assert arena.phase == "Final"


def test_dispute_masked_with_other_keys_or_nodes_reverts(make_masked, eight, stranger):
    arena = make_masked()
    arena.unmask_all(eight)
    model = arena.aggregate(eight, wrong={0: 1})
    propose(arena, eight, model)
    vectors = arena.vectors(eight)
    node, annex, salt, data, keys = vectors[3]
    for wrong in (
        (node, annex, salt, data, [keys[1], keys[0]]),
        (node, annex, salt, data, [bytes(32), keys[1]]),
        (node, bytes(32), salt, data, keys),
    ):
        with ape.reverts(arena.settlement.NotCommitted, error_inputs={"node": node}):
            arena.settlement.dispute(model, [*vectors[:3], wrong, *vectors[4:]], 0, 1, sender=stranger)
    with ape.reverts(arena.settlement.WrongVectorCount, error_inputs={"given": 7, "expected": 8}):
        arena.settlement.dispute(model, vectors[1:], 0, 1, sender=stranger)
    arena.settlement.dispute(model, vectors, 0, 1, sender=stranger)


# ---------------------------------------------------------------------- clusters that have no sum


@pytest.fixture
def tainted(make_masked, eight):
    """A desk of cluster 0 masks with a key that it does not commit to."""
    arena = make_masked()
    arena.open()
    arena.garbage = (next(n.address for n in eight if arena.seat(n) == 2),)
    arena.commit(*eight)
    arena.reveal(*eight)
    arena.pass_to("Unmask")
    arena.unmask(*eight)
    arena.pass_to("Propose")
    return arena


def test_settle_masked_without_a_void_cluster_succeeds(tainted, eight, stranger):
    claims, model = tainted.claims(eight), tainted.aggregate(eight)
    assert claims >> 10 == 1, "one claim, of cluster 0"
    propose(tainted, eight, model, claims)
    with ape.reverts(tainted.settlement.ProposalHolds):
        tainted.dispute(model, eight, by=stranger)
    tainted.settle(model, eight)
    honest = [n for n in eight if tainted.seat(n) >= M]
    moved = unpack_model(model, tainted.weights)
    assert (moved == [int(np.sign(v)) * (abs(int(v)) // M) for v in tainted.plain_sum(honest)]).all()


def test_dispute_masked_void_cluster_that_is_not_claimed_succeeds(tainted, eight, stranger):
    model = tainted.aggregate(eight)
    propose(tainted, eight, model)
    sums, old = tainted.sums(eight), tainted.model(0)
    wrong = first_wrong_word(tainted.rule(), M, old, sums, 0, model, tainted.weights)
    assert wrong is not None
    tainted.dispute(model, eight, wrong, 1, by=stranger)
    assert tainted.phase == "Settle"


def test_dispute_masked_claim_against_a_good_cluster_succeeds(make_masked, eight, stranger):
    """A proposer that leaves out those whom it does not like."""
    arena = make_masked()
    arena.unmask_all(eight)
    sums = arena.sums(eight)
    for claims in ({0: 0}, {1: 3}, {0: 4}):
        model = pack_without(arena, sums, claims)
        lead = propose(arena, [n for n in eight if arena.bond(n)], model, pack_claims(claims))
        with ape.reverts(arena.settlement.ProposalWrong):
            arena.settle(model, eight)
        assert first_wrong_word(arena.rule(), M, arena.model(0), sums, pack_claims(claims), model, arena.weights) == 0
        arena.dispute(model, eight, 0, 1, by=stranger)
        assert arena.bond(lead) == 0
        if arena.phase == "Void":
            break
        arena.pass_settling()
        richest = next(n for n in eight if arena.bond(n))
        arena.fund(richest, 8 * BOND)
        arena.vault.fund(richest, 8 * BOND, sender=richest)
        eight = [richest, *(n for n in eight if n != richest)]
    assert arena.phase == "Void"


def pack_without(arena, sums, claims):
    kept = [s for k, s in sums.items() if k not in claims]
    return pack_model(apply(arena.rule(), M, unpack_model(arena.model(0), arena.weights), kept))


def test_propose_claims_in_a_plain_round_reverts(revealed, trio):
    revealed.pass_to("Propose")
    with ape.reverts(revealed.federation.NoClusters):
        revealed.federation.propose(revealed.model(0), pack_claims({0: 0}), sender=revealed.lead(trio))


@pytest.mark.parametrize("fill", [1 - BIAS, BIAS - 1], ids=["lowest", "highest"])
@pytest.mark.parametrize("rule", [0, 1, 2])
def test_settle_masked_extreme_updates_are_bounded(make_masked, eight, fill, rule):
    """Far beyond the clamp, in every lane of every node: as the twin bounds them."""
    arena = make_masked(rule=rule)
    arena.update = lambda node: pack_update(np.full(arena.weights, fill))
    arena.unmask_all(eight)
    model = arena.aggregate(eight)
    assert set(np.abs(unpack_model(model, arena.weights))) == {1 << 19}
    propose(arena, eight, model)
    arena.settle(model, eight)
    assert arena.phase == "Final"


def test_dispute_masked_claims_that_do_not_rise_succeeds(tainted, eight, stranger):
    """A claim is checked in every dispute: sixteen of one cluster would make one too dear to be mined."""
    claim = tainted.claims(eight)
    bad = claim | claim << 16
    model = tainted.aggregate(eight)
    propose(tainted, eight, model, bad)
    sums, rule = tainted.sums(eight), tainted.rule()
    assert first_wrong_word(rule, M, tainted.model(0), sums, bad, model, tainted.weights) == 0
    tainted.dispute(model, eight, 0, 1, by=stranger)
