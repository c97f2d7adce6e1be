// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Bonds of one federation's members.
/// @notice Only the federation locks, releases and slashes. A released bond stays slashable until it is withdrawn, and can be
/// withdrawn only after the unbonding time, which outlasts every dispute. Amounts are in the token's smallest unit.
/// Warning: the token must be a plain ERC-20; one that takes a fee on transfer is refused at the first bond.
interface IStakeVault {
    /// @param amount     Bonded, or still slashable while it unbonds.
    /// @param unlocksAt  Seconds; 0 while the node is a member.
    struct Bond {
        uint128 amount;
        uint40 unlocksAt;
    }

    event Bonded(address indexed node, uint256 amount, uint256 total);
    event Released(address indexed node, uint256 amount, uint40 unlocksAt);
    event Withdrawn(address indexed node, address indexed to, uint256 amount);
    event Slashed(address indexed node, uint256 taken, uint256 burned, address indexed beneficiary, uint256 reward);
    event Claimed(address indexed beneficiary, uint256 amount);

    error NotFederation(address caller);
    error ZeroAddress();
    error ZeroAmount();
    /// @dev Join the federation first: a bond without a membership could never be released.
    error NotBonded(address account);
    /// @dev The token moved `received` where `expected` was asked for.
    error UnexpectedTransfer(uint256 received, uint256 expected);
    /// @dev The node's bond is still locked: a member's until it exits (`unlocksAt` 0), a leaver's until `unlocksAt`.
    error StillLocked(uint40 unlocksAt);
    error NothingToWithdraw();

    /// @notice Sets up a clone; once only.
    function initialize(IERC20 token, address federation) external;

    /// @notice Takes `amount` from `node` (who approved it) into its bond, and cancels a release; 0 where the bond it still has
    /// will do. Federation only.
    function bond(address node, uint256 amount) external;

    /// @notice Adds to the caller's own bond; anybody's bond may only be raised by its owner.
    function topUp(uint256 amount) external;

    /// @notice Starts the unbonding of a node that has left. Federation only.
    function release(address node, uint40 unlocksAt) external;

    /// @notice Takes `amount` from a node, bonded or unbonding, but leaves it `reserve` (or what it has, if less). Federation only. Half, rounded up, is burned (sent to
    /// the dead address, as not every ERC-20 can burn); the rest is credited to `beneficiary`, who claims it.
    /// @return taken What was really taken.
    function slash(address node, uint256 amount, uint256 reserve, address beneficiary)
        external
        returns (uint256 taken);

    /// @notice Pays the caller's unbonded bond to `to`.
    function withdraw(address to) external returns (uint256 amount);

    /// @notice Pays the caller's slashing rewards.
    function claim() external returns (uint256 amount);

    function token() external view returns (IERC20);

    function federation() external view returns (address);

    function bondOf(address node) external view returns (Bond memory);

    /// @notice Rewards that `account` can claim.
    function claimable(address account) external view returns (uint256);
}
