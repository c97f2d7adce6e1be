// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A bond token as no federation should have: it makes one call of its owner's choice in the middle of a transfer.
contract HookedToken is ERC20 {
    address private _target;
    bytes private _call;

    constructor(address holder, uint256 supply) ERC20("Hooked", "HOOK") {
        _mint(holder, supply);
    }

    function arm(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    /// @dev A fee on transfer, if the hook calls it.
    function skim(address from) external {
        _burn(from, 1);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        address target = _target;
        if (target == address(0)) return;
        _target = address(0);
        (bool done, bytes memory answer) = target.call(_call);
        if (done) return;
        assembly {
            revert(add(answer, 32), mload(answer))
        }
    }
}
