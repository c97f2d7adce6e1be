// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Seats by lot: a seeded swap-or-not shuffle. Twin: offchain/fedvol/protocol/seat.py
/// @dev Source: V. T. Hoang, B. Morris, P. Rogaway, "An Enciphering Scheme Based on a Card Shuffle", CRYPTO 2012. 48 steps: the
/// bias at 6 members is below 1e-11. Each position is computed alone; no list is permuted.
library SeatLib {
    uint256 internal constant STEPS = 48;

    /// @notice Where the member at `index` of `count` sits. A permutation of 0..count-1 for each seed.
    /// @param index < count. @param count 1..2^32 - 1.
    function seat(uint64 seed, uint256 index, uint256 count) internal pure returns (uint256) {
        assembly ("memory-safe") {
            let base := shl(96, seed)
            let pivots := 0
            for { let s := 0 } lt(s, STEPS) { s := add(s, 1) } {
                // One hash gives the pivots of eight steps, 32 bits each.
                if iszero(and(s, 7)) {
                    mstore(0, or(base, or(shl(95, 1), s)))
                    pivots := keccak256(0, 32)
                }
                let pivot := mod(and(pivots, 0xffffffff), count)
                pivots := shr(32, pivots)
                let partner := mod(sub(add(pivot, count), index), count)
                // No branches: every seat costs the same gas.
                let swap := xor(index, partner)
                mstore(0, or(base, or(shl(32, s), xor(index, mul(swap, gt(partner, index))))))
                index := xor(index, mul(swap, and(keccak256(0, 32), 1)))
            }
        }
        return index;
    }
}
