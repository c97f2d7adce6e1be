// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";

/// @title A price feed in Chainlink's form whose owner sets the answer.
/// @notice For networks without an oracle: local chains, demonstrations, tests.
contract SettableFeed is IAggregatorV3, Ownable {
    uint8 public immutable decimals;

    int128 private _answer;
    uint48 private _updatedAt;
    uint40 private _round;
    uint40 private _answeredIn;

    event AnswerSet(uint80 indexed roundId, int256 answer, uint256 updatedAt);

    /// @param owner_ Who may set the answer.
    /// @param decimals_ Decimals of the answer; 8 is usual for USD pairs.
    /// @param answer First answer, current as of this block.
    constructor(address owner_, uint8 decimals_, int128 answer) Ownable(owner_) {
        decimals = decimals_;
        _set(answer, uint48(block.timestamp));
    }

    /// @notice A new answer, current as of this block.
    function set(int128 answer) external onlyOwner {
        _set(answer, uint48(block.timestamp));
    }

    /// @notice A new answer as of the given second, which may lie in the past (stale) or in the future (broken).
    function setAt(int128 answer, uint48 updatedAt) external onlyOwner {
        _set(answer, updatedAt);
    }

    /// @notice A new round that only carries the last answer over, as a feed does whose nodes did not agree in time.
    function carryOver() external onlyOwner {
        ++_round;
    }

    /// @inheritdoc IAggregatorV3
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (_round, _answer, _updatedAt, _updatedAt, _answeredIn);
    }

    function _set(int128 answer, uint48 updatedAt) private {
        (_answer, _updatedAt) = (answer, updatedAt);
        _answeredIn = ++_round;
        emit AnswerSet(_round, answer, updatedAt);
    }
}
