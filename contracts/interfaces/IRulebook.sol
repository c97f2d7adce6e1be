// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationTypes} from "./IFederation.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {IProofs} from "./IProofs.sol";

/// @title What a federation refuses at sight: parameters out of range, and models that no round can give.
/// @notice Stateless; one serves all federations of a factory. The errors are `IFederationErrors`'.
interface IRulebook {
    /// @notice Reverts `BadParameter` with the name of the first parameter that is out of its range; and as `IProofs.checkParams` does,
    /// unless `proofs` is 0.
    function checkParams(IFederationTypes.Params calldata params, IProofs proofs) external view;

    /// @notice Reverts where `model` has a wrong length or padding, or a weight further from the model that its round starts from than
    /// the clamp lets it move.
    /// @param registry Of the federation. @param asOf When the round was opened. @param clamp B. @param step q.
    /// @return contentId SHA-256 of `model`.
    function checkModel(IModelRegistry registry, uint256 asOf, uint256 clamp, uint256 step, bytes calldata model)
        external
        view
        returns (bytes32 contentId);
}
