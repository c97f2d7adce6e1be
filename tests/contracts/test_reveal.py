"""reveal: opens exactly what was committed, once, in its window."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PHASES

from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.vector import content_id


def phases(actual, needed="Reveal"):
    return {"actual": PHASES.index(actual), "needed": PHASES.index(needed)}


def opening(arena, node):
    return [content_id(arena.update(node)), bytes(32), arena.salt(node), NO_PLEDGE]


def test_reveal_committed_succeeds(revealing, nodes):
    (receipt,) = revealing.reveal(nodes[0])
    content, annex, salt, _ = opening(revealing, nodes[0])
    (event,) = receipt.events.filter(revealing.federation.Revealed, round=1, node=nodes[0].address)
    assert (event.contentId, event.annex, event.salt, event.pledge) == (content, annex, salt, NO_PLEDGE)
    assert int(revealing.federation.ballotOf(nodes[0]).state) == 2
    assert int(revealing.federation.clock().revealed) == 1


def test_reveal_twice_reverts(revealing, nodes):
    revealing.reveal(nodes[0])
    with ape.reverts(revealing.federation.AlreadyRevealed, error_inputs={"node": nodes[0].address}):
        revealing.reveal(nodes[0])
    assert int(revealing.federation.clock().revealed) == 1


@pytest.mark.parametrize("part", range(3))
def test_reveal_of_something_else_reverts(revealing, nodes, part):
    wrong = opening(revealing, nodes[0])
    wrong[part] = b"\1" * 32
    with ape.reverts(revealing.federation.CommitmentMismatch, error_inputs={"node": nodes[0].address}):
        revealing.federation.reveal(*wrong, sender=nodes[0])


def test_reveal_of_anothers_opening_reverts(revealing, nodes):
    revealing.reveal(nodes[1])
    with ape.reverts(revealing.federation.CommitmentMismatch):
        revealing.federation.reveal(*opening(revealing, nodes[1]), sender=nodes[0])


def test_reveal_without_a_commit_reverts(joined, nodes, stranger):
    joined.open()
    joined.commit(*nodes[:5])
    joined.pass_to("Reveal")
    for node in (nodes[5], stranger):
        with ape.reverts(joined.federation.NothingToReveal, error_inputs={"node": node.address}):
            joined.federation.reveal(*opening(joined, node), sender=node)


def test_reveal_of_the_last_round_again_reverts(joined, nodes):
    """Without a new commit there is nothing to open; with the old commitment replayed, the opening does not fit."""
    joined.open()
    old = {n: joined.commitment(n) for n in nodes}
    joined.commit(*nodes)
    joined.reveal(*nodes)
    joined.pass_to("Void")
    joined.open()
    joined.federation.commit(old[nodes[0]], sender=nodes[0])
    joined.commit(*nodes[1:5])
    joined.pass_to("Reveal")
    with ape.reverts(joined.federation.CommitmentMismatch, error_inputs={"node": nodes[0].address}):
        joined.reveal(nodes[0])
    with ape.reverts(joined.federation.NothingToReveal, error_inputs={"node": nodes[5].address}):
        joined.reveal(nodes[5])


def test_reveal_while_committing_reverts(joined, nodes):
    joined.open()
    joined.commit(*nodes[:5])
    with ape.reverts(joined.federation.WrongPhase, error_inputs=phases("Commit")):
        joined.federation.reveal(*opening(joined, nodes[0]), sender=nodes[0])


@pytest.mark.parametrize("ended_by", ["act", "time"])
def test_reveal_inside_the_finality_gap_reverts(make_arena, nodes, ended_by):
    """A commit may still be undone by a reorganisation: what it hides must not be shown yet."""
    arena = make_arena(finality=100, unbonding=4_000)
    arena.join(*nodes[:2])
    arena.open()
    arena.commit(*nodes[: 2 if ended_by == "act" else 1])
    if ended_by == "time":
        arena.pass_phase()
    with ape.reverts(arena.federation.WrongPhase, error_inputs=phases("Settle")):
        arena.federation.reveal(*opening(arena, nodes[0]), sender=nodes[0])
    arena.pass_settling()
    arena.reveal(nodes[0])


def test_reveal_late_reverts(revealing, nodes):
    revealing.reveal(*nodes[:3])
    revealing.pass_phase()
    with ape.reverts(revealing.federation.WrongPhase):
        revealing.federation.reveal(*opening(revealing, nodes[3]), sender=nodes[3])
    revealing.pass_to("Propose")
    with ape.reverts(revealing.federation.WrongPhase, error_inputs=phases("Propose")):
        revealing.federation.reveal(*opening(revealing, nodes[3]), sender=nodes[3])


def test_reveal_of_all_committed_ends_the_phase_succeeds(joined, nodes):
    """Five of six committed: the fifth reveal is the last that can come."""
    joined.open()
    joined.commit(*nodes[:5])
    joined.pass_to("Reveal")
    joined.reveal(*nodes[:4])
    assert joined.phase == "Reveal"
    (last,) = joined.reveal(nodes[4])
    clock = joined.federation.clock()
    assert PHASES[int(clock.stage)] == "Availability"
    assert int(clock.since) == last.timestamp + int(clock.finality)


def test_reveal_quorum_and_time_end_the_phase_succeeds(make_arena, nodes):
    arena = make_arena(finality=100, unbonding=4_000)
    arena.join(*nodes)
    arena.open()
    arena.commit(*nodes)
    arena.reveal(*nodes[:3])
    arena.pass_phase()
    assert arena.phase == "Settle"
    arena.pass_settling()
    assert arena.phase == "Availability"
