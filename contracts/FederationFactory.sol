// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IDuties} from "./interfaces/IDuties.sol";
import {IFederation, IFederationTypes} from "./interfaces/IFederation.sol";
import {IFederationFactory} from "./interfaces/IFederationFactory.sol";
import {IKeyring} from "./interfaces/IKeyring.sol";
import {IModelReader, IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IPricingEngine} from "./interfaces/IPricingEngine.sol";
import {IProofs} from "./interfaces/IProofs.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {Surface} from "./libraries/Surface.sol";

/// @title FederationFactory: the specification is IFederationFactory.
contract FederationFactory is IFederationFactory {
    using Clones for address;

    address public immutable federationCode;
    address public immutable vaultCode;
    address public immutable registryCode;
    address public immutable engineCode;
    address public immutable settlementCode;
    address public immutable dutiesCode;
    address public immutable keyringCode;
    address public immutable proofsCode;
    mapping(address => Parts) private _parts;

    constructor(Parts memory codes) {
        if (
            codes.federation.code.length == 0 || codes.vault.code.length == 0 || codes.registry.code.length == 0
                || codes.engine.code.length == 0 || codes.settlement.code.length == 0 || codes.duties.code.length == 0
                || codes.keyring.code.length == 0 || codes.proofs.code.length == 0
        ) revert NoCode();
        federationCode = codes.federation;
        vaultCode = codes.vault;
        registryCode = codes.registry;
        engineCode = codes.engine;
        settlementCode = codes.settlement;
        dutiesCode = codes.duties;
        keyringCode = codes.keyring;
        proofsCode = codes.proofs;
    }

    /// @inheritdoc IFederationFactory
    function create(Config calldata config) external returns (Parts memory parts) {
        bytes32 salt = saltOf(msg.sender, config.label);
        parts.federation = federationCode.cloneDeterministic(salt);
        parts.vault = vaultCode.cloneDeterministic(salt);
        parts.registry = registryCode.cloneDeterministic(salt);
        if (config.markets.length != 0) parts.engine = _cloneEngine(config, parts.registry, salt);
        parts.settlement = settlementCode.cloneDeterministic(salt);
        parts.duties = dutiesCode.cloneDeterministic(salt);
        parts.keyring = keyringCode.cloneDeterministic(salt);
        if (config.proofs.verifier != address(0)) parts.proofs = proofsCode.cloneDeterministic(salt);
        _parts[parts.federation] = parts;
        emit FederationCreated(msg.sender, config.label, parts);

        IStakeVault(parts.vault).initialize(IERC20(config.bondToken), parts.federation);
        IModelRegistry(parts.registry).initialize(
            parts.federation, config.dimension, _layoutOf(config), config.genesis, IModelReader(parts.engine)
        );
        if (parts.engine != address(0)) _initializeEngine(config, parts);
        ISettlement(parts.settlement).initialize(IFederation(parts.federation));
        IDuties(parts.duties).initialize(IFederation(parts.federation));
        IKeyring(parts.keyring).initialize(IFederation(parts.federation));
        if (parts.proofs != address(0)) {
            IProofs(parts.proofs).initialize(
                IFederation(parts.federation), IModelRegistry(parts.registry), config.fractionBits, config.proofs
            );
        }
        IFederation(parts.federation).initialize(
            config.params,
            IStakeVault(parts.vault),
            IModelRegistry(parts.registry),
            parts.settlement,
            parts.duties,
            IKeyring(parts.keyring),
            IProofs(parts.proofs),
            config.admin,
            config.guardian
        );
    }

    /// @inheritdoc IFederationFactory
    function addressesOf(address founder, bytes32 label) external view returns (Parts memory parts) {
        bytes32 salt = saltOf(founder, label);
        parts.federation = federationCode.predictDeterministicAddress(salt);
        parts.vault = vaultCode.predictDeterministicAddress(salt);
        parts.registry = registryCode.predictDeterministicAddress(salt);
        parts.settlement = settlementCode.predictDeterministicAddress(salt);
        parts.duties = dutiesCode.predictDeterministicAddress(salt);
        parts.keyring = keyringCode.predictDeterministicAddress(salt);
        (parts.engine, parts.proofs) = (_parts[parts.federation].engine, _parts[parts.federation].proofs);
    }

    /// @inheritdoc IFederationFactory
    function partsOf(address federation) external view returns (Parts memory parts) {
        parts = _parts[federation];
        if (parts.federation == address(0)) revert UnknownFederation(federation);
    }

    function _cloneEngine(Config calldata config, address registry, bytes32 salt) private returns (address) {
        bytes memory args = IPricingEngine(engineCode).pack(
            registry, config.markets, config.pillars, config.fractionBits, config.maxModelAge, config.bounds
        );
        return engineCode.cloneDeterministicWithImmutableArgs(args, salt);
    }

    function _initializeEngine(Config calldata config, Parts memory parts) private {
        IPricingEngine(parts.engine).initialize(
            parts.registry,
            config.admin,
            config.markets,
            config.pillars,
            config.fractionBits,
            config.maxModelAge,
            config.bounds
        );
    }

    /// @dev More than 255 markets the engine refuses.
    function _layoutOf(Config calldata config) private pure returns (IModelRegistry.Layout memory) {
        return IModelRegistry.Layout(
            uint8(config.markets.length), config.pillars, uint8(Surface.PILLAR_WEIGHTS), uint8(Surface.STATE_WEIGHTS)
        );
    }

    function saltOf(address founder, bytes32 label) private pure returns (bytes32) {
        return keccak256(abi.encode(founder, label));
    }
}
