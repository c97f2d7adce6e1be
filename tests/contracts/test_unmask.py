"""unmask: survivors open their self keys and what they share with the missing, for one set of survivors only."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import BOND
from tests.contracts.masked import M

from fedvol.protocol.vector import content_id


def call(arena, node, **changes):
    missing = changes.get("missing", arena.roll.missing)
    name = changes.get("contentId", content_id(arena.vector(node)))
    keys = changes["keys"] if "keys" in changes else arena.opening(node)
    return arena.federation.unmask(missing, name, changes.get("salt", arena.salt(node)), keys, sender=node)


@pytest.fixture
def unmasking(masked, eight):
    """Everybody has revealed."""
    masked.to_unmask(eight)
    return masked


@pytest.fixture
def one_silent(masked, eight):
    """The desk at seat 1 has committed and not revealed."""
    masked.open()
    silent = next(n for n in eight if masked.seat(n) == 1)
    masked.commit(*eight)
    masked.reveal(*(n for n in eight if n != silent))
    masked.pass_to("Unmask")
    return masked, silent


def at(arena, nodes, seat):
    return next(n for n in nodes if arena.seat(n) == seat)


def test_unmask_of_all_survivors_ends_the_phase_succeeds(unmasking, eight):
    first, *rest, last = eight
    receipt = call(unmasking, first)
    event = receipt.events.filter(unmasking.federation.Unmasked, round=1, node=first.address)[0]
    assert [bytes(k) for k in event.keys] == unmasking.opening(first)
    assert len(event.keys) == 2, "nobody is missing: the self key, and the hash of the ring"
    unmasking.unmask(*rest)
    assert unmasking.phase == "Unmask"
    unmasking.unmask(last)
    assert unmasking.phase == "Settle"
    unmasking.pass_settling()
    assert unmasking.phase == "Propose"


def test_unmask_shows_pair_keys_with_the_missing_only_succeeds(one_silent, eight):
    arena, silent = one_silent
    node = at(arena, eight, 0)
    self_key, pairs, _ = arena.keys(node)
    shown = [bytes(k) for k in call(arena, node).events.filter(arena.federation.Unmasked)[0].keys]
    assert shown[0] == self_key.to_bytes(32, "big")
    assert shown[2] == pairs[1].to_bytes(32, "big")
    assert not {k.to_bytes(32, "big") for k in (pairs[2], pairs[3])} & set(shown)
    other = at(arena, eight, M)
    assert len(call(arena, other).events.filter(arena.federation.Unmasked)[0].keys) == 2, "its cluster is whole"
    with ape.reverts(arena.federation.NothingToUnmask, error_inputs={"node": silent.address}):
        call(arena, silent, keys=arena.opening(node))


def test_unmask_for_another_set_of_survivors_reverts(unmasking, eight):
    """What was signed before a reorganisation opens nothing after it."""
    missing = unmasking.roll.missing
    for other in (missing | 1, missing & ~(1 << 9), 0):
        with ape.reverts(unmasking.federation.SurvivorsChanged, error_inputs={"missing": missing}):
            call(unmasking, eight[0], missing=other)


def test_unmask_twice_reverts(unmasking, eight):
    call(unmasking, eight[0])
    with ape.reverts(unmasking.federation.AlreadyUnmasked, error_inputs={"node": eight[0].address}):
        call(unmasking, eight[0])


def test_unmask_with_another_key_reverts(one_silent, eight):
    arena, _ = one_silent
    node = at(arena, eight, 0)
    right = arena.opening(node)
    for i in range(len(right)):
        wrong = [*right[:i], bytes(31) + b"\x01", *right[i + 1 :]]
        with ape.reverts(arena.federation.CommitmentMismatch, error_inputs={"node": node.address}):
            call(arena, node, keys=wrong)
    with ape.reverts(arena.federation.CommitmentMismatch):
        call(arena, node, salt=bytes(32))
    with ape.reverts(arena.federation.CommitmentMismatch):
        call(arena, node, contentId=bytes(32))


@pytest.mark.parametrize("count", [0, 1, 3, M + 1])
def test_unmask_with_a_wrong_number_of_keys_reverts(unmasking, eight, count):
    with ape.reverts():
        call(unmasking, eight[0], keys=[bytes(32)] * count)


def test_unmask_by_a_stranger_reverts(unmasking, eight, stranger):
    with ape.reverts(unmasking.federation.NothingToUnmask, error_inputs={"node": stranger.address}):
        unmasking.federation.unmask(
            unmasking.roll.missing, bytes(32), bytes(32), unmasking.opening(eight[0]), sender=stranger
        )


def test_unmask_outside_its_phase_reverts(masked, eight):
    masked.open()
    masked.commit(*eight)
    masked.reveal(*eight)
    masked.pass_to("Availability")
    with ape.reverts(masked.federation.WrongPhase):
        call(masked, eight[0])
    masked.pass_to("Unmask")
    masked.unmask(*eight[1:])
    masked.pass_phase()
    with ape.reverts(masked.federation.WrongPhase):
        call(masked, eight[0])


def test_unmask_in_a_plain_round_reverts(revealed, trio):
    revealed.pass_to("Propose")
    with ape.reverts(revealed.federation.WrongPhase):
        revealed.federation.unmask(0, bytes(32), bytes(32), [bytes(32)] * 2, sender=trio[0])


def test_unmask_in_a_cluster_of_too_few_reverts(masked, eight):
    """Nobody in it shows anything: its sum would be of two."""
    masked.open()
    masked.commit(*eight)
    silent = [n for n in eight if masked.seat(n) in (0, 1)]
    masked.reveal(*(n for n in eight if n not in silent))
    masked.pass_to("Unmask")
    for seat in (2, 3):
        with ape.reverts(masked.federation.ClusterVoid, error_inputs={"cluster": 0}):
            call(masked, at(masked, eight, seat))
    masked.unmask(*(n for n in eight if masked.seat(n) >= M))
    masked.pass_to("Propose")
    assert [k for k in masked.roll.clusters if masked.roll.is_open(k)] == [1]


def test_unmask_of_whose_bytes_were_demanded_in_vain_reverts(masked, eight, stranger):
    masked.reveal_all(eight)
    withheld, node = at(masked, eight, 2), at(masked, eight, 3)
    masked.demand(withheld, by=stranger)
    masked.pass_to("Unmask")
    with ape.reverts(masked.federation.NothingToUnmask):
        call(masked, withheld, keys=masked.opening(node))
    keys = call(masked, node).events.filter(masked.federation.Unmasked)[0].keys
    assert int.from_bytes(bytes(keys[3]), "big") == masked.keys(node)[1][2]


def test_unmask_after_an_answer_counts_the_answered_succeeds(masked, eight, stranger):
    masked.reveal_all(eight)
    node = at(masked, eight, 2)
    masked.demand(node, by=stranger)
    assert masked.roll.is_missing(2)
    masked.pass_time(50)
    masked.answer(node, by=stranger)
    assert masked.phase == "Settle"
    masked.pass_to("Unmask")
    masked.unmask(*eight)
    masked.pass_to("Propose")


def test_round_without_enough_open_clusters_is_void(make_masked, eight):
    """The quorum counts clusters: of two, all where it is more than one half."""
    arena = make_masked(quorumBps=5_001)
    arena.to_unmask(eight)
    arena.unmask(*eight[1:])
    arena.pass_phase()
    assert arena.phase == "Void"


def test_round_goes_on_with_the_clusters_that_are_left(unmasking, eight):
    unmasking.unmask(*(n for n in eight if unmasking.seat(n) < M))
    unmasking.pass_to("Propose")
    assert [unmasking.roll.is_open(k) for k in unmasking.roll.clusters] == [True, False]


def test_join_without_a_key_reverts(masked, stranger):
    masked.fund(stranger)
    with ape.reverts(masked.federation.NoKey, error_inputs={"node": stranger.address}):
        masked.federation.join(BOND, sender=stranger)
    masked.register(stranger)
    masked.federation.join(BOND, sender=stranger)


def test_join_of_a_closed_federation_is_by_invitation(make_arena, nodes):
    arena = make_arena(closed=True)
    arena.fund(nodes[0])
    with ape.reverts(arena.federation.AccessControlUnauthorizedAccount):
        arena.federation.join(BOND, sender=nodes[0])
    with ape.reverts(arena.federation.AccessControlUnauthorizedAccount):
        arena.federation.grantRole(arena.federation.MEMBER(), nodes[0], sender=nodes[0])
    arena.federation.grantRole(arena.federation.MEMBER(), nodes[0], sender=arena.guardian)
    arena.federation.join(BOND, sender=nodes[0])
    assert arena.status(nodes[0]) == "Joining"
