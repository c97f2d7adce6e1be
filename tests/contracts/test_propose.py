"""propose: a member's model, in turn, of the right length, and no further from the last than a round can go."""

from __future__ import annotations

import ape
import numpy as np
import pytest
from tests.contracts.arena import BOND, PARAMS, PHASES, WEIGHTS

from fedvol.protocol.rule import largest_move
from fedvol.protocol.vector import content_id, pack_model


def to_propose(arena, nodes):
    arena.open()
    arena.commit(*nodes)
    arena.reveal(*nodes)
    arena.pass_to("Propose")
    return arena


@pytest.fixture
def proposing(joined, nodes):
    return to_propose(joined, nodes)


def test_propose_lead_succeeds(proposing, nodes):
    model, lead = proposing.model(), proposing.lead(nodes)
    receipt = proposing.federation.propose(model, 0, sender=lead)
    (event,) = receipt.events.filter(proposing.federation.Proposed, round=1, proposer=lead.address)
    assert (bytes(event.model), event.contentId) == (model, content_id(model))
    proposal = proposing.federation.proposal()
    assert (proposal.proposer, proposal.contentId) == (lead.address, content_id(model))
    now_, ends_at = proposing.federation.phase()
    assert (PHASES[int(now_)], int(ends_at)) == ("Challenge", receipt.timestamp + PARAMS["challengeWindow"])


def test_propose_in_the_lead_window_by_another_reverts(proposing, nodes):
    lead = proposing.lead(nodes)
    other = next(n for n in nodes if n != lead)
    waits = sum(PARAMS[k] for k in ("demandWindow", "finality", "leadWindow"))
    turn = {
        "seat": int(proposing.federation.leadSeat()),
        "until": int(proposing.federation.clock().since) + waits,
    }
    with ape.reverts(proposing.federation.NotYourTurn, error_inputs=turn):
        proposing.federation.propose(proposing.model(), 0, sender=other)
    proposing.pass_time(PARAMS["leadWindow"])
    proposing.federation.propose(proposing.model(), 0, sender=other)


def test_propose_after_time_ended_revealing_succeeds(joined, nodes):
    """Where time ended both phases, the lead window counts from the end of the second gap."""
    joined.open()
    joined.commit(*nodes[:5])
    joined.pass_to("Reveal")
    joined.reveal(*nodes[:3])
    joined.pass_to("Propose")
    lead = joined.lead(nodes)
    other = next(n for n in nodes if n != lead)
    with ape.reverts(joined.federation.NotYourTurn):
        joined.federation.propose(joined.model(), 0, sender=other)
    joined.federation.propose(joined.model(), 0, sender=lead)


def test_propose_lead_window_of_zero_is_open_to_all_succeeds(make_arena, nodes):
    arena = make_arena(leadWindow=0)
    arena.join(*nodes)
    to_propose(arena, nodes)
    lead = arena.lead(nodes)
    arena.federation.propose(arena.model(), 0, sender=next(n for n in nodes if n != lead))


def test_propose_twice_reverts(proposing, nodes):
    lead = proposing.lead(nodes)
    proposing.federation.propose(proposing.model(), 0, sender=lead)
    with ape.reverts(proposing.federation.WrongPhase, error_inputs={"actual": 6, "needed": 5}):
        proposing.federation.propose(proposing.model(2), 0, sender=lead)


def test_propose_inside_the_finality_gap_reverts(make_arena, nodes):
    arena = make_arena(finality=100, unbonding=4_000)
    arena.join(nodes[0])
    arena.open()
    arena.commit(nodes[0])
    arena.reveal(nodes[0])
    with ape.reverts(arena.federation.WrongPhase, error_inputs={"actual": 9, "needed": 5}):
        arena.federation.propose(arena.model(), 0, sender=nodes[0])


def test_propose_late_reverts(proposing, nodes):
    proposing.pass_phase()
    with ape.reverts(proposing.federation.WrongPhase, error_inputs={"actual": 8, "needed": 5}):
        proposing.federation.propose(proposing.model(), 0, sender=nodes[0])


def test_propose_stranger_reverts(proposing, stranger):
    proposing.pass_time(PARAMS["leadWindow"])
    with ape.reverts(proposing.federation.NotMember, error_inputs={"node": stranger.address}):
        proposing.federation.propose(proposing.model(), 0, sender=stranger)


def test_propose_joiner_reverts(proposing, stranger):
    proposing.join(stranger)
    proposing.pass_time(PARAMS["leadWindow"])
    with ape.reverts(proposing.federation.NotMember, error_inputs={"node": stranger.address}):
        proposing.federation.propose(proposing.model(), 0, sender=stranger)


def test_propose_bond_too_small_reverts(joined, nodes):
    """A slashed member must fill up its bond before it proposes."""
    joined.open()
    joined.commit(*nodes)
    joined.reveal(*nodes[1:])
    joined.pass_to("Propose")
    joined.duties.reportSilence(nodes[0], sender=nodes[1])
    joined.pass_time(PARAMS["leadWindow"])
    missing = PARAMS["silencePenalty"]
    with ape.reverts(joined.federation.BondTooSmall, error_inputs={"given": BOND - missing, "needed": BOND}):
        joined.federation.propose(joined.model(), 0, sender=nodes[0])
    joined.fund(nodes[0], missing)
    joined.vault.fund(nodes[0], missing, sender=nodes[0])
    joined.federation.propose(joined.model(), 0, sender=nodes[0])


@pytest.mark.parametrize("length", [0, 96, 127, 129, 160])
def test_propose_wrong_length_reverts(proposing, nodes, length):
    inputs = {"given": length, "expected": 128}
    with ape.reverts(proposing.federation.WrongModelLength, error_inputs=inputs):
        proposing.federation.propose(bytes(length), 0, sender=proposing.lead(nodes))


@pytest.mark.parametrize(("clamp", "step"), [(1 << 20, 1 << 16), (1 << 20, 3 << 15), (3, 1 << 15)])
@pytest.mark.parametrize("index", [0, 31])
def test_propose_move_beyond_the_bound_reverts(make_arena, nodes, clamp, step, index):
    arena = make_arena(clamp=clamp, step=step)
    arena.join(nodes[0])
    to_propose(arena, nodes[:1])
    weights = np.zeros(WEIGHTS, dtype=np.int64)
    bound = largest_move(clamp, step)
    for sign in (1, -1):
        weights[index] = sign * (bound + 1)
        with ape.reverts(arena.federation.MoveTooLarge, error_inputs={"index": index}):
            arena.federation.propose(pack_model(weights), 0, sender=nodes[0])
    weights[:] = bound
    weights[index] = -bound
    arena.federation.propose(pack_model(weights), 0, sender=nodes[0])


def test_propose_bound_counts_from_the_current_version_succeeds(make_arena, nodes):
    arena = make_arena(clamp=10)
    arena.join(nodes[0])
    for number in (1, 2):
        to_propose(arena, nodes[:1])
        arena.federation.propose(pack_model(np.full(WEIGHTS, 10 * number)), 0, sender=nodes[0])
        arena.pass_phase()
        arena.federation.publish(pack_model(np.full(WEIGHTS, 10 * number)), sender=nodes[0])
    assert int(arena.registry.current().version) == 3
