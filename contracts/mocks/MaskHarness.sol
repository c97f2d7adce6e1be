// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Grumpkin} from "../libraries/Grumpkin.sol";
import {Poseidon2} from "../libraries/Poseidon2.sol";

/// @title The masking libraries, callable, many inputs at a time: for the twin tests.
contract MaskHarness {
    function permute(uint256[4][] calldata states) external pure returns (uint256[4][] memory out) {
        uint256 pointer = Poseidon2.constants();
        out = new uint256[4][](states.length);
        for (uint256 i; i < out.length; ++i) {
            uint256[4] calldata s = states[i];
            (out[i][0], out[i][1], out[i][2], out[i][3]) = Poseidon2.permute(pointer, s[0], s[1], s[2], s[3]);
        }
    }

    function mask(uint256 key, uint256[] calldata indices) external pure returns (uint256[3][] memory out) {
        uint256 pointer = Poseidon2.constants();
        out = new uint256[3][](indices.length);
        for (uint256 i; i < out.length; ++i) {
            (out[i][0], out[i][1], out[i][2]) = Poseidon2.mask(pointer, key, indices[i]);
        }
    }

    /// @return gas Used by `many` permutations in a row and, where `many` is not 0, by loading the constants before.
    function gasOfPermutations(uint256 many) external view returns (uint256 gas, uint256 last) {
        gas = gasleft();
        uint256 pointer = Poseidon2.constants();
        uint256 b;
        uint256 c;
        uint256 d;
        for (uint256 i; i < many; ++i) (last, b, c, d) = Poseidon2.permute(pointer, last, b, c, d);
        gas -= gasleft();
    }

    function isOnCurve(uint256[2][] calldata points) external pure returns (bool[] memory out) {
        out = new bool[](points.length);
        for (uint256 i; i < out.length; ++i) out[i] = Grumpkin.isOnCurve(points[i][0], points[i][1]);
    }
}
