// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";

/// @title A price feed in Chainlink's form whose owner sets the answer.
/// @notice For networks without an oracle: local chains, demonstrations, tests.
contract SettableFeed is IAggregatorV3, Ownable {
    uint8 public immutable decimals;

    int128 private _answer;
    uint64 private _updatedAt;
    uint64 private _round;

    event AnswerSet(uint80 indexed roundId, int256 answer, uint256 updatedAt);

    /// @param owner_ Who may set the answer.
    /// @param decimals_ Decimals of the answer; 8 is usual for USD pairs.
    /// @param answer First answer, current as of this block.
    constructor(address owner_, uint8 decimals_, int128 answer) Ownable(owner_) {
        decimals = decimals_;
        _set(answer, uint64(block.timestamp));
    }

    /// @notice A new answer, current as of this block.
    function set(int128 answer) external onlyOwner {
        _set(answer, uint64(block.timestamp));
    }

    /// @notice A new answer as of the given second, which may lie in the past (stale) or in the future (broken).
    function setAt(int128 answer, uint64 updatedAt) external onlyOwner {
        _set(answer, updatedAt);
    }

    /// @inheritdoc IAggregatorV3
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (_round, _answer, _updatedAt, _updatedAt, _round);
    }

    function _set(int128 answer, uint64 updatedAt) private {
        (_answer, _updatedAt) = (answer, updatedAt);
        emit AnswerSet(++_round, answer, updatedAt);
    }
}
