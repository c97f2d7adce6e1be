// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {CommitLib} from "../libraries/CommitLib.sol";
import {Rule, RuleLib} from "../libraries/RuleLib.sol";
import {SeatLib} from "../libraries/SeatLib.sol";
import {SortLib} from "../libraries/SortLib.sol";
import {VectorLib} from "../libraries/VectorLib.sol";

/// @title The internal libraries, callable, many vectors at a time: for the twin tests.
contract ProtocolHarness {
    function seats(uint64 seed, uint256 count, uint256 first, uint256 many) external pure returns (uint256[] memory out) {
        out = new uint256[](many);
        for (uint256 i; i < many; ++i) out[i] = SeatLib.seat(seed, first + i, count);
    }

    function commitment(uint24 round, uint64 seed, address node, bytes32 contentId, bytes32 annex, bytes32 salt)
        external
        view
        returns (uint208)
    {
        return CommitLib.commitment(round, seed, node, contentId, annex, salt);
    }

    function roundSeed(bytes32 blockHash, uint24 round) external view returns (uint64) {
        return CommitLib.roundSeed(blockHash, round);
    }

    function sha(bytes calldata data) external pure returns (bytes32) {
        return sha256(data);
    }

    function byteLength(uint256 dimension) external pure returns (uint256) {
        return VectorLib.byteLength(dimension);
    }

    function unpack(uint256[] calldata updateWords, uint256[] calldata modelWords)
        external
        pure
        returns (int256[] memory updates, int256[] memory weights)
    {
        updates = new int256[](updateWords.length * 8);
        for (uint256 i; i < updates.length; ++i) updates[i] = VectorLib.updateLane(updateWords[i / 8], i % 8);
        weights = new int256[](modelWords.length * 8);
        for (uint256 i; i < weights.length; ++i) weights[i] = VectorLib.modelLane(modelWords[i / 8], i % 8);
    }

    /// @param moves   One row for each node, one column for each word of the model. @param weights Likewise; no rows where plain.
    /// @return next   The new model's words. @return gas Used by the rule itself, all words together.
    function combine(
        Rule memory rule,
        uint256[] calldata modelWords,
        uint256[][] calldata moves,
        uint256[][] calldata weights,
        uint256 dimension
    ) external view returns (uint256[] memory next, uint256 gas) {
        next = new uint256[](modelWords.length);
        uint256[] memory m = new uint256[](moves.length);
        uint256[] memory h = new uint256[](weights.length);
        for (uint256 w; w < modelWords.length; ++w) {
            for (uint256 i; i < m.length; ++i) m[i] = moves[i][w];
            for (uint256 i; i < h.length; ++i) h[i] = weights[i][w];
            uint256 left = dimension - 8 * w;
            uint256 before = gasleft();
            next[w] = RuleLib.next(rule, modelWords[w], m, h, left < 8 ? left : 8);
            gas += before - gasleft();
        }
    }

    function sort(uint256[] memory words, bool wide) external pure returns (uint256[] memory) {
        SortLib.sort(words, wide ? 62 : 31);
        return words;
    }

    function isPadded(bytes calldata model, uint256 dimension) external pure returns (bool) {
        return VectorLib.isPadded(model, dimension);
    }

    function firstMoveAbove(bytes calldata old, bytes calldata new_, uint256 bound) external pure returns (uint256) {
        return VectorLib.firstMoveAbove(old, new_, bound);
    }
}
