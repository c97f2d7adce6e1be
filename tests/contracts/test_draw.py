"""draw: the seed is the hash of a block that nobody knew at opening."""

from __future__ import annotations

import ape

from fedvol.protocol.commitment import round_seed
from fedvol.protocol.seat import seat


def opened(arena):
    arena.federation.open(sender=arena.founder)
    return int(arena.federation.proposal().seedBlock)


def test_draw_seed_of_the_named_block_succeeds(joined, nodes, chain, stranger):
    named = opened(joined)
    joined.pass_blocks(3)
    receipt = joined.federation.draw(sender=stranger)
    seed = round_seed(chain.blocks[named].hash, joined.federation.address, 1)
    assert receipt.events.filter(joined.federation.RoundDrawn, seed=seed, epochStart=1)
    clock = joined.federation.clock()
    assert (int(clock.seed), int(clock.since)) == (seed, receipt.timestamp + 2)
    assert [int(joined.federation.seatOf(n)) for n in nodes] == [seat(seed, i, 6) for i in range(6)]
    assert int(joined.federation.leadSeat()) == seed % 6


def test_draw_before_the_named_block_is_known_reverts(make_arena, nodes):
    arena = make_arena(seedDelay=3)
    arena.join(*nodes)
    named = opened(arena)
    for _ in range(2):
        with ape.reverts(arena.federation.TooEarly, error_inputs={"opensAt": named + 1}):
            arena.federation.draw(sender=arena.founder)
    arena.pass_blocks(3)
    arena.federation.draw(sender=arena.founder)


def test_draw_twice_reverts(joined, nodes):
    joined.open()
    with ape.reverts(joined.federation.WrongPhase, error_inputs={"actual": 2, "needed": 1}):
        joined.federation.draw(sender=joined.founder)


def test_draw_without_a_round_reverts(arena):
    with ape.reverts(arena.federation.WrongPhase, error_inputs={"actual": 0, "needed": 1}):
        arena.federation.draw(sender=arena.founder)


def test_draw_within_256_blocks_succeeds(joined, nodes, chain):
    named = opened(joined)
    chain.mine(named + 255 - chain.blocks.height)
    joined.federation.draw(sender=joined.founder)
    assert joined.phase in ("Settle", "Commit")


def test_draw_too_late_names_another_block_succeeds(joined, nodes, chain):
    named = opened(joined)
    chain.mine(named + 256 - chain.blocks.height)
    receipt = joined.federation.draw(sender=joined.founder)
    assert receipt.events.filter(joined.federation.RoundRearmed, round=1, seedBlock=receipt.block_number + 1)
    assert joined.phase == "Draw"
    joined.pass_blocks(2)
    joined.federation.draw(sender=joined.founder)
    joined.pass_settling()
    assert joined.phase == "Commit"


def test_draw_keeps_the_epoch_seed_succeeds(joined, nodes):
    """A later round has a seed of its own for its commitments and its lead, and the epoch's for its seats."""
    joined.open()
    first = int(joined.federation.clock().seed)
    joined.pass_to("Void")
    joined.open()
    assert int(joined.federation.clock().seed) != first
    assert [int(joined.federation.seatOf(n)) for n in nodes] == [seat(first, i, 6) for i in range(6)]
