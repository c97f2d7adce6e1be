// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {IAggregatorV3} from "./interfaces/IAggregatorV3.sol";
import {IModelReader, IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IPricingEngine} from "./interfaces/IPricingEngine.sol";
import {Black76} from "./libraries/Black76.sol";
import {Feed, FeedLib} from "./libraries/FeedLib.sol";
import {FixedPoint} from "./libraries/FixedPoint.sol";
import {Listing} from "./libraries/Listing.sol";
import {Mixture} from "./libraries/Mixture.sol";
import {Slice, Ssvi} from "./libraries/Ssvi.sol";
import {Surface} from "./libraries/Surface.sol";

/// @title PricingEngine: the specification is IPricingEngine, the mathematics lies in the libraries.
/// @dev What never changes is the clone's own code (its immutable arguments), and each version is drawn once, into contract code: a
/// cold quote reads three slots here, the feeds, and its market's part of the chart, nothing else.
/// Arguments: maxModelAge (4 bytes), fractionBits (1), P (1), least vol, most vol, most move (4 each), registry (20), market
/// ids (32 each).
/// Chart: P tenors (4 bytes each); for each market a word of index and vol reference (12 each) and the betas of vol index and index (4
/// each), then P pillars (24 each).
contract PricingEngine is IPricingEngine, AccessControl, Initializable {
    uint256 private constant WAD = 1e18;
    uint256 private constant ONE_BPS_SQUARED = 1e8;
    uint256 private constant HEAD = 38;
    /// @dev Where OpenZeppelin's proxy code ends and its immutable arguments begin.
    uint256 private constant ARGS = 45;
    struct Current {
        uint32 version;
        address pointer;
        uint32 asOf;
    }

    struct Config {
        uint256 maxModelAge;
        uint256 fractionBits;
        uint256 pillars;
        uint256 leastVol;
        uint256 mostVol;
        uint256 mostMove;
        address registry;
    }

    /// @dev A market's part of a chart, and the tenors.
    struct Chart {
        uint256 version;
        uint256 asOf;
        uint256 fractionBits;
        uint256 state;
        bytes tenors;
        bytes pillars;
    }

    /// @dev Where an expiry is read: its slices, the time since the chart's, and what is left of it.
    struct Place {
        uint256 tenor;
        uint256 remaining;
        Slice first;
        Slice second;
    }

    /// @dev Where a version breaks a bound; market 0 where it breaks none.
    struct Breach {
        bytes32 market;
        uint256 expiry;
        uint256 vol;
    }

    Current private _current;
    mapping(bytes32 market => Feed) private _feeds;
    mapping(bytes32 market => Feed) private _volFeeds;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IPricingEngine
    function pack(
        address registry,
        Market[] calldata markets,
        uint8 pillars,
        uint8 fractionBits,
        uint32 maxModelAge,
        Bounds calldata bounds
    ) public pure returns (bytes memory args) {
        if (registry == address(0)) revert ZeroAddress();
        if (markets.length == 0 || markets.length > 255) revert BadMarketCount(markets.length);
        if (pillars == 0 || pillars > Listing.MAX_PILLARS) revert BadPillars(pillars);
        if (fractionBits < 8 || fractionBits > 28) revert BadFractionBits(fractionBits);
        if (maxModelAge == 0) revert BadModelAge();
        if (bounds.leastVolBps >= bounds.mostVolBps || bounds.mostMoveBps < 10_000) revert BadBounds();
        args = abi.encodePacked(
            maxModelAge, fractionBits, pillars, bounds.leastVolBps, bounds.mostVolBps, bounds.mostMoveBps, registry
        );
        for (uint256 i; i < markets.length; ++i) args = bytes.concat(args, markets[i].id);
    }

    /// @inheritdoc IPricingEngine
    function initialize(
        address registry,
        address admin,
        Market[] calldata markets,
        uint8 pillars,
        uint8 fractionBits,
        uint32 maxModelAge,
        Bounds calldata bounds
    ) external initializer {
        if (admin == address(0)) revert ZeroAddress();
        bytes memory args = pack(registry, markets, pillars, fractionBits, maxModelAge, bounds);
        uint256 given = IModelRegistry(registry).dimension();
        uint256 expected = markets.length * Surface.weightsOf(pillars);
        if (given != expected) revert WrongDimension(given, expected);
        for (uint256 i; i < markets.length; ++i) {
            Market calldata m = markets[i];
            if (m.id == 0 || address(_feeds[m.id].source) != address(0)) revert BadMarket(m.id);
            _setFeeds(m.id, uint8(i), m.feed, m.maxFeedAge, m.volFeed, m.maxVolAge);
        }
        if (keccak256(args) != keccak256(Clones.fetchCloneArgs(address(this)))) revert WrongConfiguration();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        (uint32 version, address pointer,, uint32 asOf) = IModelRegistry(registry).current();
        Breach memory breach = _draw(_config(), version, pointer, asOf);
        if (breach.market != 0) revert BadGenesis(breach.market, breach.expiry, breach.vol);
    }

    /// @inheritdoc IModelReader
    function modelPublished(uint32 version, address pointer, uint32 asOf) external {
        Config memory config = _config();
        if (msg.sender != config.registry) revert NotRegistry(msg.sender);
        Breach memory breach = _draw(config, version, pointer, asOf);
        if (breach.market != 0) emit VersionRefused(version, breach.market, breach.expiry, breach.vol);
    }

    /// @inheritdoc IPricingEngine
    function setFeed(bytes32 market, IAggregatorV3 feed, uint32 maxFeedAge, IAggregatorV3 volFeed, uint32 maxVolAge)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        _setFeeds(market, _feed(market).index, feed, maxFeedAge, volFeed, maxVolAge);
    }

    // ------------------------------------------------------------------ readings

    /// @inheritdoc IPricingEngine
    function quote(bytes32 market, uint256 strike, uint256 expiry) external view returns (Quote memory) {
        (uint256 forward, Chart memory chart) = _live(market);
        return _quote(chart, _place(chart, expiry, _clock(market, chart, forward)), forward, strike);
    }

    /// @inheritdoc IPricingEngine
    function quoteAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry)
        external
        view
        returns (Quote memory)
    {
        Chart memory chart = _chartOf(_feed(market).index);
        return _quote(chart, _place(chart, expiry, FixedPoint.ONE), forward, strike);
    }

    /// @inheritdoc IPricingEngine
    function iv(bytes32 market, uint256 strike, uint256 expiry) external view returns (uint256 vol) {
        (uint256 forward, Chart memory chart) = _live(market);
        (vol,,) = _vol(_place(chart, expiry, _clock(market, chart, forward)), forward, strike);
        return _toWad(vol);
    }

    /// @inheritdoc IPricingEngine
    function ivAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry) external view returns (uint256 vol) {
        (vol,,) = _vol(_place(_chartOf(_feed(market).index), expiry, FixedPoint.ONE), forward, strike);
        return _toWad(vol);
    }

    /// @inheritdoc IPricingEngine
    function smile(bytes32 market, uint256[] calldata strikes, uint256 expiry)
        external
        view
        returns (uint256 forward, uint256[] memory ivs)
    {
        Chart memory chart;
        (forward, chart) = _live(market);
        Place memory place = _place(chart, expiry, _clock(market, chart, forward));
        ivs = new uint256[](strikes.length);
        for (uint256 i; i < strikes.length; ++i) {
            (uint256 vol,,) = _vol(place, forward, strikes[i]);
            ivs[i] = _toWad(vol);
        }
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IPricingEngine
    function state(bytes32 market) external view returns (uint256 g, uint256 indexReference, uint256 volReference) {
        (uint256 forward, Chart memory chart) = _live(market);
        g = _toWad(_clock(market, chart, forward));
        (indexReference, volReference) = (chart.state >> 160, _volReference(_volFeeds[market], chart));
    }

    /// @inheritdoc IPricingEngine
    function staleness(bytes32 market) external view returns (uint256 feedAge, uint256 volAge, uint256 modelAge) {
        feedAge = FeedLib.ageOf(_feed(market).source);
        IAggregatorV3 volFeed = _volFeeds[market].source;
        if (address(volFeed) != address(0)) volAge = FeedLib.ageOf(volFeed);
        modelAge = block.timestamp - _current.asOf;
    }

    /// @inheritdoc IPricingEngine
    function feedOf(bytes32 market) external view returns (IAggregatorV3, uint32, IAggregatorV3, uint32) {
        (Feed storage feed, Feed storage volFeed) = (_feed(market), _volFeeds[market]);
        return (feed.source, feed.maxAge, volFeed.source, volFeed.maxAge);
    }

    /// @inheritdoc IPricingEngine
    function currentVersion() external view returns (uint32) {
        return _current.version;
    }

    /// @inheritdoc IPricingEngine
    function expiries() external view returns (uint256[] memory list) {
        Current memory current = _current;
        list = new uint256[](_config().pillars);
        bytes memory tenors = _code(current.pointer, 1, 4 * list.length);
        for (uint256 j; j < list.length; ++j) list[j] = current.asOf + Surface.tenorAt(tenors, j);
    }

    /// @inheritdoc IPricingEngine
    function configuration() external view returns (Configuration memory c) {
        Config memory config = _config();
        (c.registry, c.maxModelAge) = (IModelRegistry(config.registry), uint32(config.maxModelAge));
        (c.fractionBits, c.pillars) = (uint8(config.fractionBits), uint8(config.pillars));
        c.bounds = Bounds(uint32(config.leastVol), uint32(config.mostVol), uint32(config.mostMove));
        c.markets = _ids();
    }

    // ------------------------------------------------------------------ reading a chart

    /// @dev The feed's answer, and the chart of the market.
    function _live(bytes32 market) private view returns (uint256 forward, Chart memory chart) {
        Feed memory feed = _feed(market);
        forward = FeedLib.answer(market, feed);
        chart = _chartOf(feed.index);
    }

    function _chartOf(uint256 index) private view returns (Chart memory chart) {
        unchecked {
            uint256 head = _head();
            Current memory current = _current;
            if (block.timestamp > current.asOf + (head >> 224)) revert StaleModel(current.version, current.asOf);
            chart = _load(current, uint8(head >> 208), index);
            chart.fractionBits = uint8(head >> 216);
        }
    }

    /// @dev All but the binary point.
    function _load(Current memory current, uint256 count, uint256 index) private view returns (Chart memory chart) {
        unchecked {
            uint256 size = Surface.PILLAR_BYTES * count;
            (chart.version, chart.asOf) = (current.version, current.asOf);
            // One byte further: code begins with a STOP.
            chart.tenors = _code(current.pointer, 1, 4 * count);
            bytes memory part = _code(current.pointer, 1 + 4 * count + index * (32 + size), 32 + size);
            bytes memory pillars;
            uint256 word;
            assembly ("memory-safe") {
                // The pillars stay where they are; their length takes the place of the word before them.
                pillars := add(part, 32)
                word := mload(pillars)
                mstore(pillars, size)
            }
            (chart.state, chart.pillars) = (word, pillars);
        }
    }

    /// @dev g, in Q96.
    function _clock(bytes32 market, Chart memory chart, uint256 forward) private view returns (uint256) {
        unchecked {
            uint256 word = chart.state;
            int256 powers = Surface.powerOf(int32(uint32(word)), forward, word >> 160, chart.fractionBits);
            if (uint96(word >> 64) != 0) {
                Feed memory feed = _volFeeds[market];
                uint256 then_ = _volReference(feed, chart);
                if (then_ != 0) {
                    int256 beta = int32(uint32(word >> 32));
                    powers += Surface.powerOf(beta, FeedLib.answer(market, feed), then_, chart.fractionBits);
                }
            }
            return Surface.clockOf(powers, chart.fractionBits);
        }
    }

    function _volReference(Feed memory feed, Chart memory chart) private pure returns (uint256) {
        return feed.since < chart.version ? uint96(chart.state >> 64) : 0;
    }

    function _place(Chart memory chart, uint256 expiry, uint256 g) private view returns (Place memory place) {
        unchecked {
            if (expiry <= block.timestamp) revert Expired(expiry);
            uint256 last = chart.asOf + 2 * Surface.tenorAt(chart.tenors, chart.tenors.length / 4 - 1);
            if (expiry > last) revert ExpiryBeyondSurface(expiry, last);
            (place.tenor, place.remaining) = (expiry - chart.asOf, expiry - block.timestamp);
            (place.first, place.second) =
                Surface.slicesAt(chart.pillars, chart.tenors, Surface.momentOf(place.tenor, g));
        }
    }

    /// @dev Volatility and total deviation of what is left, Q96, and ln(strike / forward).
    function _vol(Place memory place, uint256 forward, uint256 strike)
        private
        pure
        returns (uint256 sigma, uint256 dev, int256 k)
    {
        unchecked {
            k = _logStrike(strike, forward);
            dev = Mixture.deviation(
                (Ssvi.totalVariance(place.first, k) * place.remaining) / place.tenor,
                (Ssvi.totalVariance(place.second, k) * place.remaining) / place.tenor,
                k
            );
            sigma = FixedPoint.sqrt((dev * dev * Black76.YEAR) / place.remaining);
        }
    }

    function _quote(Chart memory chart, Place memory place, uint256 forward, uint256 strike)
        private
        pure
        returns (Quote memory q)
    {
        (uint256 sigma, uint256 dev, int256 k) = _vol(place, forward, strike);
        (q.forward, q.iv, q.version) = (forward, _toWad(sigma), uint32(chart.version));
        uint256 delta;
        uint256 density;
        (q.call, q.put, delta, density) = Black76.terms(forward, strike, k, dev);
        q.delta = int256(_toWad(delta));
        (q.gamma, q.vega, q.theta) = Black76.greeks(forward, density, dev, sigma, place.remaining);
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
            return (x * WAD) >> 96;
        }
    }

    // ------------------------------------------------------------------ drawing a chart

    /// @dev Draws the version and puts it in force, unless it breaks a bound.
    function _draw(Config memory config, uint32 version, address pointer, uint32 asOf)
        private
        returns (Breach memory breach)
    {
        bytes32[] memory ids = _ids();
        uint256 width = Surface.weightsOf(config.pillars);
        bytes memory model = _code(pointer, 1, 4 * width * ids.length);
        uint256[] memory tenors = Listing.expiries(asOf, config.pillars);
        bytes memory drawn;
        for (uint256 j; j < tenors.length; ++j) {
            tenors[j] -= asOf;
            drawn = abi.encodePacked(drawn, uint32(tenors[j]));
        }
        for (uint256 i; i < ids.length; ++i) {
            bytes memory pillars = Surface.chart(model, i * width, tenors, config.fractionBits);
            breach = _firstBreach(config, ids[i], i, pillars, tenors, asOf);
            if (breach.market != 0) return breach;
            drawn = bytes.concat(drawn, _stateWord(ids[i], model, (i + 1) * width), pillars);
        }
        _current = Current(version, SSTORE2.write(drawn), asOf);
    }

    /// @dev The references of now and the betas, which end before the weight at `end`.
    function _stateWord(bytes32 market, bytes memory model, uint256 end) private view returns (bytes32 word) {
        uint256 betas;
        assembly ("memory-safe") {
            betas := and(mload(add(model, shl(2, end))), 0xffffffffffffffff)
        }
        return bytes32((FeedLib.softAnswer(_feeds[market]) << 160) | (FeedLib.softAnswer(_volFeeds[market]) << 64) | betas);
    }

    function _firstBreach(
        Config memory config,
        bytes32 market,
        uint256 index,
        bytes memory pillars,
        uint256[] memory tenors,
        uint256 asOf
    ) private view returns (Breach memory) {
        unchecked {
            Current memory current = _current;
            Chart memory old;
            bool held = current.version != 0 && block.timestamp <= current.asOf + config.maxModelAge;
            if (held) old = _load(current, config.pillars, index);
            for (uint256 j; j < tenors.length; ++j) {
                (uint256 tenor, uint256 level) = (tenors[j], Surface.levelAt(pillars, j));
                // Four times the variance a year, times 2^34, times the tenor.
                uint256 scaled = level * Black76.YEAR * ONE_BPS_SQUARED;
                bool good = scaled >= config.leastVol * config.leastVol * (tenor << 36)
                    && scaled <= config.mostVol * config.mostVol * (tenor << 36);
                if (good && held) {
                    uint256 before = asOf + tenor - current.asOf;
                    (Slice memory first, Slice memory second) =
                        Surface.slicesAt(old.pillars, old.tenors, before << 32);
                    uint256 was = (3 * first.theta + second.theta) * tenor;
                    uint256 now_ = (level << 62) * before;
                    uint256 most = config.mostMove * config.mostMove;
                    good = now_ * ONE_BPS_SQUARED <= was * most && was * ONE_BPS_SQUARED <= now_ * most;
                }
                if (!good) {
                    uint256 variance = ((level << 60) * Black76.YEAR) / tenor;
                    return Breach(market, asOf + tenor, _toWad(FixedPoint.sqrt(variance << 96)));
                }
            }
        }
    }

    // ------------------------------------------------------------------ feeds

    function _feed(bytes32 market) private view returns (Feed storage feed) {
        feed = _feeds[market];
        if (address(feed.source) == address(0)) revert UnknownMarket(market);
    }

    function _setFeeds(
        bytes32 market,
        uint8 index,
        IAggregatorV3 feed,
        uint32 maxFeedAge,
        IAggregatorV3 volFeed,
        uint32 maxVolAge
    ) private {
        if (address(feed) == address(0)) revert ZeroAddress();
        _feeds[market] = _checked(market, index, feed, maxFeedAge);
        Feed memory last = _volFeeds[market];
        Feed memory next;
        if (address(volFeed) != address(0)) next = _checked(market, index, volFeed, maxVolAge);
        next.since = last.source == volFeed ? last.since : _current.version;
        _volFeeds[market] = next;
        emit FeedChanged(market, feed, maxFeedAge, volFeed, maxVolAge);
    }

    function _checked(bytes32 market, uint8 index, IAggregatorV3 feed, uint32 maxAge)
        private
        view
        returns (Feed memory)
    {
        uint8 decimals = feed.decimals();
        if (decimals > 18 || maxAge == 0) revert BadMarket(market);
        return Feed(feed, maxAge, index, decimals, 0);
    }

    // ------------------------------------------------------------------ code

    /// @dev The first 32 bytes of the arguments.
    function _head() private view returns (uint256 head) {
        assembly ("memory-safe") {
            extcodecopy(address(), 0, ARGS, 32)
            head := mload(0)
        }
    }

    function _config() private view returns (Config memory) {
        uint256 head = _head();
        return Config(
            uint32(head >> 224),
            uint8(head >> 216),
            uint8(head >> 208),
            uint32(head >> 176),
            uint32(head >> 144),
            uint32(head >> 112),
            address(bytes20(bytes32(_code(address(this), ARGS + HEAD - 20, 20))))
        );
    }

    function _ids() private view returns (bytes32[] memory ids) {
        uint256 start = ARGS + HEAD;
        bytes memory code = _code(address(this), start, address(this).code.length - start);
        assembly ("memory-safe") {
            ids := code
            mstore(ids, shr(5, mload(code)))
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
