// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationTypes} from "./IFederation.sol";
import {IPricingEngine} from "./IPricingEngine.sol";
import {IProofs} from "./IProofs.sol";

/// @title Deploys a federation for a market: eight minimal proxies (ERC-1167), set up in one transaction. The engine's carries its
/// configuration in its own code. Without markets it is a federation for a model of any other kind, which has no engine; without a
/// verifier one whose updates carry no proofs.
interface IFederationFactory {
    /// @param label         Chosen by the founder; one federation for each founder and label.
    /// @param bondToken     A plain ERC-20.
    /// @param dimension     d, number of weights.
    /// @param genesis       Bytes of the first model.
    /// @param markets       What the engine prices, each with its feeds; none for a federation without an engine.
    /// @param pillars       Listed expiries of the model; 0 where there are no markets.
    /// @param fractionBits  Binary point of the weights.
    /// @param maxModelAge   Seconds from a version's `asOf` after which the engine refuses it.
    /// @param bounds        What a version must keep to for the engine to take it.
    /// @param admin         Governor of federation and engine: a timelock.
    /// @param guardian      May pause the opening of rounds.
    /// @param proofs        What updates have to prove; verifier 0: nothing.
    struct Config {
        bytes32 label;
        address bondToken;
        uint16 dimension;
        bytes genesis;
        IPricingEngine.Market[] markets;
        uint8 pillars;
        uint8 fractionBits;
        uint32 maxModelAge;
        IPricingEngine.Bounds bounds;
        IFederationTypes.Params params;
        address admin;
        address guardian;
        IProofs.Terms proofs;
    }

    struct Parts {
        address federation;
        address vault;
        address registry;
        address engine;
        address settlement;
        address duties;
        address keyring;
        address proofs;
    }

    event FederationCreated(address indexed founder, bytes32 indexed label, Parts parts);

    error NoCode();
    error UnknownFederation(address federation);

    /// @notice Creates and sets up a federation at addresses that depend on the caller and the label alone.
    function create(Config calldata config) external returns (Parts memory);

    /// @notice Where `founder`'s federation named `label` is, or will be; engine and proofs, which depend on the configuration, are
    /// zero until then, and where there are none.
    function addressesOf(address founder, bytes32 label) external view returns (Parts memory);

    /// @notice The parts of a federation made here.
    function partsOf(address federation) external view returns (Parts memory);
}
