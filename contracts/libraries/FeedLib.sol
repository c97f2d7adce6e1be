// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";
import {IPricingEngine} from "../interfaces/IPricingEngine.sol";

/// @notice A source of a market's index or vol index. @param maxAge Seconds after which its answer is refused. @param index Place of
/// the market's block. @param since The version in force when this source came; until the next it moves nothing. Of vol
/// indices only.
struct Feed {
    IAggregatorV3 source;
    uint32 maxAge;
    uint8 index;
    uint8 decimals;
    uint32 since;
}

/// @title Reading feeds: hard for a price, softly where nothing may fail.
library FeedLib {
    /// @dev What a feed may take at publication. Whoever publishes with so little that a feed fails for want of it has none left to
    /// write the chart with.
    uint256 private constant FEED_GAS = 100_000;

    /// @notice A feed's answer, WAD; whatever is wrong with it reverts.
    function answer(bytes32 market, Feed memory feed) internal view returns (uint256 wad) {
        (uint80 round, int256 value,, uint256 updatedAt, uint80 answeredInRound) = feed.source.latestRoundData();
        if (!_isFresh(feed.maxAge, round, updatedAt, answeredInRound)) {
            revert IPricingEngine.StaleFeed(market, feed.source, updatedAt);
        }
        wad = _asWad(value, feed.decimals);
        if (wad == 0 || wad > type(uint128).max) revert IPricingEngine.BadFeedAnswer(market, feed.source, value);
    }

    /// @notice A feed's answer at publication, WAD, 96 bits; 0 where anything is wrong with it. Whatever it does, this returns.
    function softAnswer(Feed memory feed) internal view returns (uint256 wad) {
        bytes memory call_ = abi.encodeCall(IAggregatorV3.latestRoundData, ());
        address source = address(feed.source);
        uint256[5] memory data;
        bool given;
        assembly ("memory-safe") {
            given := staticcall(FEED_GAS, source, add(call_, 32), mload(call_), data, 160)
            given := and(given, gt(returndatasize(), 159))
        }
        if (given && _isFresh(feed.maxAge, data[0], data[3], data[4])) wad = _asWad(int256(data[1]), feed.decimals);
        if (wad > type(uint96).max) wad = 0;
    }

    function _isFresh(uint256 maxAge, uint256 round, uint256 updatedAt, uint256 answeredInRound)
        private
        view
        returns (bool)
    {
        unchecked {
            // An answer from the future makes the age negative, that is, huge.
            return updatedAt != 0 && block.timestamp - updatedAt <= maxAge && answeredInRound >= round;
        }
    }

    /// @dev 0 where the answer is not positive or out of bounds.
    function _asWad(int256 value, uint256 decimals) private pure returns (uint256) {
        unchecked {
            return value <= 0 || value > type(int128).max ? 0 : uint256(value) * 10 ** (18 - decimals);
        }
    }

    /// @notice Seconds since the answer; 0 for one from the future.
    function ageOf(IAggregatorV3 feed) internal view returns (uint256) {
        (,,, uint256 updatedAt,) = feed.latestRoundData();
        return block.timestamp > updatedAt ? block.timestamp - updatedAt : 0;
    }
}
