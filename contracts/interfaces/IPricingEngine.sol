// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IAggregatorV3} from "./IAggregatorV3.sol";
import {IModelReader} from "./IModelRegistry.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @title Implied volatility, option prices and greeks of a federation's current model.
/// @notice The surface is "ssvi-pillars" (see the library `Surface`), the prices undiscounted Black-76 on the forward. In this
/// version the forward of every expiry is the answer of the market's feed; a caller with forwards of its own uses `ivAt`
/// and `quoteAt`.
///
/// Units. "WAD" is 1e18 times the real number. Prices, strikes and forwards are WAD dollars, volatilities WAD fractions
/// (0.45e18 = 45%), expiries unix seconds, a year 365 days.
///
/// Domain. 1 second to `MAX_MATURITY` (5 years) to expiry, strike / forward in [2^-14, 2^14], both below 2^128. Inside it, and for
/// every model that the registry can hold, a reading answers with a positive finite volatility or reverts with an error
/// declared here; only a revert of the feed itself passes through as it is.
interface IPricingEngine is IModelReader {
    /// @param id         Name of the market, say "BTC"; its place in the list is the place of its block of weights.
    /// @param feed       Source of the forward, in dollars.
    /// @param maxFeedAge Seconds after which the feed's answer is refused.
    struct Market {
        bytes32 id;
        IAggregatorV3 feed;
        uint32 maxFeedAge;
    }

    /// @param forward WAD dollars, exactly the feed's answer or the caller's number.
    /// @param iv      WAD, rounded down.
    /// @param call    WAD dollars, rounded down, never below max(forward - strike, 0); at the surface's volatility within 2e-17 of
    ///                the forward and 2 units of the exact price.
    /// @param put     Exactly call - forward + strike.
    /// @param delta   Of the call, WAD, 0 to 1; the put's is this less 1e18.
    /// @param gamma   Change of delta per dollar of forward, WAD, rounded down.
    /// @param vega    Change of price per 1.00 (100 points) of volatility, WAD dollars, rounded down.
    /// @param theta   Change of price per year that passes, WAD dollars, rounded toward zero; not positive.
    /// @param version Version of the model.
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

    /// @param registry      Where the models are.
    /// @param maxModelAge   Seconds after which a model is refused.
    /// @param fractionBits  Binary point of the weights.
    /// @param pillarSeconds Maturities of a market's levels.
    /// @param markets       Ids in the order of their blocks in the model.
    struct Configuration {
        IModelRegistry registry;
        uint32 maxModelAge;
        uint8 fractionBits;
        uint32[] pillarSeconds;
        bytes32[] markets;
    }

    event FeedChanged(bytes32 indexed market, IAggregatorV3 feed, uint32 maxFeedAge);

    error ZeroAddress();
    /// @dev Between 1 and 255 markets.
    error BadMarketCount(uint256 count);
    /// @dev Each market needs an id, a feed of at most 18 decimals and a positive age, and an id of its own.
    error BadMarket(bytes32 market);
    /// @dev 1 to 30 pillars, strictly increasing, from 1 second to `MAX_MATURITY`. `index` is the first wrong one, or their number.
    error BadPillar(uint256 index);
    /// @dev Between 8 and 28.
    error BadFractionBits(uint8 fractionBits);
    error BadModelAge();
    /// @dev The clone was made with another configuration than it is set up with.
    error WrongConfiguration();
    error NotRegistry(address caller);
    /// @dev The registry's models have `given` weights, the surface needs markets * (pillars + 2).
    error WrongDimension(uint256 given, uint256 expected);

    error UnknownMarket(bytes32 market);
    /// @dev Not positive, or not below 2^128 as WAD.
    error BadFeedAnswer(bytes32 market, int256 answer);
    /// @dev Older than the market allows, from the future, never set, or carried over from an earlier round.
    error StaleFeed(bytes32 market, uint256 updatedAt);
    error NoModel();
    error StaleModel(uint32 version, uint256 publishedAt);
    error Expired(uint256 expiry);
    error MaturityTooLong(uint256 expiry);
    /// @dev strike / forward outside [2^-14, 2^14], or one of them zero or not below 2^128.
    error StrikeOutOfRange(uint256 strike, uint256 forward);

    /// @notice Longest time to expiry that is priced, and longest pillar: 5 years of 365 days, in seconds.
    function MAX_MATURITY() external view returns (uint256);

    /// @notice What a clone must be made with (`Clones.cloneWithImmutableArgs`): all that never changes, so that a quote finds it
    /// in the clone's own code. Parameters and errors as for `initialize`.
    function pack(
        address registry,
        Market[] calldata markets,
        uint32[] calldata pillarSeconds,
        uint8 fractionBits,
        uint32 maxModelAge
    ) external pure returns (bytes memory);

    /// @notice Sets up a clone; once only.
    /// @param registry      Where the models are; its dimension must be markets * (pillars + 2).
    /// @param admin          May change feeds: a timelock.
    /// @param markets       In the order of their blocks in the model.
    /// @param pillarSeconds  Maturities of the levels, strictly increasing.
    /// @param fractionBits  Binary point of the weights.
    /// @param maxModelAge   Seconds after which a model is refused.
    function initialize(
        address registry,
        address admin,
        Market[] calldata markets,
        uint32[] calldata pillarSeconds,
        uint8 fractionBits,
        uint32 maxModelAge
    ) external;

    /// @notice Another source for a market's forward; `DEFAULT_ADMIN_ROLE` only.
    function setFeed(bytes32 market, IAggregatorV3 feed, uint32 maxFeedAge) external;

    /// @notice Volatility, prices and greeks on the feed's forward.
    function quote(bytes32 market, uint256 strike, uint256 expiry) external view returns (Quote memory);

    /// @notice The same on the caller's forward; no feed is read.
    function quoteAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry)
        external
        view
        returns (Quote memory);

    /// @notice Implied volatility on the feed's forward, WAD, rounded down.
    function iv(bytes32 market, uint256 strike, uint256 expiry) external view returns (uint256);

    /// @notice The same on the caller's forward; no feed is read.
    function ivAt(bytes32 market, uint256 forward, uint256 strike, uint256 expiry) external view returns (uint256);

    /// @notice Implied volatilities of many strikes at one expiry, WAD, rounded down, with the forward they stand on.
    function smile(bytes32 market, uint256[] calldata strikes, uint256 expiry)
        external
        view
        returns (uint256 forward, uint256[] memory ivs);

    /// @notice Seconds since the market's feed and since the model were updated, whether or not they are still accepted; 0 for a
    /// feed from the future.
    function staleness(bytes32 market) external view returns (uint256 feedAge, uint256 modelAge);

    function feedOf(bytes32 market) external view returns (IAggregatorV3 feed, uint32 maxFeedAge);

    /// @notice What `initialize` fixed for good.
    function configuration() external view returns (Configuration memory);
}
