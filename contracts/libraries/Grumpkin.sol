// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Poseidon2} from "./Poseidon2.sol";

/// @title Grumpkin, y² = x³ - 17 over BN254's scalar field: the curve of the masking keys. Twin: offchain/fedvol/protocol/grumpkin.py
/// @dev Its order is prime, so that a point on the curve is a point of the group.
library Grumpkin {
    /// @notice Whether both coordinates are below the field's order and satisfy the equation. Infinity has no coordinates.
    function isOnCurve(uint256 x, uint256 y) internal pure returns (bool) {
        uint256 r = Poseidon2.FIELD;
        if (x >= r || y >= r) return false;
        return addmod(mulmod(y, y, r), 17, r) == mulmod(mulmod(x, x, r), x, r);
    }
}
