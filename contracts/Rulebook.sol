// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationErrors, IFederationTypes} from "./interfaces/IFederation.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IProofs} from "./interfaces/IProofs.sol";
import {IRulebook} from "./interfaces/IRulebook.sol";
import {ParamsLib} from "./libraries/ParamsLib.sol";
import {RuleLib} from "./libraries/RuleLib.sol";
import {VectorLib} from "./libraries/VectorLib.sol";

/// @title Rulebook: the specification is IRulebook.
contract Rulebook is IRulebook {
    /// @inheritdoc IRulebook
    function checkParams(IFederationTypes.Params calldata params, IProofs proofs) external view {
        ParamsLib.check(params);
        if (address(proofs) != address(0)) proofs.checkParams(params);
    }

    /// @inheritdoc IRulebook
    function checkModel(IModelRegistry registry, uint256 asOf, uint256 clamp, uint256 step, bytes calldata model)
        external
        view
        returns (bytes32 contentId)
    {
        uint256 dimension = registry.dimension();
        uint256 length = VectorLib.byteLength(dimension);
        if (model.length != length) revert IFederationErrors.WrongModelLength(model.length, length);
        if (!VectorLib.isPadded(model, dimension)) revert IFederationErrors.BadPadding();
        uint256 moved = VectorLib.firstMoveAbove(registry.carried(asOf), model, RuleLib.largestMove(clamp, step));
        if (moved != type(uint256).max) revert IFederationErrors.MoveTooLarge(moved);
        return sha256(model);
    }
}
