// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Poseidon2} from "./Poseidon2.sol";
import {VectorLib} from "./VectorLib.sol";

/// @notice A cluster whose survivors have all unmasked.
/// @param vectors Where in calldata each survivor's bytes begin. @param keys Of every mask that the sum still wears; those that were
/// subtracted with bit 255 set. @param blocks Which block of masks `masks` holds, plus one: of the moves, and of the weights.
/// @param masks Three words of each.
struct Cluster {
    uint256[] vectors;
    uint256[] keys;
    uint256[2] blocks;
    uint256[6] masks;
}

/// @title The sum of a cluster, word by word. Twin: offchain/fedvol/protocol/cluster.py
/// @dev y_u = pack(u) + M(b_u) + Σ_{v>u} M(k_uv) - Σ_{v<u} M(k_uv) in the BN254 scalar field. Among survivors the pair masks cancel; what
/// is left are self masks, and pair masks with the missing.
library ClusterLib {
    uint256 internal constant SUBTRACTED = 1 << 255;
    uint256 private constant FIELD = Poseidon2.FIELD;
    uint256 private constant BLOCK = 3;

    /// @notice Room for `survivors` vectors, and the keys of as many that `missing` others would have shared.
    function make(uint256 survivors, uint256 missing) internal pure returns (Cluster memory k) {
        k.vectors = new uint256[](survivors);
        k.keys = new uint256[](survivors * (1 + missing));
    }

    /// @notice Word `word` of the sum: a packed sum of as many updates as survive, where everybody masked as agreed; else anything.
    /// @param table `Poseidon2.constants()`. @param half 0 among the moves, 1 among the weights: each keeps its last block.
    function sum(Cluster memory k, uint256 table, uint256 word, uint256 half) internal pure returns (uint256 total) {
        unchecked {
            if (k.blocks[half] != word / BLOCK + 1) _fill(k, table, word / BLOCK, half);
            for (uint256 i; i < k.vectors.length; ++i) {
                uint256 from = k.vectors[i] + 32 * word;
                uint256 y;
                assembly ("memory-safe") {
                    y := calldataload(from)
                }
                total = addmod(total, y, FIELD);
            }
            total = addmod(total, FIELD - k.masks[BLOCK * half + word % BLOCK], FIELD);
        }
    }

    function _fill(Cluster memory k, uint256 table, uint256 block_, uint256 half) private pure {
        unchecked {
            uint256[3] memory left;
            for (uint256 i; i < k.keys.length; ++i) {
                uint256 key = k.keys[i];
                // Who has no key shares no mask.
                if (key << 1 == 0) continue;
                _add(left, table, key, block_);
            }
            for (uint256 i; i < BLOCK; ++i) k.masks[BLOCK * half + i] = left[i];
            k.blocks[half] = block_ + 1;
        }
    }

    /// @dev By itself: among more variables the permutation would lose its place on the stack.
    function _add(uint256[3] memory left, uint256 table, uint256 key, uint256 block_) private pure {
        unchecked {
            (uint256 a, uint256 b, uint256 c) = Poseidon2.mask(table, key & ~SUBTRACTED, block_);
            if (key & SUBTRACTED != 0) (a, b, c) = (FIELD - a, FIELD - b, FIELD - c);
            left[0] = addmod(left[0], a, FIELD);
            left[1] = addmod(left[1], b, FIELD);
            left[2] = addmod(left[2], c, FIELD);
        }
    }

    /// @notice Whether a word can be a sum of packed words: they leave the top byte free.
    function isSum(uint256 word) internal pure returns (bool) {
        return word >> 248 == 0;
    }

    /// @notice The sum of `survivors` update words as one update word: each lane less all biases but one, not below zero. Which
    /// number stands in it the rule bounds.
    function asMoves(uint256 word, uint256 survivors) internal pure returns (uint256 out) {
        unchecked {
            uint256 less = (survivors - 1) * uint256(VectorLib.BIAS);
            for (uint256 shift; shift < 248; shift += VectorLib.LANE_BITS) {
                uint256 lane = (word >> shift) & VectorLib.LANE_MASK;
                out |= (lane > less ? lane - less : 0) << shift;
            }
        }
    }

    /// @notice Likewise for weights, each at most what the survivors may claim together.
    function asWeights(uint256 word, uint256 survivors, uint256 cap) internal pure returns (uint256 out) {
        unchecked {
            uint256 bias = uint256(VectorLib.BIAS);
            uint256 less = survivors * bias;
            for (uint256 shift; shift < 248; shift += VectorLib.LANE_BITS) {
                uint256 lane = (word >> shift) & VectorLib.LANE_MASK;
                lane = lane > less ? lane - less : 0;
                out |= (bias + (lane < survivors * cap ? lane : survivors * cap)) << shift;
            }
        }
    }

    /// @notice `survivors` in every lane: each counts once.
    function evenWeights(uint256 survivors) internal pure returns (uint256 out) {
        unchecked {
            for (uint256 shift; shift < 248; shift += VectorLib.LANE_BITS) {
                out |= (uint256(VectorLib.BIAS) + survivors) << shift;
            }
        }
    }
}
