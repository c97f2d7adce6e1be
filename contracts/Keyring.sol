// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IKeyring} from "./interfaces/IKeyring.sol";
import {Grumpkin} from "./libraries/Grumpkin.sol";

/// @title Keyring: the specification is IKeyring.
contract Keyring is IKeyring, Initializable {
    IFederation public federation;
    /// @dev The key in use, and the one for the next epoch.
    mapping(address => Key) private _held;
    mapping(address => Key) private _next;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IKeyring
    function initialize(IFederation federation_) external initializer {
        federation = federation_;
    }

    /// @inheritdoc IKeyring
    function register(uint256 x, uint256 y) external {
        if (!Grumpkin.isOnCurve(x, y)) revert NotOnCurve(x, y);
        IFederation.Clock memory clock = federation.clock();
        Key memory next = _next[msg.sender];
        // A key that holds already stays for the rest of the epoch.
        if (next.since != 0 && next.since <= clock.epochStart) _held[msg.sender] = next;
        uint24 since = clock.number + 1;
        _next[msg.sender] = Key(x, y, since);
        emit KeyRegistered(msg.sender, x, y, since);
    }

    /// @inheritdoc IKeyring
    function keyOf(address node, uint24 epochStart) public view returns (Key memory key) {
        key = _next[node];
        if (key.since == 0 || key.since > epochStart) key = _held[node];
        if (key.since > epochStart) return Key(0, 0, 0);
    }

    /// @inheritdoc IKeyring
    function keysOf(address[] calldata nodes, uint24 epochStart) external view returns (Key[] memory keys) {
        keys = new Key[](nodes.length);
        for (uint256 i; i < nodes.length; ++i) keys[i] = keyOf(nodes[i], epochStart);
    }

    /// @inheritdoc IKeyring
    function has(address node) external view returns (bool) {
        return _next[node].since != 0;
    }
}
