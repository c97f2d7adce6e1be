// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IAggregatorV3} from "./interfaces/IAggregatorV3.sol";
import {IModelReader, IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IPricingEngine} from "./interfaces/IPricingEngine.sol";
import {Black76} from "./libraries/Black76.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {Ssvi} from "./libraries/Ssvi.sol";
import {Surface} from "./libraries/Surface.sol";

/// @title PricingEngine: the specification is IPricingEngine, the mathematics lies in the libraries.
/// @dev What never changes is the clone's own code (its immutable arguments), and the registry tells of every new version: a cold
/// quote reads two slots here, the feed, and the model's code, nothing else.
/// Layout: registry (20 bytes), maxModelAge (4), fractionBits (1), P (1), P packed pillars (16 each), market ids (32 each).
contract PricingEngine is IPricingEngine, AccessControl, Initializable {
    /// @inheritdoc IPricingEngine
    uint256 public constant MAX_MATURITY = 5 * 365 days;
    uint256 private constant MAX_PILLARS = 30;
    uint256 private constant HEAD = 26;
    uint256 private constant PILLAR = 16;
    /// @dev Where OpenZeppelin's proxy code ends and its immutable arguments begin.
    uint256 private constant ARGS = 45;

    struct Feed {
        IAggregatorV3 source;
        uint32 maxAge;
        uint8 index;
        uint8 decimals;
    }

    struct Current {
        uint32 version;
        address pointer;
        uint40 publishedAt;
    }

    Current private _current;
    mapping(bytes32 market => Feed) private _feeds;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IPricingEngine
    function pack(
        address registry,
        Market[] calldata markets,
        uint32[] calldata pillarSeconds,
        uint8 fractionBits,
        uint32 maxModelAge
    ) public pure returns (bytes memory args) {
        if (registry == address(0)) revert ZeroAddress();
        if (markets.length == 0 || markets.length > 255) revert BadMarketCount(markets.length);
        if (fractionBits < 8 || fractionBits > 28) revert BadFractionBits(fractionBits);
        if (maxModelAge == 0) revert BadModelAge();
        uint256 count = pillarSeconds.length;
        if (count == 0 || count > MAX_PILLARS) revert BadPillar(count);

        args = abi.encodePacked(registry, maxModelAge, fractionBits, uint8(count));
        for (uint256 i; i < count; ++i) {
            uint32 pillar = pillarSeconds[i];
            if (pillar > MAX_MATURITY || pillar <= (i == 0 ? 0 : pillarSeconds[i - 1])) revert BadPillar(i);
            args = bytes.concat(args, Surface.packPillar(pillar));
        }
        for (uint256 i; i < markets.length; ++i) args = bytes.concat(args, markets[i].id);
    }

    /// @inheritdoc IPricingEngine
    function initialize(
        address registry,
        address admin,
        Market[] calldata markets,
        uint32[] calldata pillarSeconds,
        uint8 fractionBits,
        uint32 maxModelAge
    ) external initializer {
        if (admin == address(0)) revert ZeroAddress();
        bytes memory args = pack(registry, markets, pillarSeconds, fractionBits, maxModelAge);
        uint256 given = IModelRegistry(registry).dimension();
        uint256 expected = markets.length * (pillarSeconds.length + 2);
        if (given != expected) revert WrongDimension(given, expected);
        for (uint256 i; i < markets.length; ++i) {
            Market calldata market = markets[i];
            if (market.id == 0 || address(_feeds[market.id].source) != address(0)) revert BadMarket(market.id);
            _setFeed(market.id, uint8(i), market.feed, market.maxFeedAge);
        }
        if (keccak256(args) != keccak256(Clones.fetchCloneArgs(address(this)))) revert WrongConfiguration();
        (uint32 version, address pointer, uint40 publishedAt) = IModelRegistry(registry).current();
        _current = Current(version, pointer, publishedAt);
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @inheritdoc IModelReader
    function modelPublished(uint32 version, address pointer) external {
        (IModelRegistry registry,,,) = _config();
        if (msg.sender != address(registry)) revert NotRegistry(msg.sender);
        _current = Current(version, pointer, uint40(block.timestamp));
    }

    /// @inheritdoc IPricingEngine
    function setFeed(bytes32 market, IAggregatorV3 feed, uint32 maxFeedAge) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setFeed(market, _feed(market).index, feed, maxFeedAge);
    }

    /// @inheritdoc IPricingEngine
    function quote(bytes32 market, uint256 strike, uint256 expiry) external view returns (Quote memory q) {
        uint256 index;
        (q.forward, index) = _forward(market);
        _quote(q, index, strike, expiry);
    }

    /// @inheritdoc IPricingEngine
    function quoteAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry)
        external
        view
        returns (Quote memory q)
    {
        q.forward = forward;
        _quote(q, _feed(market).index, strike, expiry);
    }

    /// @inheritdoc IPricingEngine
    function iv(bytes32 market, uint256 strike, uint256 expiry) external view returns (uint256) {
        (uint256 forward, uint256 index) = _forward(market);
        return _iv(index, forward, strike, expiry);
    }

    /// @inheritdoc IPricingEngine
    function ivAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry) external view returns (uint256) {
        return _iv(_feed(market).index, forward, strike, expiry);
    }

    /// @inheritdoc IPricingEngine
    function smile(bytes32 market, uint256[] calldata strikes, uint256 expiry)
        external
        view
        returns (uint256 forward, uint256[] memory ivs)
    {
        uint256 index;
        (forward, index) = _forward(market);
        uint256 seconds_ = _maturity(expiry);
        (uint256 theta, int256 rho, uint256 eta,) = _slice(index, seconds_);
        ivs = new uint256[](strikes.length);
        for (uint256 i; i < strikes.length; ++i) {
            ivs[i] = _toWad(Ssvi.impliedVolAt(theta, rho, eta, _logStrike(strikes[i], forward), seconds_));
        }
    }

    /// @inheritdoc IPricingEngine
    function staleness(bytes32 market) external view returns (uint256 feedAge, uint256 modelAge) {
        (,,, uint256 updatedAt,) = _feed(market).source.latestRoundData();
        feedAge = block.timestamp > updatedAt ? block.timestamp - updatedAt : 0;
        modelAge = block.timestamp - _current.publishedAt;
    }

    /// @inheritdoc IPricingEngine
    function feedOf(bytes32 market) external view returns (IAggregatorV3, uint32) {
        Feed storage feed = _feed(market);
        return (feed.source, feed.maxAge);
    }

    /// @inheritdoc IPricingEngine
    function configuration() external view returns (Configuration memory c) {
        bytes memory pillars;
        (c.registry, c.maxModelAge, c.fractionBits, pillars) = _config();
        c.pillarSeconds = new uint32[](pillars.length / PILLAR);
        for (uint256 i; i < c.pillarSeconds.length; ++i) {
            c.pillarSeconds[i] = uint32(Surface.pillarSeconds(pillars, i));
        }
        uint256 idsAt = ARGS + HEAD + pillars.length;
        bytes memory ids = _code(address(this), idsAt, address(this).code.length - idsAt);
        c.markets = new bytes32[](ids.length / 32);
        for (uint256 i; i < c.markets.length; ++i) {
            bytes32 id;
            assembly ("memory-safe") {
                id := mload(add(add(ids, 32), shl(5, i)))
            }
            c.markets[i] = id;
        }
    }

    /// @dev Fills all but the forward, which it takes from `q`.
    function _quote(Quote memory q, uint256 index, uint256 strike, uint256 expiry) private view {
        uint256 forward = q.forward;
        int256 k = _logStrike(strike, forward);
        uint256 seconds_ = _maturity(expiry);
        uint256 variance;
        {
            (uint256 theta, int256 rho, uint256 eta, uint32 version) = _slice(index, seconds_);
            q.version = version;
            variance = Ssvi.totalVariance(theta, rho, eta, k);
        }
        uint256 sigma = Ssvi.impliedVol(variance, seconds_);
        uint256 dev = FixedPoint.sqrt(variance << 96);
        q.iv = _toWad(sigma);
        uint256 delta;
        uint256 density;
        (q.call, q.put, delta, density) = Black76.terms(forward, strike, k, dev);
        q.delta = int256(_toWad(delta));
        (q.gamma, q.vega, q.theta) = Black76.greeks(forward, density, dev, sigma, seconds_);
    }

    function _iv(uint256 index, uint256 forward, uint256 strike, uint256 expiry) private view returns (uint256) {
        int256 k = _logStrike(strike, forward);
        uint256 seconds_ = _maturity(expiry);
        (uint256 theta, int256 rho, uint256 eta,) = _slice(index, seconds_);
        return _toWad(Ssvi.impliedVolAt(theta, rho, eta, k, seconds_));
    }

    /// @dev The market's SSVI parameters in the current model, seconds_ from now.
    function _slice(uint256 index, uint256 seconds_)
        private
        view
        returns (uint256 theta, int256 rho, uint256 eta, uint32 version)
    {
        unchecked {
            (, uint256 maxAge, uint256 fractionBits, bytes memory pillars) = _config();
            Current memory model = _current;
            version = model.version;
            if (version == 0) revert NoModel();
            if (block.timestamp > uint256(model.publishedAt) + maxAge) revert StaleModel(version, model.publishedAt);
            uint256 size = pillars.length / 4 + 8;
            // One byte further: a model's code begins with a STOP.
            (theta, rho, eta) =
                Surface.sliceAt(_code(model.pointer, 1 + index * size, size), pillars, fractionBits, seconds_);
        }
    }

    function _maturity(uint256 expiry) private view returns (uint256 seconds_) {
        unchecked {
            if (expiry <= block.timestamp) revert Expired(expiry);
            seconds_ = expiry - block.timestamp;
            if (seconds_ > MAX_MATURITY) revert MaturityTooLong(expiry);
        }
    }

    /// @dev The feed's answer in WAD dollars, and the place of the market's block in the model.
    function _forward(bytes32 market) private view returns (uint256 forward, uint256 index) {
        Feed storage feed = _feed(market);
        uint256 maxAge;
        uint256 decimals;
        IAggregatorV3 source;
        // All four at once: one storage read.
        (source, maxAge, index, decimals) = (feed.source, feed.maxAge, feed.index, feed.decimals);
        (uint80 round, int256 answer,, uint256 updatedAt, uint80 answeredInRound) = source.latestRoundData();
        unchecked {
            // An answer from the future makes the age negative, that is, huge.
            if (updatedAt == 0 || block.timestamp - updatedAt > maxAge || answeredInRound < round) {
                revert StaleFeed(market, updatedAt);
            }
            if (answer <= 0 || answer > type(int128).max) revert BadFeedAnswer(market, answer);
            forward = uint256(answer) * 10 ** (18 - decimals);
            if (forward > type(uint128).max) revert BadFeedAnswer(market, answer);
        }
    }

    /// @dev ln(strike / forward), Q96.
    function _logStrike(uint256 strike, uint256 forward) private pure returns (int256) {
        unchecked {
            if (
                strike == 0 || forward == 0 || strike > type(uint128).max || forward > type(uint128).max
                    || strike > forward << 14 || forward > strike << 14
            ) revert StrikeOutOfRange(strike, forward);
        }
        return FixedPoint.lnRatio(strike, forward);
    }

    /// @dev Q96 to WAD, rounded down; x < 2^100.
    function _toWad(uint256 x) private pure returns (uint256) {
        unchecked {
            return (x * 1e18) >> 96;
        }
    }

    function _feed(bytes32 market) private view returns (Feed storage feed) {
        feed = _feeds[market];
        if (address(feed.source) == address(0)) revert UnknownMarket(market);
    }

    function _setFeed(bytes32 market, uint8 index, IAggregatorV3 feed, uint32 maxFeedAge) private {
        if (address(feed) == address(0)) revert ZeroAddress();
        uint8 decimals = feed.decimals();
        if (decimals > 18 || maxFeedAge == 0) revert BadMarket(market);
        _feeds[market] = Feed(feed, maxFeedAge, index, decimals);
        emit FeedChanged(market, feed, maxFeedAge);
    }

    function _config()
        private
        view
        returns (IModelRegistry registry, uint32 maxAge, uint8 fractionBits, bytes memory pillars)
    {
        bytes memory code = _code(address(this), ARGS, HEAD + PILLAR * MAX_PILLARS);
        assembly ("memory-safe") {
            let head := mload(add(code, 32))
            registry := shr(96, head)
            maxAge := and(shr(64, head), 0xffffffff)
            fractionBits := and(shr(56, head), 0xff)
            // The pillars stay where they are; their length takes the place of the head.
            pillars := add(code, HEAD)
            mstore(pillars, mul(PILLAR, and(shr(48, head), 0xff)))
        }
    }

    /// @dev `size` bytes of a contract's code, from `offset`; zeros beyond its end.
    function _code(address pointer, uint256 offset, uint256 size) private view returns (bytes memory data) {
        assembly ("memory-safe") {
            data := mload(0x40)
            mstore(data, size)
            extcodecopy(pointer, add(data, 32), offset, size)
            mstore(0x40, add(data, and(add(size, 63), not(31))))
        }
    }
}
