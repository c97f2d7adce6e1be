// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Chainlink's feed interface, as deployed.
/// @dev Source: Chainlink `AggregatorV3Interface`. Declared here so that no oracle package is needed to read a feed.
interface IAggregatorV3 {
    function decimals() external view returns (uint8);

    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
}
