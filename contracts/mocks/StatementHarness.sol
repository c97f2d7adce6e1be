// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {MaskLib} from "../libraries/MaskLib.sol";
import {StatementLib} from "../libraries/StatementLib.sol";

/// @title What a proof says, callable: for the twin tests.
contract StatementHarness {
    function bounded(StatementLib.Subject memory subject, StatementLib.Bounds memory bounds, bytes calldata data)
        external
        pure
        returns (bytes32[] memory)
    {
        return StatementLib.bounded(subject, bounds, data, 0);
    }

    /// @notice What kind Trained adds to those of Bounded.
    function training(bytes32 dataRoot, uint256 asOf, uint256 limits, bytes memory model)
        external
        pure
        returns (bytes32[] memory added)
    {
        bytes32[] memory inputs = new bytes32[](StatementLib.TRAINED_INPUTS);
        StatementLib.trained(inputs, dataRoot, asOf, limits, model);
        added = new bytes32[](StatementLib.TRAINED_INPUTS - StatementLib.BOUNDED_INPUTS);
        for (uint256 i; i < added.length; ++i) added[i] = inputs[StatementLib.BOUNDED_INPUTS + i];
    }

    function context(address federation, uint24 round, uint64 seed) external view returns (uint256) {
        return MaskLib.context(federation, round, seed);
    }

    function annexOf(bytes32 selfHash, bytes32[] memory pairHashes) external pure returns (bytes32) {
        return MaskLib.annexOf(selfHash, pairHashes);
    }

    function annex(bytes32[] calldata keys, uint256 missing, uint256 m) external view returns (bytes32) {
        return MaskLib.annex(keys, missing, m);
    }
}
