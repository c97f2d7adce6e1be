// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";

/// @title StakeVault: the specification is IStakeVault.
contract StakeVault is IStakeVault, Initializable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    address private constant BURNED = 0x000000000000000000000000000000000000dEaD;

    IERC20 public token;
    address public federation;
    mapping(address => Bond) private _bonds;
    mapping(address => uint256) public claimable;

    modifier onlyFederation() {
        if (msg.sender != federation) revert NotFederation(msg.sender);
        _;
    }

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IStakeVault
    function initialize(IERC20 token_, address federation_) external initializer {
        if (address(token_) == address(0) || federation_ == address(0)) revert ZeroAddress();
        token = token_;
        federation = federation_;
    }

    /// @inheritdoc IStakeVault
    function bond(address node, uint256 amount) external onlyFederation nonReentrant {
        _bonds[node].unlocksAt = 0;
        if (amount != 0) _take(node, amount);
    }

    /// @inheritdoc IStakeVault
    function topUp(uint256 amount) external nonReentrant {
        if (_bonds[msg.sender].amount == 0) revert NotBonded(msg.sender);
        if (amount == 0) revert ZeroAmount();
        _take(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function release(address node, uint40 unlocksAt) external onlyFederation {
        Bond storage held = _bonds[node];
        held.unlocksAt = unlocksAt;
        emit Released(node, held.amount, unlocksAt);
    }

    /// @inheritdoc IStakeVault
    function slash(address node, uint256 amount, uint256 reserve, address beneficiary)
        external
        onlyFederation
        nonReentrant
        returns (uint256 taken)
    {
        Bond storage held = _bonds[node];
        uint256 free = held.amount > reserve ? held.amount - reserve : 0;
        taken = amount < free ? amount : free;
        if (taken == 0) return 0;
        uint256 reward = taken / 2;
        uint256 burned = taken - reward;
        held.amount -= uint128(taken);
        claimable[beneficiary] += reward;
        emit Slashed(node, taken, burned, beneficiary, reward);
        token.safeTransfer(BURNED, burned);
    }

    /// @inheritdoc IStakeVault
    function withdraw(address to) external nonReentrant returns (uint256 amount) {
        if (to == address(0)) revert ZeroAddress();
        Bond memory held = _bonds[msg.sender];
        amount = held.amount;
        if (amount == 0) revert NothingToWithdraw();
        if (held.unlocksAt == 0 || block.timestamp < held.unlocksAt) revert StillLocked(held.unlocksAt);
        delete _bonds[msg.sender];
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IStakeVault
    function claim() external nonReentrant returns (uint256 amount) {
        amount = claimable[msg.sender];
        if (amount == 0) revert NothingToWithdraw();
        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function bondOf(address node) external view returns (Bond memory) {
        return _bonds[node];
    }

    /// @dev The bond counts what really came, so a token that takes a fee on transfer is found out at once.
    function _take(address node, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(node, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransfer(received, amount);
        Bond storage held = _bonds[node];
        held.amount += SafeCast.toUint128(amount);
        emit Bonded(node, amount, held.amount);
    }
}
