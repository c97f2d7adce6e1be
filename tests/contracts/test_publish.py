"""publish: the proposal's bytes, after the challenge window, once."""

from __future__ import annotations

import ape
import pytest
from tests.contracts.arena import PHASES

from fedvol.protocol.vector import content_id


def final(actual):
    return {"actual": PHASES.index(actual), "needed": PHASES.index("Final")}


@pytest.fixture
def proposed(joined, nodes):
    """A round with a proposal, and its bytes."""
    return joined, joined.propose(nodes)


def test_publish_after_the_window_by_anybody_succeeds(proposed, stranger):
    arena, model = proposed
    arena.pass_phase()
    receipt = arena.federation.publish(model, sender=stranger)
    assert receipt.events.filter(arena.federation.RoundFinal, round=1, version=2, contentId=content_id(model))
    assert int(arena.registry.current().version) == 2
    record = arena.registry.versionAt(2)
    assert (record.contentId, int(record.round)) == (content_id(model), 1)
    assert bytes(arena.registry.modelOf(2)) == model


def test_publish_long_after_succeeds(proposed, stranger):
    arena, model = proposed
    arena.pass_time(10_000_000)
    arena.federation.publish(model, sender=stranger)
    assert arena.phase == "Final"


def test_publish_inside_the_challenge_window_reverts(proposed):
    arena, model = proposed
    with ape.reverts(arena.federation.WrongPhase, error_inputs=final("Challenge")):
        arena.federation.publish(model, sender=arena.founder)
    arena.pass_time(int(arena.federation.phase().endsAt) - arena.chain.pending_timestamp - 10)
    with ape.reverts(arena.federation.WrongPhase, error_inputs=final("Challenge")):
        arena.federation.publish(model, sender=arena.founder)
    assert int(arena.registry.current().version) == 1


def test_publish_other_bytes_reverts(proposed):
    arena, model = proposed
    arena.pass_phase()
    other = model[:-1] + b"\x7f"
    inputs = {"given": content_id(other), "proposed": content_id(model)}
    for wrong in (other, model + bytes(32), b""):
        inputs["given"] = content_id(wrong)
        with ape.reverts(arena.federation.ContentMismatch, error_inputs=inputs):
            arena.federation.publish(wrong, sender=arena.founder)


def test_publish_twice_reverts(proposed):
    arena, model = proposed
    arena.pass_phase()
    arena.federation.publish(model, sender=arena.founder)
    with ape.reverts(arena.federation.WrongPhase, error_inputs=final("Final")):
        arena.federation.publish(model, sender=arena.founder)
    assert int(arena.registry.current().version) == 2


def test_publish_of_the_last_round_in_a_void_one_reverts(proposed):
    """The old proposal is still in storage; a round that proposed nothing must not publish it again."""
    arena, model = proposed
    arena.pass_phase()
    arena.federation.publish(model, sender=arena.founder)
    arena.open()
    arena.pass_to("Void")
    with ape.reverts(arena.federation.WrongPhase, error_inputs=final("Void")):
        arena.federation.publish(model, sender=arena.founder)


def test_publish_without_a_round_reverts(joined):
    with ape.reverts(joined.federation.WrongPhase, error_inputs=final("Idle")):
        joined.federation.publish(joined.genesis, sender=joined.founder)
