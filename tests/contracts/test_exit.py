"""exit: queued while a member, at once while still joining; nobody escapes a round that runs."""

from __future__ import annotations

import ape

from tests.contracts.arena import BOND, PARAMS


def test_exit_while_joining_leaves_at_once_succeeds(arena, nodes):
    arena.join(*nodes)
    receipt = arena.federation.exit(sender=nodes[1])
    assert receipt.events.filter(arena.federation.Left, node=nodes[1].address)
    assert arena.status(nodes[1]) == "None"
    assert arena.members == [nodes[i].address for i in (0, 5, 2, 3, 4)]
    assert [int(arena.federation.memberOf(n).index) for n in arena.members] == [0, 1, 2, 3, 4]
    assert int(arena.vault.bondOf(nodes[1]).unlocksAt) == receipt.timestamp + PARAMS["unbonding"]


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


def test_exit_twice_reverts(arena, nodes):
    arena.join(*nodes)
    arena.open()
    arena.federation.exit(sender=nodes[0])
    with ape.reverts(arena.federation.NotMember, error_inputs={"node": nodes[0].address}):
        arena.federation.exit(sender=nodes[0])


def test_exit_while_a_round_runs_serves_it_out_succeeds(arena, nodes):
    arena.join(*nodes)
    arena.open()
    arena.federation.exit(sender=nodes[0])
    assert arena.status(nodes[0]) == "Leaving"
    arena.commit(*nodes)
    arena.reveal(*nodes)
    with ape.reverts(arena.vault.StillLocked, error_inputs={"unlocksAt": 0}):
        arena.vault.withdraw(nodes[0], sender=nodes[0])
    arena.pass_to("Void")
    arena.pass_to_opening()
    receipt = arena.federation.open(sender=arena.founder)
    assert arena.status(nodes[0]) == "None"
    assert nodes[0].address not in arena.members
    assert int(arena.federation.clock().epochStart) == 2, "a gap in the list means new seats"
    assert int(arena.vault.bondOf(nodes[0]).unlocksAt) == receipt.timestamp + PARAMS["unbonding"]


def test_exit_while_a_round_runs_stays_slashable_succeeds(arena, nodes):
    arena.join(*nodes)
    arena.open()
    arena.commit(*nodes)
    arena.federation.exit(sender=nodes[0])
    arena.reveal(*nodes[1:])
    arena.pass_to("Void")
    arena.federation.settleExits(8, sender=arena.founder)
    arena.federation.reportSilence(nodes[0], sender=nodes[1])
    assert int(arena.vault.bondOf(nodes[0]).amount) == BOND - PARAMS["silencePenalty"]
