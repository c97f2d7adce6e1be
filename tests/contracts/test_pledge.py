"""pledge: what a node binds itself to before a round opens, by a reveal or aside."""

from __future__ import annotations

from hashlib import sha256

from fedvol.protocol.evidence import NO_PLEDGE
from fedvol.protocol.vector import content_id

FIRST, SECOND = (sha256(bytes([i])).digest() for i in range(2))


def pledges(arena, node):
    """Those made in even rounds, and in odd ones."""
    return [bytes(arena.federation.pledgeBefore(node, number)) for number in (1, 2)]


def reveal(arena, node, pledged):
    return arena.federation.reveal(content_id(arena.update(node)), bytes(32), arena.salt(node), pledged, sender=node)


def test_pledge_before_the_first_round_succeeds(joined, nodes):
    receipt = joined.federation.pledge(FIRST, sender=nodes[0])
    (event,) = receipt.events.filter(joined.federation.Pledged, round=0, node=nodes[0].address)
    assert bytes(event.pledge) == FIRST
    assert pledges(joined, nodes[0]) == [FIRST, NO_PLEDGE]
    assert pledges(joined, nodes[1]) == [NO_PLEDGE] * 2


def test_pledge_by_a_stranger_binds_nobody_else_succeeds(joined, nodes, stranger):
    joined.federation.pledge(FIRST, sender=stranger)
    assert pledges(joined, nodes[0]) == [NO_PLEDGE] * 2


def test_pledge_until_the_opening_may_be_replaced_succeeds(joined, nodes):
    joined.federation.pledge(FIRST, sender=nodes[0])
    joined.federation.pledge(SECOND, sender=nodes[0])
    assert pledges(joined, nodes[0]) == [SECOND, NO_PLEDGE]


def test_pledge_after_an_opening_leaves_what_binds_in_that_round_succeeds(joined, nodes):
    joined.federation.pledge(FIRST, sender=nodes[0])
    joined.pass_to_opening()
    joined.federation.open(sender=joined.founder)
    joined.federation.pledge(SECOND, sender=nodes[0])
    assert pledges(joined, nodes[0]) == [FIRST, SECOND]


def test_pledge_with_a_reveal_succeeds(revealing, nodes):
    receipt = reveal(revealing, nodes[0], FIRST)
    (event,) = receipt.events.filter(revealing.federation.Revealed, round=1, node=nodes[0].address)
    assert bytes(event.pledge) == FIRST
    assert pledges(revealing, nodes[0]) == [NO_PLEDGE, FIRST]


def test_pledge_of_nothing_with_a_reveal_leaves_what_stands_succeeds(revealing, nodes):
    revealing.federation.pledge(FIRST, sender=nodes[0])
    reveal(revealing, nodes[0], NO_PLEDGE)
    assert pledges(revealing, nodes[0]) == [NO_PLEDGE, FIRST]


def test_pledge_of_each_round_takes_the_place_of_the_one_two_rounds_before_succeeds(joined, nodes):
    made = [sha256(bytes([i])).digest() for i in range(4)]
    for number, pledged in enumerate(made):
        if number:
            joined.open()
            joined.commit(*nodes)
            joined.pass_settling()
            reveal(joined, nodes[0], pledged)
            joined.pass_to("Void")
            binds, here = (number - 1) % 2, number % 2
            assert (pledges(joined, nodes[0])[binds], pledges(joined, nodes[0])[here]) == (made[number - 1], pledged)
        else:
            joined.federation.pledge(pledged, sender=nodes[0])
