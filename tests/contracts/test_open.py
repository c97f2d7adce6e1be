"""open: the schedule, the epochs, the selected and their quorum, and what happens after a void round."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PARAMS


def test_open_first_round_succeeds(joined, nodes, stranger):
    receipt = joined.federation.open(sender=stranger)
    clock = joined.federation.clock()
    assert (joined.phase, int(clock.number), int(clock.epochStart)) == ("Draw", 1, 1)
    assert (int(clock.selected), int(clock.quorum), int(clock.seed)) == (6, 3, 0)
    (event,) = receipt.events.filter(joined.federation.RoundOpened)
    assert int(event.seedBlock) == receipt.block_number + PARAMS["seedDelay"]
    assert (int(event.selected), int(event.members)) == (6, 6)


def test_open_without_members_reverts(arena, stranger):
    with ape.reverts(arena.federation.NotEnoughMembers, error_inputs={"members": 0, "needed": 1}):
        arena.federation.open(sender=stranger)


def test_open_with_too_few_members_reverts(make_arena, nodes):
    """The first to join cannot rule alone."""
    arena = make_arena(minMembers=3)
    arena.join(*nodes[:2])
    with ape.reverts(arena.federation.NotEnoughMembers, error_inputs={"members": 2, "needed": 3}):
        arena.federation.open(sender=nodes[0])
    arena.join(nodes[2])
    arena.federation.open(sender=nodes[0])
    assert int(arena.federation.clock().selected) == 3


def test_open_when_the_last_member_leaves_reverts(arena, nodes):
    arena.join(nodes[0])
    arena.open()
    arena.federation.exit(sender=nodes[0])
    arena.pass_to("Void")
    arena.pass_to_opening()
    with ape.reverts(arena.federation.NotEnoughMembers):
        arena.federation.open(sender=arena.founder)
    arena.federation.settleExits(1, sender=arena.founder)
    assert arena.status(nodes[0]) == "None"


def test_open_before_the_schedule_reverts(make_arena, nodes):
    arena = make_arena(interval=10_000)
    arena.join(*nodes)
    arena.run_round(nodes)
    opens_at = int(arena.federation.nextOpening())
    assert opens_at == int(arena.federation.proposal().openedAt) + 10_000
    with ape.reverts(arena.federation.TooEarly, error_inputs={"opensAt": opens_at}):
        arena.federation.open(sender=arena.founder)
    assert arena.open() == 2


def test_open_before_publication_reverts(joined, nodes):
    model = joined.propose(nodes)
    joined.pass_time(10_000)
    with ape.reverts(joined.federation.WrongPhase, error_inputs={"actual": 7, "needed": 7}):
        joined.federation.open(sender=joined.founder)
    joined.federation.publish(model, sender=joined.founder)
    assert joined.open() == 2


def test_open_after_too_few_commits_succeeds(joined, nodes):
    joined.open()
    joined.commit(*nodes[:2])
    joined.pass_phase()
    assert joined.phase == "Void"
    with ape.reverts(joined.federation.WrongPhase):
        joined.reveal(nodes[0])
    assert joined.open() == 2
    assert int(joined.registry.current().version) == 1
    assert bytes(joined.registry.modelOf(1)) == joined.genesis


def test_open_after_too_few_reveals_succeeds(joined, nodes):
    joined.open()
    joined.commit(*nodes)
    joined.reveal(*nodes[:2])
    joined.pass_phase()
    assert joined.phase == "Void"
    assert joined.open() == 2
    assert int(joined.registry.current().version) == 1


def test_open_after_no_proposal_succeeds(joined, nodes):
    joined.open()
    joined.commit(*nodes)
    joined.reveal(*nodes)
    joined.pass_to("Propose")
    joined.pass_phase()
    assert joined.phase == "Void"
    with ape.reverts(joined.federation.WrongPhase):
        joined.federation.propose(joined.model(), 0, sender=nodes[0])
    joined.run_round(nodes)
    assert int(joined.registry.versionAt(2).round) == 2


@pytest.mark.parametrize(
    ("members", "seats", "bps", "selected", "quorum"),
    [
        (6, 6, 5_000, 6, 3),
        (5, 6, 5_000, 5, 3),
        (5, 128, 6_667, 5, 4),
        (6, 4, 5_001, 4, 3),
        (6, 6, 10_000, 6, 6),
        (6, 6, 1, 6, 1),
        (1, 6, 5_000, 1, 1),
    ],
)
def test_open_quorum_of_the_selected_rounds_up_succeeds(make_arena, nodes, members, seats, bps, selected, quorum):
    arena = make_arena(seats=seats, quorumBps=bps)
    arena.join(*nodes[:members])
    arena.federation.open(sender=arena.founder)
    clock = arena.federation.clock()
    assert (int(clock.selected), int(clock.quorum)) == (selected, quorum)


def test_open_epoch_freezes_members_and_seats_succeeds(arena, nodes):
    """Four rounds to an epoch: the joiner waits for the fifth, and the seats stay until then."""
    arena.join(*nodes[:5])
    arena.open()
    seats = [int(arena.federation.seatOf(n)) for n in nodes[:5]]
    assert sorted(seats) == list(range(5))
    arena.join(nodes[5])
    for number in (2, 3, 4):
        arena.pass_to("Void")
        assert arena.open() == number
        assert [int(arena.federation.seatOf(n)) for n in nodes[:5]] == seats
        assert arena.status(nodes[5]) == "Joining"
        assert int(arena.federation.seatOf(nodes[5])) == 255
    arena.pass_to("Void")
    assert arena.open() == 5
    assert int(arena.federation.clock().epochStart) == 5
    assert arena.status(nodes[5]) == "Active"
    assert sorted(int(arena.federation.seatOf(n)) for n in nodes) == list(range(6))


def test_open_exit_redraws_within_the_epoch_succeeds(arena, nodes):
    """The waiting joiner comes in with the new seats: a list with a gap cannot stay frozen."""
    arena.join(*nodes[:5])
    arena.run_round(nodes[:5])
    arena.join(nodes[5])
    arena.federation.exit(sender=nodes[0])
    arena.open()
    assert int(arena.federation.clock().epochStart) == 2
    assert sorted(int(arena.federation.seatOf(n)) for n in nodes[1:]) == list(range(5))
    assert int(arena.federation.seatOf(nodes[0])) == 255
    with ape.reverts(arena.federation.NotSelected):
        arena.commit(nodes[0])
    arena.commit(*nodes[1:])
    assert [int(arena.federation.ballotOf(n).seat) for n in nodes[1:]] == [
        int(arena.federation.seatOf(n)) for n in nodes[1:]
    ]
