// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title How numbers travel. Twin: offchain/fedvol/protocol/vector.py
/// @dev Update word: 8 lanes of 31 bits, lane 0 in bits 217..247, each u + 2^23. Model word: 8 int32, weight 0 in bits 224..255.
library VectorLib {
    uint256 internal constant LANES = 8;
    uint256 internal constant LANE_BITS = 31;
    uint256 internal constant LANE_MASK = 0x7fffffff;
    int256 internal constant BIAS = 1 << 23;
    uint256 internal constant MAX_DIMENSION = 2048;

    /// @notice Bytes of a vector of `dimension` numbers: ⌈d/8⌉ words.
    function byteLength(uint256 dimension) internal pure returns (uint256) {
        unchecked {
            return ((dimension + LANES - 1) / LANES) * 32;
        }
    }

    /// @notice Bytes of what a node reveals: the moves, then, if weighted, as many words of weights.
    function vectorLength(uint256 dimension, bool weighted) internal pure returns (uint256) {
        return byteLength(dimension) << (weighted ? 1 : 0);
    }

    function isPadded(bytes calldata model, uint256 dimension) internal pure returns (bool) {
        uint256 over = (32 * (LANES - dimension % LANES)) % 256;
        return uint256(bytes32(model[model.length - 32:])) & ((1 << over) - 1) == 0;
    }

    /// @notice Lane `lane` of an update word less its bias, in [-2^23, 2^31 - 2^23): a hostile sender may put anything there.
    function updateLane(uint256 word, uint256 lane) internal pure returns (int256) {
        unchecked {
            return int256((word >> (LANE_BITS * (LANES - 1 - lane))) & LANE_MASK) - BIAS;
        }
    }

    /// @notice Weight `lane` of a model word.
    function modelLane(uint256 word, uint256 lane) internal pure returns (int256) {
        unchecked {
            return int32(uint32(word >> (32 * (LANES - 1 - lane))));
        }
    }

    /// @notice Index of the first weight that moves by more than `bound` from `old` to `new_`; type(uint256).max if none.
    /// @dev Both are whole words of the same length.
    function firstMoveAbove(bytes memory old, bytes calldata new_, uint256 bound) internal pure returns (uint256) {
        unchecked {
            for (uint256 i; i < new_.length; i += 32) {
                uint256 a;
                uint256 b;
                assembly ("memory-safe") {
                    a := mload(add(add(old, 32), i))
                    b := calldataload(add(new_.offset, i))
                }
                if (a == b) continue;
                for (uint256 lane; lane < LANES; ++lane) {
                    int256 move = modelLane(b, lane) - modelLane(a, lane);
                    if (uint256(move < 0 ? -move : move) > bound) return i / 4 + lane;
                }
            }
            return type(uint256).max;
        }
    }
}
