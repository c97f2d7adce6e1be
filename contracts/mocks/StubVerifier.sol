// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IVerifier} from "../interfaces/IProofs.sol";

/// @title Stands in for a generated verifier: takes one proof of one statement, named before, and reverts for any other.
contract StubVerifier is IVerifier {
    error SumcheckFailed();

    /// @dev What a real one spends, about.
    uint256 public immutable gas;
    bytes32 public expected;
    bool public mute;

    constructor(uint256 gas_) {
        gas = gas_;
    }

    function expect(bytes calldata proof, bytes32[] calldata publicInputs) external {
        expected = keccak256(abi.encode(proof, publicInputs));
    }

    /// @notice From now on it answers false where it would revert.
    function silence() external {
        mute = true;
    }

    function verify(bytes calldata proof, bytes32[] calldata publicInputs) external view returns (bool right) {
        uint256 before = gasleft();
        right = keccak256(abi.encode(proof, publicInputs)) == expected;
        if (!right && !mute) revert SumcheckFailed();
        while (right && before - gasleft() < gas) {}
    }
}
