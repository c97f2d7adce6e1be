// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {SortLib} from "./SortLib.sol";
import {VectorLib} from "./VectorLib.sol";

enum RuleKind {
    Mean,
    Median,
    TrimmedMean
}

/// @notice How the updates of a round become one move. Ranges are `IFederationTypes.Params`' duty.
/// @param kind Which average. @param weighted Updates carry a weight for each move.
/// @param trimBps Share of the weight cut from each end by the trimmed mean, 1/10,000; < 5,000.
/// @param clamp B: largest |move| that counts, 0 < B < 2^23. @param step q: the average is multiplied by q / 65,536.
/// @param weightCap H: largest weight that counts, 0 < H < 2^23; H · B >> s < 2^23.
/// @param weightShift s: a weighted update carries weight · move / 2^s; ≤ 23.
struct Rule {
    RuleKind kind;
    bool weighted;
    uint16 trimBps;
    uint24 clamp;
    uint32 step;
    uint24 weightCap;
    uint8 weightShift;
}

/// @title Combining rules: the round's updates and the last model in, the new model out. Twin: offchain/fedvol/protocol/rule.py
/// @dev Eight weights at a time, in the lanes of one word. All integers; a move is truncated once, toward zero.
library RuleLib {
    uint256 private constant BIAS = 0x800000;
    uint256 private constant LANE_MASK = 0x7fffffff;

    /// @notice 8 weights of the new model.
    /// @dev `moves` and `weights` are overwritten.
    /// @param modelWord The last model's 8 weights. @param moves One update word of each of the 1..128 nodes, as it came.
    /// @param weights Their weights, in the same order; empty where the rule is not weighted.
    /// @param lanes Weights that the model has here, 1..8; the rest of the word comes out 0.
    function next(
        Rule memory rule,
        uint256 modelWord,
        uint256[] memory moves,
        uint256[] memory weights,
        uint256 lanes
    ) internal pure returns (uint256 word) {
        if (!rule.weighted) return _plain(rule, modelWord, moves, lanes);
        _clamp(weights, BIAS, rule.weightCap);
        word = _weighted(rule, modelWord, moves, weights, lanes, 0);
        if (lanes > 1) word |= _weighted(rule, modelWord, moves, weights, lanes, 1);
    }

    /// @notice Largest |move| of a weight that any rule can make: ⌊B·q / 2^16⌋.
    function largestMove(uint256 bound, uint256 step) internal pure returns (uint256) {
        return (bound * step) >> 16;
    }

    /// @dev Every plain rule is the mean of the sorted moves less as many at each end: none, a share, all but one or two.
    function _plain(Rule memory rule, uint256 modelWord, uint256[] memory moves, uint256 lanes)
        private
        pure
        returns (uint256 word)
    {
        unchecked {
            uint256 bound = rule.clamp;
            _clamp(moves, BIAS - bound, 2 * bound);
            uint256 kept = moves.length;
            uint256 cut;
            if (rule.kind != RuleKind.Mean) {
                SortLib.sort(moves, 31);
                cut = rule.kind == RuleKind.Median ? (kept - 1) / 2 : (kept * rule.trimBps) / 10_000;
                kept -= 2 * cut;
            }
            uint256 sums = _sum(moves, cut, kept);
            for (uint256 lane; lane < lanes; ++lane) {
                int256 sum = int256((sums >> (217 - 31 * lane)) & LANE_MASK) - int256(kept * bound);
                word |= _moved(modelWord, lane, sum * int256(uint256(rule.step)), kept << 16);
            }
        }
    }

    /// @dev Every second lane, from `lane` on.
    function _weighted(
        Rule memory rule,
        uint256 modelWord,
        uint256[] memory moves,
        uint256[] memory weights,
        uint256 lanes,
        uint256 lane
    ) private pure returns (uint256 word) {
        unchecked {
            uint256 free;
            assembly ("memory-safe") {
                free := mload(64)
            }
            uint256[] memory pairs = _pairs(rule, moves, weights, lane == 0 ? 31 : 0);
            uint256 sums = _sum(pairs, 0, pairs.length);
            if (rule.kind != RuleKind.Mean) {
                _divide(pairs, rule.weightShift);
                SortLib.sort(pairs, 62);
            }
            for (; lane < lanes; lane += 2) {
                uint256 shift = 31 * (6 - (lane & 6));
                (int256 sum, uint256 divisor) = _average(rule, pairs, shift, sums >> shift);
                word |= _moved(modelWord, lane, sum * int256(uint256(rule.step)), divisor);
            }
            assembly ("memory-safe") {
                mstore(64, free)
            }
        }
    }

    /// @dev The sum of moves, and what to divide it by.
    function _average(Rule memory rule, uint256[] memory pairs, uint256 shift, uint256 sums)
        private
        pure
        returns (int256 sum, uint256 divisor)
    {
        unchecked {
            uint256 total = sums & LANE_MASK;
            if (total == 0) return (0, 1);
            if (rule.kind == RuleKind.Median) return (_median(pairs, shift, total), 1 << 17);
            if (rule.kind == RuleKind.Mean) {
                sum = int256((sums >> 31) & LANE_MASK) - int256(pairs.length * BIAS);
                return (sum << rule.weightShift, total << 16);
            }
            uint256 cut = (total * rule.trimBps) / 10_000;
            return (_keptSum(pairs, shift, cut, total - cut), (total - 2 * cut) << 16);
        }
    }

    /// @dev max(0, min(span, v - low)) in each lane of 31 bits, whatever it holds.
    function _clamp(uint256[] memory words, uint256 low, uint256 span) private pure {
        uint256 ones = SortLib.ones(31);
        low *= ones;
        span *= ones;
        uint256 usual = ones * 0xffffff; // what an honest sender may fill
        uint256 guard = ones << 30;
        assembly ("memory-safe") {
            let end := add(add(words, 32), shl(5, mload(words)))
            for { let i := add(words, 32) } lt(i, end) { i := add(i, 32) } {
                let word := mload(i)
                if and(word, not(usual)) {
                    // Above 2^24 - 1, which is above every clamp already.
                    let over := and(shr(7, add(and(shr(24, word), mul(ones, 127)), mul(ones, 127))), ones)
                    word := or(and(word, usual), sub(shl(24, over), over))
                }
                let x := sub(or(word, guard), low)
                let t := and(x, guard)
                word := and(x, sub(t, shr(30, t)))
                x := sub(or(word, guard), span)
                t := and(x, guard)
                mstore(i, sub(word, and(x, sub(t, shr(30, t)))))
            }
        }
    }

    /// @dev Σ in each lane, of `many` words from the `first` on.
    function _sum(uint256[] memory words, uint256 first, uint256 many) private pure returns (uint256 sums) {
        assembly ("memory-safe") {
            let i := add(add(words, 32), shl(5, first))
            for { let end := add(i, shl(5, many)) } lt(i, end) { i := add(i, 32) } { sums := add(sums, mload(i)) }
        }
    }

    /// @dev Every second lane of 31 bits, those `shift` above the lowest, as lanes of 62 bits: (p' + 2^23) · 2^31 + h'.
    /// @param weights Clamped already.
    function _pairs(Rule memory rule, uint256[] memory moves, uint256[] memory weights, uint256 shift)
        private
        pure
        returns (uint256[] memory pairs)
    {
        pairs = new uint256[](moves.length);
        uint256 bound = rule.clamp;
        uint256 down = rule.weightShift;
        uint256 ones = SortLib.ones(62);
        assembly ("memory-safe") {
            let n := shl(5, mload(moves))
            let half := mul(ones, LANE_MASK)
            let bias := mul(ones, BIAS)
            let guard := shl(61, ones)
            for { let i := 32 } iszero(gt(i, n)) { i := add(i, 32) } {
                let weight := and(shr(shift, mload(add(weights, i))), half)
                let most := and(shr(down, mul(weight, bound)), half) // c
                let move := add(and(shr(shift, mload(add(moves, i))), half), most) // p + 2^23 + c
                let x := sub(or(move, guard), bias)
                let t := and(x, guard)
                move := and(x, sub(t, shr(61, t))) // max(p + c, 0)
                x := sub(or(move, guard), shl(1, most))
                t := and(x, guard)
                move := sub(move, and(x, sub(t, shr(61, t)))) // min(that, 2c)
                mstore(add(pairs, i), or(shl(31, sub(add(move, bias), most)), weight))
            }
        }
    }

    /// @dev Weight times move to move, in place: u' = trunc(p' · 2^s / h'), 0 where h' is.
    function _divide(uint256[] memory pairs, uint256 shift) private pure {
        assembly ("memory-safe") {
            let end := add(add(pairs, 32), shl(5, mload(pairs)))
            for { let i := add(pairs, 32) } lt(i, end) { i := add(i, 32) } {
                let word := mload(i)
                // The difference is added where the product stands: what remains is not negative, so no lane borrows.
                let move := sub(and(shr(31, word), LANE_MASK), BIAS)
                word := add(word, shl(31, sub(sdiv(shl(shift, move), and(word, LANE_MASK)), move)))
                move := sub(and(shr(93, word), LANE_MASK), BIAS)
                word := add(word, shl(93, sub(sdiv(shl(shift, move), and(shr(62, word), LANE_MASK)), move)))
                move := sub(and(shr(155, word), LANE_MASK), BIAS)
                word := add(word, shl(155, sub(sdiv(shl(shift, move), and(shr(124, word), LANE_MASK)), move)))
                move := sub(and(shr(217, word), LANE_MASK), BIAS)
                word := add(word, shl(217, sub(sdiv(shl(shift, move), and(shr(186, word), LANE_MASK)), move)))
                mstore(i, word)
            }
        }
    }

    /// @dev Lower plus upper median: the first moves at which half of the weight is reached, and passed. They differ where it is met.
    function _median(uint256[] memory pairs, uint256 shift, uint256 total) private pure returns (int256 twice) {
        assembly ("memory-safe") {
            let seen := 0
            let low := 0
            for { let i := add(pairs, 32) } 1 { i := add(i, 32) } {
                let pair := shr(shift, mload(i))
                seen := add(seen, shl(1, and(pair, LANE_MASK)))
                if lt(seen, total) { continue }
                pair := and(shr(31, pair), LANE_MASK)
                if iszero(low) { low := add(pair, 1) } // 1 more than it is: 0 stands for none
                if gt(seen, total) {
                    twice := sub(add(sub(low, 1), pair), shl(1, BIAS))
                    break
                }
            }
        }
    }

    /// @dev Σ kᵢuᵢ, where kᵢ is how much of the i-th node's stretch of the weight axis lies in [from, to].
    function _keptSum(uint256[] memory pairs, uint256 shift, uint256 from, uint256 to) private pure returns (int256 sum) {
        assembly ("memory-safe") {
            let seen := 0
            let kept := from
            for { let i := add(pairs, 32) } lt(kept, to) { i := add(i, 32) } {
                let pair := shr(shift, mload(i))
                seen := add(seen, and(pair, LANE_MASK))
                if gt(seen, kept) {
                    let last := seen
                    if gt(last, to) { last := to }
                    sum := add(sum, mul(sub(last, kept), sub(and(shr(31, pair), LANE_MASK), BIAS)))
                    kept := last
                }
            }
        }
    }

    /// @dev Lane `lane` of the new word, in its place: the weight plus trunc(sum / divisor), saturated to int32.
    function _moved(uint256 modelWord, uint256 lane, int256 sum, uint256 divisor) private pure returns (uint256) {
        unchecked {
            int256 weight = VectorLib.modelLane(modelWord, lane) + sum / int256(divisor);
            if (weight > type(int32).max) weight = type(int32).max;
            if (weight < type(int32).min) weight = type(int32).min;
            return uint256(uint32(int32(weight))) << (224 - 32 * lane);
        }
    }
}
