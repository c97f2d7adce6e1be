// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {VectorLib} from "./VectorLib.sol";

/// @title Combining rules: the round's updates and the last model in, the new model out. Twin: offchain/fedvol/protocol/rule.py
/// @dev All integers; the only rounding is the stated truncation.
library RuleLib {
    /// @notice Mean of one word: for each lane, m + trunc(q · Σ clamp(uᵢ, ±B) / (n · 2^16)), truncated once, toward zero, and
    /// saturated to int32.
    /// @param modelWord 8 int32 weights. @param updateWords One word of each of the n ≥ 1 updates.
    /// @param bound B, 0 < B < 2^23. @param step q.
    function mean(uint256 modelWord, uint256[] memory updateWords, uint256 bound, uint256 step)
        internal
        pure
        returns (uint256 next)
    {
        unchecked {
            int256 b = int256(bound);
            int256 divisor = int256(updateWords.length << 16);
            for (uint256 lane; lane < VectorLib.LANES; ++lane) {
                int256 sum;
                for (uint256 i; i < updateWords.length; ++i) {
                    int256 u = VectorLib.updateLane(updateWords[i], lane);
                    sum += u > b ? b : u < -b ? -b : u;
                }
                int256 weight = VectorLib.modelLane(modelWord, lane) + (sum * int256(step)) / divisor;
                if (weight > type(int32).max) weight = type(int32).max;
                if (weight < type(int32).min) weight = type(int32).min;
                next = (next << 32) | uint32(int32(weight));
            }
        }
    }

    /// @notice Largest |move| of a weight that the mean can make: ⌊B·q / 2^16⌋.
    function largestMove(uint256 bound, uint256 step) internal pure returns (uint256) {
        return (bound * step) >> 16;
    }
}
