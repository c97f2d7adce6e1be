// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederation} from "./IFederation.sol";

/// @title The public keys with which members agree on masks.
/// @notice Points of Grumpkin, y² = x³ - 17 over the BN254 scalar field. A key that is registered while round n is the last one holds
/// from the first epoch that begins after it; one that is registered again before then is replaced. Pairs in which either has no key
/// share no mask.
interface IKeyring {
    /// @param since First round for which the key may hold; 0 = no key.
    struct Key {
        uint256 x;
        uint256 y;
        uint24 since;
    }

    event KeyRegistered(address indexed node, uint256 x, uint256 y, uint24 since);

    /// @dev Not a point of the curve, or a coordinate not below the field's modulus.
    error NotOnCurve(uint256 x, uint256 y);

    /// @notice Sets up a clone; once only.
    function initialize(IFederation federation) external;

    /// @notice The caller's key from the next epoch on.
    function register(uint256 x, uint256 y) external;

    /// @notice The key that holds for a node in the epoch that began with round `epochStart`, this one or the next; all 0 where it has
    /// none. Of older epochs the events tell.
    function keyOf(address node, uint24 epochStart) external view returns (Key memory);

    /// @notice The same for many.
    function keysOf(address[] calldata nodes, uint24 epochStart) external view returns (Key[] memory);

    /// @notice Whether the node has registered a key.
    function has(address node) external view returns (bool);

    function federation() external view returns (IFederation);
}
