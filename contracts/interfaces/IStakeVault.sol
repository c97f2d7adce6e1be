// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Bonds of one federation's members.
/// @notice Only the federation locks, releases and slashes. A released bond stays slashable until it is withdrawn, and can be
/// withdrawn only after the unbonding time, which outlasts every dispute. Amounts are in the token's smallest unit.
///
/// Bond and rewards of a node are its *payee's*: the withdrawal address that it has named, or the node itself without one. Whoever
/// holds a node's key, and is not its payee, can move neither. The payee can retire the key and hand the bond to another node of
/// its own, which then answers for what the old one did.
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
    /// @dev `node` is whose bond paid: the successor's, where the one at fault has been rotated out.
    event Slashed(address indexed node, uint256 taken, uint256 burned, address indexed beneficiary, uint256 reward);
    event Claimed(address indexed beneficiary, address indexed to, uint256 amount);
    event WithdrawalOffered(address indexed node, address indexed to);
    event WithdrawalNamed(address indexed node, address indexed withdrawal);
    event Retired(address indexed node);
    event Rotated(address indexed from, address indexed to, uint256 amount, uint40 liableUntil);

    error NotFederation(address caller);
    error ZeroAddress();
    error ZeroAmount();
    /// @dev Bond and rewards of a node are moved by the node or its payee, or by the payee alone, and go to the payee.
    error NotPayee(address caller, address payee);
    /// @dev A node names a withdrawal address once; from then on that one hands it on (`offerWithdrawal`).
    error AlreadyNamed(address withdrawal);
    error NotOffered(address caller);
    /// @dev The node's payee has put its key out of use.
    error NodeRetired(address node);
    /// @dev The bond came by a rotation and answers for its former node until then: it moves on after that.
    error StillLiable(uint40 until);
    /// @dev The token moved `received` where `expected` was asked for.
    error UnexpectedTransfer(uint256 received, uint256 expected);
    /// @dev The node's bond is still locked: a member's until it exits (`unlocksAt` 0), a leaver's until `unlocksAt`.
    error StillLocked(uint40 unlocksAt);
    error NothingToWithdraw();

    /// @notice Sets up a clone; once only.
    function initialize(IERC20 token, address federation) external;

    // ------------------------------------------------------------------ the federation's

    /// @notice Takes `amount` from `node` (who approved it) into its bond, and cancels a release; 0 where the bond it has will do.
    /// Federation only. Reverts for a retired node.
    function bond(address node, uint256 amount) external;

    /// @notice Starts the unbonding of a node that has left. Federation only.
    function release(address node, uint40 unlocksAt) external;

    /// @notice Takes `amount` from a node, bonded or unbonding, but leaves it `reserve` (or what it has, if less). Federation only. Half, rounded up, is burned (sent to
    /// the dead address, as not every ERC-20 can burn); the rest is credited to `beneficiary`, whose payee gets it. A node that was
    /// rotated out pays from its successor's bond, until its own would have been unlocked.
    /// @return taken What was really taken.
    function slash(address node, uint256 amount, uint256 reserve, address beneficiary)
        external
        returns (uint256 taken);

    // ------------------------------------------------------------------ anybody's

    /// @notice Adds `amount` of the caller's tokens to a node's bond: a top-up of a member's, or in advance what it joins with.
    /// It is the node's payee's from then on. It locks nothing: what a node holds that is no member is withdrawn as before.
    function fund(address node, uint256 amount) external;

    /// @notice Pays a node's unlocked bond to its payee. Of the node or its payee.
    function withdraw(address node) external returns (uint256 amount);

    /// @notice Pays the slashing rewards of `account` to its payee. Of the account or its payee.
    function claim(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------ the payee's

    /// @notice Names the caller's withdrawal address, once. It takes effect at once and cannot be taken back: try the address first.
    function nameWithdrawal(address withdrawal) external;

    /// @notice Offers the place of a node's withdrawal address to `to`; 0 takes an offer back. Of the withdrawal address.
    function offerWithdrawal(address node, address to) external;

    /// @notice Takes the place that was offered to the caller.
    function acceptWithdrawal(address node) external;

    /// @notice Puts a node's key out of use: once it has left, it joins no more. It cannot be taken back. Of its payee.
    function retire(address node) external;

    /// @notice Retires the node `from`, which has left, and hands its bond to `to` without waiting for the unbonding time. Of the
    /// payee of both, so `to` must have named it before. Until the bond would have been unlocked, it cannot be withdrawn, answers
    /// for what `from` did, and cannot be rotated again: so a fault is never further than one step from its bond.
    function rotate(address from, address to) external;

    // ------------------------------------------------------------------ views

    function token() external view returns (IERC20);

    function federation() external view returns (address);

    function bondOf(address node) external view returns (Bond memory);

    /// @notice Rewards that `account` can claim.
    function claimable(address account) external view returns (uint256);

    /// @notice 0 where a node has named none.
    function withdrawalOf(address node) external view returns (address);

    /// @notice To whom its place is offered; 0 to nobody.
    function offeredTo(address node) external view returns (address);

    /// @notice Whom `account`'s bond and rewards are paid to.
    function payeeOf(address account) external view returns (address);

    /// @return retired      Whether the node's payee has put its key out of use.
    /// @return successor    Who holds its bond since it was rotated out; 0 before.
    /// @return liableUntil  Until when this node's own bond answers for one that was rotated out; 0 where it never did.
    function rotationOf(address node) external view returns (bool retired, address successor, uint40 liableUntil);
}
