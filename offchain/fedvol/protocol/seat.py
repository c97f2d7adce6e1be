"""Seats by lot: a seeded swap-or-not shuffle. Twin of `contracts/libraries/SeatLib.sol`.

Source: V. T. Hoang, B. Morris, P. Rogaway, "An Enciphering Scheme Based on a Card Shuffle", CRYPTO 2012. 48 steps: the
bias at 6 members is below 1e-11. Each position is computed alone; no list is permuted.
"""

from __future__ import annotations

from eth_utils import keccak

STEPS = 48
NO_SEAT = 255


def seat(seed: int, index: int, count: int) -> int:
    """Where the member at `index` of `count` sits: a permutation of 0..count-1 for each seed.

    Args:
        seed: 64 bits.
        index: position in the frozen member list, below `count`.
        count: 1..2^32 - 1.
    """
    base = seed << 96
    pivots = 0
    for step in range(STEPS):
        if step % 8 == 0:  # one hash gives the pivots of eight steps, 32 bits each
            pivots = int.from_bytes(keccak((base | 1 << 95 | step).to_bytes(32, "big")), "big")
        pivot = (pivots & 0xFFFFFFFF) % count
        pivots >>= 32
        partner = (pivot + count - index) % count
        coin = keccak((base | step << 32 | max(index, partner)).to_bytes(32, "big"))
        if coin[-1] & 1:
            index = partner
    return index
