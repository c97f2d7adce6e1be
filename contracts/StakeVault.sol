// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IFederation, IFederationTypes} from "./interfaces/IFederation.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";

/// @title StakeVault: the specification is IStakeVault.
contract StakeVault is IStakeVault, Initializable, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    address private constant BURNED = 0x000000000000000000000000000000000000dEaD;

    /// @dev One slot, empty where a member has lost all: that pays for a part of the dispute. `unlocksAt`: 0 of a member, else the end of
    /// the node's own unbonding, kept when its bond has moved on, as its faults follow it until then. `liableUntil`: the end of
    /// that of the nodes whose bonds came here.
    struct Held {
        uint128 amount;
        uint40 unlocksAt;
        uint40 liableUntil;
        bool retired;
    }

    IERC20 public token;
    address public federation;
    mapping(address => Held) private _held;
    mapping(address => uint256) public claimable;
    mapping(address => address) public withdrawalOf;
    mapping(address => address) public offeredTo;
    mapping(address => address) private _successorOf;

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

    // ------------------------------------------------------------------ the federation's

    /// @inheritdoc IStakeVault
    function bond(address node, uint256 amount) external onlyFederation nonReentrant {
        Held storage held = _held[node];
        if (held.retired) revert NodeRetired(node);
        held.unlocksAt = 0;
        if (amount != 0) _take(node, node, amount);
    }

    /// @inheritdoc IStakeVault
    function release(address node, uint40 unlocksAt) external onlyFederation {
        Held storage held = _held[node];
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
        address payer = _payerOf(node);
        Held storage held = _held[payer];
        uint256 free = held.amount > reserve ? held.amount - reserve : 0;
        taken = amount < free ? amount : free;
        if (taken == 0) return 0;
        uint256 reward = taken / 2;
        uint256 burned = taken - reward;
        held.amount -= uint128(taken);
        claimable[beneficiary] += reward;
        emit Slashed(payer, taken, burned, beneficiary, reward);
        token.safeTransfer(BURNED, burned);
    }

    // ------------------------------------------------------------------ anybody's

    /// @inheritdoc IStakeVault
    function fund(address node, uint256 amount) external nonReentrant {
        if (node == address(0)) revert ZeroAddress();
        if (amount == 0) revert ZeroAmount();
        if (_held[node].retired) revert NodeRetired(node);
        _unlockOutsider(node);
        _take(node, msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function withdraw(address node) external nonReentrant returns (uint256 amount) {
        address payee = _requireNodeOrPayee(node);
        Held storage held = _held[node];
        amount = held.amount;
        if (amount == 0) revert NothingToWithdraw();
        uint40 unlocksAt = _unlocksAt(held);
        if (unlocksAt == 0 || block.timestamp < unlocksAt) revert StillLocked(unlocksAt);
        (held.amount, held.unlocksAt) = (0, 0);
        emit Withdrawn(node, payee, amount);
        token.safeTransfer(payee, amount);
    }

    /// @inheritdoc IStakeVault
    function claim(address account) external nonReentrant returns (uint256 amount) {
        address payee = _requireNodeOrPayee(account);
        amount = claimable[account];
        if (amount == 0) revert NothingToWithdraw();
        claimable[account] = 0;
        emit Claimed(account, payee, amount);
        token.safeTransfer(payee, amount);
    }

    // ------------------------------------------------------------------ the payee's

    /// @inheritdoc IStakeVault
    function nameWithdrawal(address withdrawal) external {
        if (withdrawal == address(0)) revert ZeroAddress();
        address named = withdrawalOf[msg.sender];
        if (named != address(0)) revert AlreadyNamed(named);
        _nameWithdrawal(msg.sender, withdrawal);
    }

    /// @inheritdoc IStakeVault
    function offerWithdrawal(address node, address to) external {
        address named = withdrawalOf[node];
        if (msg.sender != named) revert NotPayee(msg.sender, named);
        offeredTo[node] = to;
        emit WithdrawalOffered(node, to);
    }

    /// @inheritdoc IStakeVault
    function acceptWithdrawal(address node) external {
        if (msg.sender != offeredTo[node]) revert NotOffered(msg.sender);
        delete offeredTo[node];
        _nameWithdrawal(node, msg.sender);
    }

    /// @inheritdoc IStakeVault
    function retire(address node) external {
        _requirePayee(node);
        _retire(node);
    }

    /// @inheritdoc IStakeVault
    function rotate(address from, address to) external nonReentrant {
        _requirePayee(from);
        _requirePayee(to);
        Held storage old = _held[from];
        Held storage heir = _held[to];
        uint128 amount = old.amount;
        uint40 unlocksAt = old.unlocksAt;
        if (amount == 0) revert ZeroAmount();
        if (unlocksAt == 0) revert StillLocked(0);
        // Else a fault could be two steps from its bond, or any number of them.
        if (block.timestamp < old.liableUntil) revert StillLiable(old.liableUntil);
        if (!old.retired) _retire(from);
        if (heir.retired) revert NodeRetired(to);
        _unlockOutsider(to);
        _successorOf[from] = to;
        old.amount = 0;
        heir.amount += amount;
        heir.liableUntil = uint40(Math.max(heir.liableUntil, unlocksAt));
        emit Rotated(from, to, amount, unlocksAt);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IStakeVault
    function bondOf(address node) external view returns (Bond memory) {
        Held storage held = _held[node];
        return Bond(held.amount, _unlocksAt(held));
    }

    /// @inheritdoc IStakeVault
    function payeeOf(address account) public view returns (address) {
        address named = withdrawalOf[account];
        return named == address(0) ? account : named;
    }

    /// @inheritdoc IStakeVault
    function rotationOf(address node) external view returns (bool retired, address successor, uint40 liableUntil) {
        return (_held[node].retired, _successorOf[node], _held[node].liableUntil);
    }

    // ------------------------------------------------------------------ inside

    /// @dev Whose bond pays for a fault of `node`: never further than one step, see `rotate`.
    function _payerOf(address node) private view returns (address) {
        Held storage held = _held[node];
        bool moved = held.retired && block.timestamp < held.unlocksAt;
        address successor = moved ? _successorOf[node] : address(0);
        return successor == address(0) ? node : successor;
    }

    /// @dev 0 of a member: no time unlocks it.
    function _unlocksAt(Held storage held) private view returns (uint40) {
        return held.unlocksAt == 0 ? 0 : uint40(Math.max(held.unlocksAt, held.liableUntil));
    }

    /// @dev What comes to a node that is no member would else be taken for a member's. A member that has lost all looks the same, and
    /// must not have back at once what it gets: only the federation can tell.
    function _unlockOutsider(address node) private {
        Held storage held = _held[node];
        if (held.amount != 0 || held.unlocksAt != 0) return;
        IFederationTypes.Status status = IFederation(federation).memberOf(node).status;
        if (status == IFederationTypes.Status.None) held.unlocksAt = uint40(block.timestamp);
    }

    function _requirePayee(address account) private view returns (address payee) {
        payee = payeeOf(account);
        if (msg.sender != payee) revert NotPayee(msg.sender, payee);
    }

    function _requireNodeOrPayee(address account) private view returns (address payee) {
        payee = payeeOf(account);
        if (msg.sender != account && msg.sender != payee) revert NotPayee(msg.sender, payee);
    }

    function _nameWithdrawal(address node, address withdrawal) private {
        withdrawalOf[node] = withdrawal;
        emit WithdrawalNamed(node, withdrawal);
    }

    function _retire(address node) private {
        if (_held[node].retired) revert NodeRetired(node);
        _held[node].retired = true;
        emit Retired(node);
    }

    /// @dev The bond counts what really came, so a token that takes a fee on transfer is found out at once.
    function _take(address node, address from, uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransfer(received, amount);
        Held storage held = _held[node];
        held.amount += SafeCast.toUint128(amount);
        emit Bonded(node, amount, held.amount);
    }
}
