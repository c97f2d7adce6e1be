"""draw: the seed is the hash of a block that nobody knew at opening."""

from __future__ import annotations

import ape

from fedvol.protocol.commitment import round_seed
from fedvol.protocol.seat import seat


def opened(arena, nodes):
    arena.join(*nodes)
    arena.federation.open(sender=arena.founder)
    return int(arena.federation.proposal().seedBlock)


def test_draw_seed_of_the_named_block_succeeds(arena, nodes, chain, stranger):
    named = opened(arena, nodes)
    arena.pass_blocks(3)
    receipt = arena.federation.draw(sender=stranger)
    seed = round_seed(chain.blocks[named].hash, arena.federation.address, 1)
    assert receipt.events.filter(arena.federation.RoundDrawn, seed=seed, epochStart=1)
    clock = arena.federation.clock()
    assert (int(clock.seed), int(clock.since)) == (seed, receipt.timestamp + 2)
    assert [int(arena.federation.seatOf(n)) for n in nodes] == [seat(seed, i, 6) for i in range(6)]
    assert int(arena.federation.leadSeat()) == seed % 6


def test_draw_before_the_named_block_is_known_reverts(make_arena, nodes):
    arena = make_arena(seedDelay=3)
    named = opened(arena, nodes)
    for _ in range(2):
        with ape.reverts(arena.federation.TooEarly, error_inputs={"opensAt": named + 1}):
            arena.federation.draw(sender=arena.founder)
    arena.pass_blocks(3)
    arena.federation.draw(sender=arena.founder)


def test_draw_twice_reverts(arena, nodes):
    arena.join(*nodes)
    arena.open()
    with ape.reverts(arena.federation.WrongPhase, error_inputs={"actual": 2, "needed": 1}):
        arena.federation.draw(sender=arena.founder)


def test_draw_without_a_round_reverts(arena):
    with ape.reverts(arena.federation.WrongPhase, error_inputs={"actual": 0, "needed": 1}):
        arena.federation.draw(sender=arena.founder)


def test_draw_within_256_blocks_succeeds(arena, nodes, chain):
    named = opened(arena, nodes)
    chain.mine(named + 255 - chain.blocks.height)
    arena.federation.draw(sender=arena.founder)
    assert arena.phase in ("Settle", "Commit")


def test_draw_too_late_names_another_block_succeeds(arena, nodes, chain):
    named = opened(arena, nodes)
    chain.mine(named + 256 - chain.blocks.height)
    receipt = arena.federation.draw(sender=arena.founder)
    assert receipt.events.filter(arena.federation.RoundRearmed, round=1, seedBlock=receipt.block_number + 1)
    assert arena.phase == "Draw"
    arena.pass_blocks(2)
    arena.federation.draw(sender=arena.founder)
    arena.pass_settling()
    assert arena.phase == "Commit"


def test_draw_keeps_the_epoch_seed_succeeds(arena, nodes):
    """A later round has a seed of its own for its commitments and its lead, and the epoch's for its seats."""
    arena.join(*nodes)
    arena.open()
    first = int(arena.federation.clock().seed)
    arena.pass_to("Void")
    arena.open()
    assert int(arena.federation.clock().seed) != first
    assert [int(arena.federation.seatOf(n)) for n in nodes] == [seat(first, i, 6) for i in range(6)]
