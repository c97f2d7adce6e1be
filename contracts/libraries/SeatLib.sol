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
            let word := shl(96, seed) // the seed from bit 96, the step from bit 32, a position
            for { let s := 0 } lt(s, STEPS) { s := add(s, 8) } {
                // One hash gives the pivots of eight steps, 32 bits each.
                mstore(0, or(shl(96, seed), or(shl(95, 1), s)))
                let pivots := keccak256(0, 32)
                // Two steps a turn, for gas; and no branches, so that every seat costs the same.
                for { let end := add(word, shl(35, 1)) } lt(word, end) { word := add(word, shl(33, 1)) } {
                    let swap := xor(index, mod(add(and(pivots, 0xffffffff), sub(count, index)), count))
                    mstore(0, or(word, xor(index, mul(swap, gt(xor(index, swap), index)))))
                    index := xor(index, mul(swap, and(keccak256(0, 32), 1)))
                    swap := xor(index, mod(add(and(shr(32, pivots), 0xffffffff), sub(count, index)), count))
                    mstore(0, or(add(word, shl(32, 1)), xor(index, mul(swap, gt(xor(index, swap), index)))))
                    index := xor(index, mul(swap, and(keccak256(0, 32), 1)))
                    pivots := shr(64, pivots)
                }
            }
        }
        return index;
    }
}
