// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IPricingEngine} from "../interfaces/IPricingEngine.sol";

/// @title Covered calls at the engine's price: a writer locks tokens for a strike and an expiry, anybody buys calls on them at the
/// engine's volatility plus a spread, and exercises by paying the strike within a day of expiry.
/// @notice European and physically settled, so no price is read at expiry. Nobody owns it. Both tokens are plain ERC-20s of 18
/// decimals; `cash` stands for a dollar.
contract CoveredCallVault {
    using SafeERC20 for IERC20;

    /// @param free Tokens that no call is sold on. @param sold Tokens that calls are sold on.
    struct Series {
        address writer;
        uint40 expiry;
        uint256 strike;
        uint256 free;
        uint256 sold;
    }

    /// @param spread Added to the engine's volatility, WAD. @param leastIv Volatility below which nothing is sold, WAD. @param mostIv
    /// Above which. @param maxFeedAge Seconds, of either feed; stricter than the engine's. @param maxModelAge Seconds likewise.
    struct Terms {
        bytes32 market;
        uint256 spread;
        uint256 leastIv;
        uint256 mostIv;
        uint256 maxFeedAge;
        uint256 maxModelAge;
    }

    uint256 public constant EXERCISE_WINDOW = 1 days;
    uint256 private constant WAD = 1e18;

    IPricingEngine public immutable engine;
    IERC20 public immutable token;
    IERC20 public immutable cash;
    Terms public terms;

    Series[] public series;
    mapping(uint256 id => mapping(address holder => uint256)) public callsOf;
    /// @notice Premiums and strikes that a writer may take out.
    mapping(address writer => uint256) public claimable;

    event Written(uint256 indexed id, address indexed writer, uint256 amount, uint256 strike, uint256 expiry);
    event Bought(uint256 indexed id, address indexed buyer, uint256 amount, uint256 premium, uint32 version);
    event Exercised(uint256 indexed id, address indexed holder, uint256 amount);

    error TooOld(uint256 feedAge, uint256 volAge, uint256 modelAge);
    error IvOutOfBounds(uint256 iv);
    error PremiumAbove(uint256 premium);
    error NotEnough(uint256 left);
    error NotNow();
    error NotWriter();

    constructor(IPricingEngine engine_, IERC20 token_, IERC20 cash_, Terms memory terms_) {
        (engine, token, cash, terms) = (engine_, token_, cash_, terms_);
    }

    /// @notice Locks `amount` tokens, to be sold at whatever the engine says plus the spread.
    function write(uint256 amount, uint256 strike, uint40 expiry) external returns (uint256 id) {
        id = series.length;
        series.push(Series(msg.sender, expiry, strike, amount, 0));
        emit Written(id, msg.sender, amount, strike, expiry);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice What calls on `amount` tokens cost now, rounded up. Reverts where the engine does, and outside the vault's own bounds.
    function premiumOf(uint256 id, uint256 amount) public view returns (uint256 premium, uint32 version) {
        Terms memory t = terms;
        (uint256 feedAge, uint256 volAge, uint256 modelAge) = engine.staleness(t.market);
        bool old = Math.max(feedAge, volAge) > t.maxFeedAge || modelAge > t.maxModelAge;
        if (old) revert TooOld(feedAge, volAge, modelAge);
        IPricingEngine.Quote memory q = engine.quote(t.market, series[id].strike, series[id].expiry);
        if (q.iv < t.leastIv || q.iv > t.mostIv) revert IvOutOfBounds(q.iv);
        uint256 price = q.call + Math.mulDiv(q.vega, t.spread, WAD, Math.Rounding.Ceil);
        return (Math.mulDiv(price, amount, WAD, Math.Rounding.Ceil), q.version);
    }

    function buy(uint256 id, uint256 amount, uint256 mostPremium) external returns (uint256 premium) {
        uint32 version;
        (premium, version) = premiumOf(id, amount);
        if (premium > mostPremium) revert PremiumAbove(premium);
        Series storage s = series[id];
        if (amount > s.free) revert NotEnough(s.free);
        (s.free, s.sold) = (s.free - amount, s.sold + amount);
        callsOf[id][msg.sender] += amount;
        claimable[s.writer] += premium;
        emit Bought(id, msg.sender, amount, premium, version);
        cash.safeTransferFrom(msg.sender, address(this), premium);
    }

    /// @notice Pays the strike and takes the tokens: from expiry on, for a day.
    function exercise(uint256 id, uint256 amount) external {
        Series storage s = series[id];
        if (block.timestamp < s.expiry || block.timestamp >= s.expiry + EXERCISE_WINDOW) revert NotNow();
        uint256 held = callsOf[id][msg.sender];
        if (amount > held) revert NotEnough(held);
        uint256 due = Math.mulDiv(s.strike, amount, WAD, Math.Rounding.Ceil);
        (callsOf[id][msg.sender], s.sold) = (held - amount, s.sold - amount);
        claimable[s.writer] += due;
        emit Exercised(id, msg.sender, amount);
        cash.safeTransferFrom(msg.sender, address(this), due);
        token.safeTransfer(msg.sender, amount);
    }

    /// @notice The writer's tokens back: at any time those that no call is sold on, the rest when the exercise window is over.
    function reclaim(uint256 id) external returns (uint256 amount) {
        Series storage s = series[id];
        if (msg.sender != s.writer) revert NotWriter();
        bool over = block.timestamp >= s.expiry + EXERCISE_WINDOW;
        amount = s.free + (over ? s.sold : 0);
        (s.free, s.sold) = (0, over ? 0 : s.sold);
        token.safeTransfer(msg.sender, amount);
    }

    /// @notice The caller's premiums and strikes.
    function claim() external returns (uint256 amount) {
        amount = claimable[msg.sender];
        claimable[msg.sender] = 0;
        cash.safeTransfer(msg.sender, amount);
    }
}
