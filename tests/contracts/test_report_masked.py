"""reportVeiled and reportVoid: who does not unmask pays; whose cluster has no sum is counted."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND, PARAMS
from tests.contracts.masked import M

PENALTY = 3 * PARAMS["silencePenalty"] // 2


@pytest.fixture
def veiled(masked, eight):
    """The desk at seat 5 has not unmasked in time."""
    masked.to_unmask(eight)
    lazy = next(n for n in eight if masked.seat(n) == 5)
    masked.unmask(*(n for n in eight if n != lazy))
    return masked, lazy


def test_report_veiled_succeeds(veiled, eight, stranger):
    arena, lazy = veiled
    with ape.reverts(arena.duties.NotVeiled):
        arena.duties.reportVeiled(lazy, sender=stranger)
    arena.pass_to("Propose")
    receipt = arena.duties.reportVeiled(lazy, sender=stranger)
    event = {"round": 1, "node": lazy.address, "reporter": stranger.address, "taken": PENALTY}
    assert receipt.events.filter(arena.duties.VeiledReported, **event)
    assert (arena.bond(lazy), arena.ballot_state(lazy)) == (BOND - PENALTY, 7)
    assert arena.vault.claimable(stranger) == PENALTY // 2
    with ape.reverts(arena.duties.NotVeiled, error_inputs={"node": lazy.address}):
        arena.duties.reportVeiled(lazy, sender=stranger)


def test_report_veiled_of_who_unmasked_reverts(veiled, eight, stranger):
    arena, lazy = veiled
    arena.pass_to("Propose")
    for node in (*(n for n in eight if n != lazy), stranger):
        with ape.reverts(arena.duties.NotVeiled, error_inputs={"node": node.address}):
            arena.duties.reportVeiled(node, sender=stranger)


def test_report_veiled_in_a_cluster_of_too_few_reverts(masked, eight, stranger):
    """Who must not unmask does not pay for it; nor does who is missing."""
    masked.open()
    masked.commit(*eight)
    masked.reveal(*(n for n in eight if masked.seat(n) > 1))
    masked.pass_to("Unmask")
    masked.unmask(*(n for n in eight if masked.seat(n) >= M))
    masked.pass_to("Propose")
    for node in eight:
        with ape.reverts(masked.duties.NotVeiled):
            masked.duties.reportVeiled(node, sender=stranger)


def test_report_veiled_leaves_the_other_clusters_final(veiled, eight, stranger):
    arena, _ = veiled
    arena.pass_to("Propose")
    model = arena.aggregate(eight)
    arena.federation.propose(model, 0, sender=arena.lead(eight))
    arena.settle(model, eight)
    assert arena.phase == "Final"
    assert len(arena.counted(eight)) == M


def test_report_veiled_of_a_round_that_was_void_before_reverts(make_masked, eight, stranger):
    """Too few clusters were left: nobody was asked to unmask, so nobody owes it."""
    arena = make_masked(quorumBps=6_250)  # five nodes, so both clusters
    arena.open()
    arena.commit(*eight)
    arena.reveal(*(n for n in eight if arena.seat(n) > 1))
    arena.pass_to("Void")
    arena.pass_time(1_000)
    for node in eight:
        with ape.reverts(arena.duties.NotVeiled, error_inputs={"node": node.address}):
            arena.duties.reportVeiled(node, sender=stranger)


# ---------------------------------------------------------------------- void clusters


def taint_round(arena, nodes, saboteur):
    """A whole round in which one desk masks wrongly, published."""
    arena.open()
    arena.garbage = (saboteur.address,)
    arena.commit(*nodes)
    arena.reveal(*nodes)
    arena.pass_to("Unmask")
    arena.unmask(*nodes)
    arena.pass_to("Propose")
    model = arena.aggregate(nodes)
    arena.federation.propose(model, arena.claims(nodes), sender=arena.lead(nodes))
    arena.pass_phase()
    arena.federation.publish(model, sender=arena.founder)


def test_report_void_counts_all_survivors_of_the_cluster_once_an_epoch(masked, eight, stranger):
    for round_ in range(2):
        taint_round(masked, eight, eight[0])
        hit = [n for n in eight if masked.seat(n) // M == masked.seat(eight[0]) // M]
        for node in eight:
            if node in hit and round_ == 0:
                receipt = masked.duties.reportVoid(node, sender=stranger)
                assert receipt.events.filter(masked.duties.VoidReported, node=node.address, voids=1, suspended=False)
            else:
                with ape.reverts(masked.duties.NotVoid, error_inputs={"node": node.address}):
                    masked.duties.reportVoid(node, sender=stranger)
    assert all(masked.bond(n) == BOND for n in eight), "nobody knows who it was"
    assert [int(masked.duties.recordOf(n).voids) for n in eight] == [int(n in hit) for n in eight]


def test_report_void_in_a_row_suspends(make_masked, eight, stranger):
    """Epochs of one round: the saboteur is in each void cluster, the others now and then."""
    arena = make_masked(epochRounds=1)
    clean = set()
    for epoch in range(4):
        taint_round(arena, eight, eight[0])
        for node in eight:
            if arena.seat(node) // M == arena.seat(eight[0]) // M:
                arena.duties.reportVoid(node, sender=stranger)
                assert (arena.status(node) == "Leaving") == (epoch == 3 and node not in clean)
            else:
                clean.add(node)
    assert arena.status(eight[0]) == "Leaving"
    assert int(arena.duties.recordOf(eight[0]).voids) == 0


def test_report_void_before_publication_reverts(masked, eight, stranger):
    masked.open()
    masked.garbage = (eight[0].address,)
    masked.commit(*eight)
    masked.reveal(*eight)
    masked.pass_to("Unmask")
    masked.unmask(*eight)
    masked.pass_to("Propose")
    masked.federation.propose(masked.aggregate(eight), masked.claims(eight), sender=masked.lead(eight))
    with ape.reverts(masked.duties.NotVoid):
        masked.duties.reportVoid(eight[0], sender=stranger)
