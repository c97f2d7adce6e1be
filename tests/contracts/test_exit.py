"""exit: queued while a member, at once while still joining; nobody escapes a round that runs."""

from __future__ import annotations

import ape
from tests.contracts.arena import BOND, PARAMS


def test_exit_while_joining_leaves_at_once_succeeds(joined, nodes):
    receipt = joined.federation.exit(sender=nodes[1])
    assert receipt.events.filter(joined.federation.Left, node=nodes[1].address)
    assert joined.status(nodes[1]) == "None"
    assert joined.members == [nodes[i].address for i in (0, 5, 2, 3, 4)]
    assert [int(joined.federation.memberOf(n).index) for n in joined.members] == [0, 1, 2, 3, 4]
    assert int(joined.vault.bondOf(nodes[1]).unlocksAt) == receipt.timestamp + PARAMS["unbonding"]


def test_exit_while_joining_keeps_the_seats_succeeds(arena, nodes):
    arena.join(*nodes[:4])
    arena.open()
    seats = [int(arena.federation.seatOf(n)) for n in nodes[:4]]
    arena.join(*nodes[4:])
    arena.federation.exit(sender=nodes[4])
    assert [int(arena.federation.seatOf(n)) for n in nodes[:4]] == seats
    assert tuple(arena.federation.memberCounts()) == (4, 1)


def test_exit_stranger_reverts(arena, stranger):
    with ape.reverts(arena.federation.NotMember, error_inputs={"node": stranger.address}):
        arena.federation.exit(sender=stranger)


def test_exit_twice_reverts(joined, nodes):
    joined.open()
    joined.federation.exit(sender=nodes[0])
    with ape.reverts(joined.federation.NotMember, error_inputs={"node": nodes[0].address}):
        joined.federation.exit(sender=nodes[0])


def test_exit_while_a_round_runs_serves_it_out_succeeds(joined, nodes):
    joined.open()
    joined.federation.exit(sender=nodes[0])
    assert joined.status(nodes[0]) == "Leaving"
    joined.commit(*nodes)
    joined.reveal(*nodes)
    with ape.reverts(joined.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        joined.vault.withdraw(nodes[0], sender=nodes[0])
    joined.pass_to("Void")
    joined.pass_to_opening()
    receipt = joined.federation.open(sender=joined.founder)
    assert joined.status(nodes[0]) == "None"
    assert nodes[0].address not in joined.members
    assert int(joined.federation.clock().epochStart) == 2, "a gap in the list means new seats"
    assert int(joined.vault.bondOf(nodes[0]).unlocksAt) == receipt.timestamp + PARAMS["unbonding"]


def test_exit_while_a_round_runs_stays_slashable_succeeds(joined, nodes):
    joined.open()
    joined.commit(*nodes)
    joined.federation.exit(sender=nodes[0])
    joined.reveal(*nodes[1:])
    joined.pass_to("Void")
    joined.federation.settleExits(8, sender=joined.founder)
    joined.duties.reportSilence(nodes[0], sender=nodes[1])
    assert int(joined.vault.bondOf(nodes[0]).amount) == BOND - PARAMS["silencePenalty"]
