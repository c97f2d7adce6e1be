"""commit: one for each selected node and round, and of no use to anybody else."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PHASES

from fedvol.protocol import commitment as twin
from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.vector import content_id


def phases(actual, needed="Commit"):
    return {"actual": PHASES.index(actual), "needed": PHASES.index(needed)}


def test_commit_selected_succeeds(joined, nodes):
    joined.open()
    value = joined.commitment(nodes[0])
    receipt = joined.federation.commit(value, sender=nodes[0])
    seat = int(joined.federation.seatOf(nodes[0]))
    assert receipt.events.filter(joined.federation.Committed, round=1, node=nodes[0].address, seat=seat)
    ballot = joined.federation.ballotOf(nodes[0])
    assert [int(x) for x in ballot] == [value, 1, seat, 1]
    assert int(joined.federation.clock().committed) == 1
    assert joined.phase == "Commit"


def test_commit_without_a_round_reverts(joined, nodes):
    with ape.reverts(joined.federation.WrongPhase, error_inputs=phases("Idle")):
        joined.federation.commit(1, sender=nodes[0])


def test_commit_before_the_draw_reverts(joined, nodes):
    joined.federation.open(sender=joined.founder)
    with ape.reverts(joined.federation.WrongPhase, error_inputs=phases("Draw")):
        joined.federation.commit(1, sender=nodes[0])


def test_commit_before_the_seed_has_settled_reverts(make_arena, nodes):
    arena = make_arena(finality=100, unbonding=4_000)
    arena.join(nodes[0])
    arena.federation.open(sender=arena.founder)
    arena.pass_blocks(2)
    arena.federation.draw(sender=arena.founder)
    with ape.reverts(arena.federation.WrongPhase, error_inputs=phases("Settle")):
        arena.federation.commit(1, sender=nodes[0])
    arena.pass_settling()
    arena.federation.commit(1, sender=nodes[0])


def test_commit_late_reverts(joined, nodes):
    joined.open()
    joined.commit(*nodes[:3])
    joined.pass_phase()
    with ape.reverts(joined.federation.WrongPhase):
        joined.commit(nodes[3])


def test_commit_in_revealing_reverts(joined, nodes):
    joined.open()
    joined.commit(*nodes[:3])
    joined.pass_to("Reveal")
    with ape.reverts(joined.federation.WrongPhase, error_inputs=phases("Reveal")):
        joined.commit(nodes[3])


def test_commit_twice_reverts(joined, nodes):
    joined.open()
    joined.commit(nodes[0])
    with ape.reverts(joined.federation.AlreadyCommitted, error_inputs={"node": nodes[0].address}):
        joined.federation.commit(7, sender=nodes[0])
    assert int(joined.federation.ballotOf(nodes[0]).commitment) == joined.commitment(nodes[0])


def test_commit_empty_reverts(joined, nodes):
    joined.open()
    with ape.reverts(joined.federation.EmptyCommitment):
        joined.federation.commit(0, sender=nodes[0])


def test_commit_stranger_reverts(joined, stranger):
    joined.open()
    with ape.reverts(joined.federation.NotSelected, error_inputs={"node": stranger.address}):
        joined.federation.commit(1, sender=stranger)


def test_commit_joiner_reverts(joined, stranger):
    joined.open()
    joined.join(stranger)
    with ape.reverts(joined.federation.NotSelected, error_inputs={"node": stranger.address}):
        joined.federation.commit(1, sender=stranger)


def test_commit_of_those_without_a_seat_reverts(make_arena, nodes):
    """Four seats for six members: two sit the epoch out, in the first round and in the ones after."""
    arena = make_arena(seats=4)
    arena.join(*nodes)
    for _ in range(2):
        arena.open()
        seats = {n: int(arena.federation.seatOf(n)) for n in nodes}
        assert sorted(seats.values()) == list(range(6))
        for node in (n for n in nodes if seats[n] >= 4):
            with ape.reverts(arena.federation.NotSelected, error_inputs={"node": node.address}):
                arena.commit(node)
        arena.commit(*(n for n in nodes if seats[n] < 4))
        stage = PHASES[int(arena.federation.clock().stage)]
        assert stage == "Reveal", "all four selected have committed"
        arena.pass_to("Void")


def test_commit_of_all_ends_the_phase_succeeds(joined, nodes):
    joined.open()
    joined.commit(*nodes[:5])
    assert joined.phase == "Commit", "one of the selected may still be on its way"
    (last,) = joined.commit(nodes[5])
    clock = joined.federation.clock()
    assert PHASES[int(clock.stage)] == "Reveal"
    assert int(clock.since) == last.timestamp + int(clock.finality)


def test_commit_quorum_and_time_end_the_phase_succeeds(make_arena, nodes):
    arena = make_arena(finality=100, unbonding=4_000)
    arena.join(*nodes)
    arena.open()
    arena.commit(*nodes[:3])
    arena.pass_phase()
    assert arena.phase == "Settle"
    arena.pass_settling()
    assert arena.phase == "Reveal"


def test_commit_copied_does_not_open_succeeds(joined, nodes):
    """A copier in front of its victim gains nothing: the hash binds the sender, and the victim is not blocked."""
    copier, victim = nodes[:2]
    joined.open()
    stolen = joined.commitment(victim)
    joined.federation.commit(stolen, sender=copier)
    joined.commit(*nodes[1:])
    joined.pass_settling()
    joined.reveal(victim)
    opening = (content_id(joined.update(victim)), bytes(32), joined.salt(victim), NO_PLEDGE)
    with ape.reverts(joined.federation.CommitmentMismatch, error_inputs={"node": copier.address}):
        joined.federation.reveal(*opening, sender=copier)


@pytest.mark.parametrize("changed", ["chain_id", "federation", "round", "seed"])
def test_commit_for_elsewhere_does_not_open_succeeds(joined, nodes, changed):
    """What a node signs off for another chain, federation, round or seed is worth nothing here."""
    joined.open()
    clock = joined.federation.clock()
    here = {
        "chain_id": joined.chain.chain_id,
        "federation": joined.federation.address,
        "round": int(clock.number),
        "seed": int(clock.seed),
    }
    other = joined.vault.address if changed == "federation" else here[changed] + 1
    node, data, salt = nodes[0], joined.update(nodes[0]), joined.salt(nodes[0])
    elsewhere = twin.RoundId(**{**here, changed: other})
    joined.federation.commit(twin.commitment(elsewhere, node.address, content_id(data), salt), sender=node)
    joined.commit(*nodes[1:])
    joined.pass_settling()
    with ape.reverts(joined.federation.CommitmentMismatch, error_inputs={"node": node.address}):
        joined.reveal(node)
