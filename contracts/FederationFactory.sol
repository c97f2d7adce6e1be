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
import {ISettlement} from "./interfaces/ISettlement.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";

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
    mapping(address => Parts) private _parts;

    constructor(Parts memory codes) {
        if (
            codes.federation.code.length == 0 || codes.vault.code.length == 0 || codes.registry.code.length == 0
                || codes.engine.code.length == 0 || codes.settlement.code.length == 0 || codes.duties.code.length == 0
                || codes.keyring.code.length == 0
        ) revert NoCode();
        federationCode = codes.federation;
        vaultCode = codes.vault;
        registryCode = codes.registry;
        engineCode = codes.engine;
        settlementCode = codes.settlement;
        dutiesCode = codes.duties;
        keyringCode = codes.keyring;
    }

    /// @inheritdoc IFederationFactory
    function create(Config calldata config) external returns (Parts memory parts) {
        bytes32 salt = saltOf(msg.sender, config.label);
        parts.federation = federationCode.cloneDeterministic(salt);
        parts.vault = vaultCode.cloneDeterministic(salt);
        parts.registry = registryCode.cloneDeterministic(salt);
        parts.engine = engineCode.cloneDeterministicWithImmutableArgs(
            IPricingEngine(engineCode).pack(
                parts.registry, config.markets, config.pillarSeconds, config.fractionBits, config.maxModelAge
            ),
            salt
        );
        parts.settlement = settlementCode.cloneDeterministic(salt);
        parts.duties = dutiesCode.cloneDeterministic(salt);
        parts.keyring = keyringCode.cloneDeterministic(salt);
        _parts[parts.federation] = parts;
        emit FederationCreated(msg.sender, config.label, parts);

        IStakeVault(parts.vault).initialize(IERC20(config.bondToken), parts.federation);
        IModelRegistry(parts.registry).initialize(
            parts.federation, config.dimension, config.genesis, IModelReader(parts.engine)
        );
        IPricingEngine(parts.engine).initialize(
            parts.registry,
            config.admin,
            config.markets,
            config.pillarSeconds,
            config.fractionBits,
            config.maxModelAge
        );
        ISettlement(parts.settlement).initialize(IFederation(parts.federation));
        IDuties(parts.duties).initialize(IFederation(parts.federation));
        IKeyring(parts.keyring).initialize(IFederation(parts.federation));
        IFederation(parts.federation).initialize(
            config.params,
            IStakeVault(parts.vault),
            IModelRegistry(parts.registry),
            parts.settlement,
            parts.duties,
            IKeyring(parts.keyring),
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
        parts.engine = _parts[parts.federation].engine;
    }

    /// @inheritdoc IFederationFactory
    function partsOf(address federation) external view returns (Parts memory parts) {
        parts = _parts[federation];
        if (parts.federation == address(0)) revert UnknownFederation(federation);
    }

    function saltOf(address founder, bytes32 label) private pure returns (bytes32) {
        return keccak256(abi.encode(founder, label));
    }
}
