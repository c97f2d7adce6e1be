// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IAggregatorV3} from "./IAggregatorV3.sol";
import {IModelReader} from "./IModelRegistry.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title Implied volatility, option prices and greeks of a federation's current model.
/// @notice The surface is "ssvi-mixture" (see the library `Surface`): two slices at each listed expiry, priced as three parts of the
/// first and one of the second; prices are undiscounted Black-76 on the forward. In this version the forward of every expiry
/// is the answer of the market's feed; a caller with forwards of its own uses `ivAt` and `quoteAt`.
///
/// Units. "WAD" is 1e18 times the real number. Prices, strikes and forwards are WAD dollars, volatilities WAD fractions
/// (0.45e18 = 45%), expiries unix seconds, a year 365 days.
///
/// Between versions. A version is drawn into a chart when it is published. Until the next one, the volatility at a fixed
/// ln(strike / forward) and expiry stays what it is as the expiry comes nearer, but for what the state feeds move: total variance is
/// read at T (κ g + T) / (κ + T) instead of T = expiry - asOf, κ = 21 days, where g = (vol index / reference)^(2 β) *
/// (index / reference)^(2 β'), held in [1/4, 4]. A reference is a feed's answer when the version was published; a feed that gave none
/// then, and a vol index read from another source since, moves nothing until the next version. `ivAt` and `quoteAt` read no
/// feed: g = 1 there.
///
/// Domain. An expiry after now and up to twice as far from the version's `asOf` as its last listed one, strike / forward in
/// [2^-14, 2^14], both below 2^128. Inside it, and for every model that the registry can hold, a reading answers with a positive
/// finite volatility or reverts with an error declared here; only a revert of a feed itself passes through as it is.
///
/// Age. Readings refuse feeds that are older than the market allows, and a version whose `asOf` (not its publication) is
/// older than `maxModelAge`.
///
/// Bounds. A version in which the level of a market, the vol behind (3 θ1 + θ2) / 4 at an expiry, leaves the bounds or moves too far
/// from what the chart in force says of the same expiry is refused: the last good chart stays. A chart too old to be read
/// bounds no move. Publishing never fails because of what a model or a feed says.
interface IPricingEngine is IModelReader {
    /// @param id         Name of the market, say "BTC"; its place in the list is the place of its block of weights.
    /// @param feed       Source of the forward, in dollars; and of the index that moves the surface.
    /// @param maxFeedAge Seconds after which the feed's answer is refused.
    /// @param volFeed    Source of the market's vol index, in any unit; zero where it has none.
    /// @param maxVolAge  Seconds after which the vol index is refused.
    struct Market {
        bytes32 id;
        IAggregatorV3 feed;
        uint32 maxFeedAge;
        IAggregatorV3 volFeed;
        uint32 maxVolAge;
    }

    /// @notice What a version must keep to at each listed expiry.
    /// @param leastVolBps Vol of the level, in 1/10,000. @param mostVolBps Likewise.
    /// @param mostMoveBps How far that vol may move in a version, as a factor in 1/10,000: 20,000 = doubled or halved.
    struct Bounds {
        uint32 leastVolBps;
        uint32 mostVolBps;
        uint32 mostMoveBps;
    }

    /// @param forward WAD dollars, exactly the feed's answer or the caller's number.
    /// @param iv      WAD, rounded down.
    /// @param call    WAD dollars, rounded down, never below max(forward - strike, 0); at the surface's volatility within 2e-17 of
    ///                the forward and 2 units of the exact price.
    /// @param put     Exactly call - forward + strike.
    /// @param delta   Of the call at a fixed volatility, WAD, 0 to 1; the put's is this less 1e18.
    /// @param gamma   Change of delta per dollar of forward, WAD, rounded down.
    /// @param vega    Change of price per 1.00 (100 points) of volatility, WAD dollars, rounded down.
    /// @param theta   Change of price per year that passes, WAD dollars, rounded toward zero; not positive.
    /// @param version Version whose chart was read.
    struct Quote {
        uint256 forward;
        uint256 iv;
        uint256 call;
        uint256 put;
        int256 delta;
        uint256 gamma;
        uint256 vega;
        int256 theta;
        uint32 version;
    }

    /// @param registry     Where the models are.
    /// @param maxModelAge  Seconds from a version's `asOf` after which it is refused.
    /// @param fractionBits Binary point of the weights.
    /// @param pillars      Listed expiries that a version has.
    /// @param bounds       What a version must keep to.
    /// @param markets      Ids in the order of their blocks in the model.
    struct Configuration {
        IModelRegistry registry;
        uint32 maxModelAge;
        uint8 fractionBits;
        uint8 pillars;
        Bounds bounds;
        bytes32[] markets;
    }

    event FeedChanged(
        bytes32 indexed market, IAggregatorV3 feed, uint32 maxFeedAge, IAggregatorV3 volFeed, uint32 maxVolAge
    );
    /// @notice The version breaks a bound; the last good chart stays. @param expiry The first of `market` where it does.
    /// @param vol What the version says there, WAD.
    event VersionRefused(uint32 indexed version, bytes32 indexed market, uint256 expiry, uint256 vol);

    error ZeroAddress();
    /// @dev Between 1 and 255 markets.
    error BadMarketCount(uint256 count);
    /// @dev Each market needs an id of its own and feeds of at most 18 decimals, each with a positive age.
    error BadMarket(bytes32 market);
    /// @dev Between 1 and 16.
    error BadPillars(uint256 pillars);
    /// @dev Between 8 and 28.
    error BadFractionBits(uint8 fractionBits);
    error BadModelAge();
    /// @dev The least vol must be below the most, and the move at least 10,000.
    error BadBounds();
    /// @dev The genesis breaks a bound.
    error BadGenesis(bytes32 market, uint256 expiry, uint256 vol);
    /// @dev The clone was made with another configuration than it is set up with.
    error WrongConfiguration();
    error NotRegistry(address caller);
    /// @dev The registry's models have `given` weights, the surface needs markets * (6 pillars + 2).
    error WrongDimension(uint256 given, uint256 expected);

    error UnknownMarket(bytes32 market);
    /// @dev Not positive, or not below 2^128 as WAD.
    error BadFeedAnswer(bytes32 market, IAggregatorV3 feed, int256 answer);
    /// @dev Older than the market allows, from the future, never set, or carried over from an earlier round.
    error StaleFeed(bytes32 market, IAggregatorV3 feed, uint256 updatedAt);
    error StaleModel(uint32 version, uint256 asOf);
    error Expired(uint256 expiry);
    /// @dev `last` is the latest expiry that this version prices.
    error ExpiryBeyondSurface(uint256 expiry, uint256 last);
    /// @dev strike / forward outside [2^-14, 2^14], or one of them zero or not below 2^128.
    error StrikeOutOfRange(uint256 strike, uint256 forward);

    /// @notice What a clone must be made with (`Clones.cloneWithImmutableArgs`): all that never changes, so that a quote finds it
    /// in the clone's own code. Parameters and errors as for `initialize`.
    function pack(
        address registry,
        Market[] calldata markets,
        uint8 pillars,
        uint8 fractionBits,
        uint32 maxModelAge,
        Bounds calldata bounds
    ) external pure returns (bytes memory);

    /// @notice Sets up a clone, and draws the registry's current version; once only.
    /// @param registry     Where the models are; its dimension must be markets * (6 pillars + 2).
    /// @param admin         May change feeds: a timelock.
    /// @param markets      In the order of their blocks in the model.
    /// @param pillars      Listed expiries that a version has, 1 to 16.
    /// @param fractionBits Binary point of the weights.
    /// @param maxModelAge  Seconds from a version's `asOf` after which it is refused.
    /// @param bounds       What a version must keep to.
    function initialize(
        address registry,
        address admin,
        Market[] calldata markets,
        uint8 pillars,
        uint8 fractionBits,
        uint32 maxModelAge,
        Bounds calldata bounds
    ) external;

    /// @notice Other sources for a market's forward and vol index; `DEFAULT_ADMIN_ROLE` only. Another vol index moves the surface from
    /// the next version on.
    function setFeed(
        bytes32 market,
        IAggregatorV3 feed,
        uint32 maxFeedAge,
        IAggregatorV3 volFeed,
        uint32 maxVolAge
    ) external;

    /// @notice Volatility, prices and greeks on the feed's forward, with the surface where the state feeds have moved it.
    function quote(bytes32 market, uint256 strike, uint256 expiry) external view returns (Quote memory);

    /// @notice The same on the caller's forward, with the surface as it was published; no feed is read.
    function quoteAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry)
        external
        view
        returns (Quote memory);

    /// @notice Implied volatility on the feed's forward, with the surface where the state feeds have moved it; WAD, rounded down.
    function iv(bytes32 market, uint256 strike, uint256 expiry) external view returns (uint256);

    /// @notice The same on the caller's forward, with the surface as it was published; no feed is read.
    function ivAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry) external view returns (uint256);

    /// @notice `iv` of many strikes at one expiry, with the forward they stand on.
    function smile(bytes32 market, uint256[] calldata strikes, uint256 expiry)
        external
        view
        returns (uint256 forward, uint256[] memory ivs);

    /// @notice What the state feeds do to the clock now: g, and the answers when the chart was drawn that they are held against, WAD; 0
    /// for one that moves nothing.
    function state(bytes32 market) external view returns (uint256 g, uint256 indexReference, uint256 volReference);

    /// @notice Seconds since the market's feeds were updated and since the chart's `asOf`, whether or not they are still accepted; 0
    /// for a feed from the future, and for a vol index that the market does not have.
    function staleness(bytes32 market) external view returns (uint256 feedAge, uint256 volAge, uint256 modelAge);

    function feedOf(bytes32 market)
        external
        view
        returns (IAggregatorV3 feed, uint32 maxFeedAge, IAggregatorV3 volFeed, uint32 maxVolAge);

    /// @notice Version of the chart in force; the registry's own may be one that was refused here.
    function currentVersion() external view returns (uint32);

    /// @notice Listed expiries of the chart in force, unix seconds, rising; those in the past are part of it until the next version.
    function expiries() external view returns (uint256[] memory);

    /// @notice What `initialize` fixed for good.
    function configuration() external view returns (Configuration memory);
}
