"""A model carried across expiries: what a round starts from and is judged by, days after the last version."""

from __future__ import annotations

from datetime import UTC, datetime

import ape
import numpy as np
import pytest
from tests.contracts.arena import BOND, MARKETS, PILLARS

from fedvol.protocol import listing, surface
from fedvol.protocol.vector import content_id, pack_model, unpack_model

DAY = 86_400
LAYOUT = (len(MARKETS), PILLARS, surface.PILLAR_WEIGHTS, surface.STATE_WEIGHTS)


def next_friday(now: int) -> int:
    """Its noon; the expiry of that day is over then."""
    date = datetime.fromtimestamp(now, UTC)
    return now - now % DAY + ((4 - date.weekday()) % 7 or 7) * DAY + DAY // 2


@pytest.fixture
def priced(make_arena, trio):
    """A federation with a surface that three desks have joined, on a Thursday noon; its genesis is of Wednesday."""
    ape.chain.mine(timestamp=next_friday(ape.chain.pending_timestamp) + 5 * DAY)
    arena = make_arena(pillars=PILLARS, clamp=1 << 18)
    ape.chain.mine(timestamp=ape.chain.pending_timestamp + DAY)
    arena.join(*trio)
    return arena


def carried(arena, before, after):
    """The twin's, of the registry's newest version."""
    version = int(arena.registry.current().version)
    weights = unpack_model(bytes(arena.registry.modelOf(version)), arena.weights)
    return listing.carry(weights, *LAYOUT, before, after)


def distinct(arena, shift=0):
    """A model of which no two weights are the same, near the genesis."""
    return pack_model(unpack_model(arena.genesis, arena.weights) + 1000 * np.arange(arena.weights) + shift)


def publish(arena, trio, model):
    arena.propose(trio, model)
    arena.pass_phase()
    arena.federation.publish(model, sender=arena.founder)


def test_carried_model_is_the_twin_s_succeeds(priced, trio):
    """Past a daily expiry, two, a Friday, a month's end, a year."""
    publish(priced, trio, distinct(priced))
    as_of = int(priced.registry.current().asOf)
    changed = set()
    for seconds in (0, 1, DAY // 2, DAY, 2 * DAY, 3 * DAY, 8 * DAY, 40 * DAY, 400 * DAY):
        model = bytes(priced.registry.carried(as_of + seconds))
        assert model == pack_model(carried(priced, as_of, as_of + seconds))
        changed.add(model)
    assert len(changed) >= 7
    assert bytes(priced.registry.carried(as_of - 1)) == distinct(priced)
    assert bytes(priced.registry.carried(0)) == distinct(priced)


def test_version_is_as_of_its_opening_succeeds(priced, trio):
    publish(priced, trio, distinct(priced))
    current, record = priced.registry.current(), priced.registry.versionAt(2)
    opened_at = int(priced.federation.proposal().openedAt)
    assert int(current.asOf) == int(record.asOf) == opened_at < int(current.publishedAt) == int(record.publishedAt)
    assert priced.engine.currentVersion() == 2
    assert list(priced.engine.expiries()) == listing.expiries(opened_at, PILLARS)


def test_model_without_pillars_is_carried_as_it_is_succeeds(arena, nodes):
    arena.join(*nodes)
    model = arena.run_round(nodes)
    assert bytes(arena.registry.carried(ape.chain.pending_timestamp + 500 * DAY)) == model


def test_propose_is_judged_against_the_carried_model_succeeds(priced, trio):
    """The clamp counts from what the round starts from: not from the version as it was."""
    publish(priced, trio, distinct(priced))
    as_of = int(priced.registry.current().asOf)
    ape.chain.mine(timestamp=next_friday(ape.chain.pending_timestamp) + DAY)
    priced.reveal_all(trio)
    priced.pass_to("Propose")
    opened_at = int(priced.federation.proposal().openedAt)
    start, bound = carried(priced, as_of, opened_at), 1 << 18
    for index in np.flatnonzero(start != unpack_model(distinct(priced), priced.weights))[[0, -1]]:
        wrong = start.copy()
        wrong[index] += bound + 1
        with ape.reverts(priced.federation.MoveTooLarge, error_inputs={"index": int(index)}):
            priced.federation.propose(pack_model(wrong), 0, sender=priced.lead(trio))
    priced.federation.propose(pack_model(start + bound), 0, sender=priced.lead(trio))


def test_propose_of_what_was_not_carried_reverts(make_arena, trio):
    """With a small clamp, the version as it was is too far from itself carried."""
    ape.chain.mine(timestamp=next_friday(ape.chain.pending_timestamp) + 5 * DAY)
    arena = make_arena(pillars=PILLARS, clamp=1 << 18)
    arena.join(*trio)
    publish(arena, trio, distinct(arena))
    params = {key: arena.federation.params()[key] for key in arena.federation.params().__dict__} | {"clamp": 100}
    arena.federation.scheduleParams(params, sender=arena.founder)
    ape.chain.mine(timestamp=next_friday(ape.chain.pending_timestamp) + DAY)
    arena.reveal_all(trio)
    arena.pass_to("Propose")
    with ape.reverts(arena.federation.MoveTooLarge):
        arena.federation.propose(distinct(arena), 0, sender=arena.lead(trio))


def roll(arena, trio):
    """A version, days that roll expiries, and a round up to where its bytes can be demanded."""
    publish(arena, trio, distinct(arena))
    ape.chain.mine(timestamp=next_friday(ape.chain.pending_timestamp) + DAY)
    arena.reveal_all(trio)


def test_settle_across_a_roll_of_expiries_succeeds(priced, trio, stranger):
    roll(priced, trio)
    right = priced.aggregate(trio)
    priced.propose(trio, right)
    with ape.reverts(priced.settlement.ProposalHolds):
        priced.dispute(right, trio, by=stranger)
    priced.settle(right, trio, by=stranger)
    assert priced.registry.versionAt(3).contentId == content_id(right)
    assert priced.engine.currentVersion() == 3


def test_dispute_across_a_roll_of_expiries_succeeds(priced, trio, stranger):
    """What would have been right for the version as it was is wrong."""
    roll(priced, trio)
    start, still = priced.model(0), distinct(priced)
    moves = unpack_model(priced.aggregate(trio), priced.weights) - unpack_model(start, priced.weights)
    wrong = pack_model(unpack_model(still, priced.weights) + moves)
    first = next(i for i in range(0, len(wrong), 32) if start[i : i + 32] != still[i : i + 32]) // 32
    liar = priced.lead(trio)
    priced.propose(trio, wrong)
    with ape.reverts(priced.settlement.ProposalWrong, error_inputs={"word": first}):
        priced.settle(wrong, trio, by=stranger)
    receipt = priced.dispute(wrong, trio, by=stranger)
    assert receipt.events.filter(priced.settlement.Disproved, proposer=liar.address, word=first, taken=BOND)
