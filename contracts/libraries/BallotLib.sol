// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationTypes} from "../interfaces/IFederation.sol";

/// @notice A node's ballot in one word; fields as in `IFederationTypes.Ballot`, from the lowest bit: commitment 208, round 24,
/// seat 8, state 16.
type BallotWord is uint256;

using BallotLib for BallotWord global;

/// @title A ballot is read once and written once: a struct in storage would be touched field by field.
library BallotLib {
    uint16 internal constant COMMITTED = 1;
    uint16 internal constant REVEALED = 2;
    uint16 internal constant SILENT = 3;
    uint16 internal constant DEMANDED = 4;
    uint16 internal constant ANSWERED = 5;
    uint16 internal constant DROPPED = 6;
    uint16 internal constant VEILED = 7;

    uint256 private constant ROUND = 208;
    uint256 private constant SEAT = 232;
    uint256 private constant STATE = 240;

    function pack(uint208 commitment_, uint24 round_, uint8 seat_, uint16 state_) internal pure returns (BallotWord) {
        return BallotWord.wrap(
            uint256(commitment_) | (uint256(round_) << ROUND) | (uint256(seat_) << SEAT) | (uint256(state_) << STATE)
        );
    }

    function commitment(BallotWord b) internal pure returns (uint208) {
        return uint208(BallotWord.unwrap(b));
    }

    function round(BallotWord b) internal pure returns (uint24) {
        return uint24(BallotWord.unwrap(b) >> ROUND);
    }

    function seat(BallotWord b) internal pure returns (uint8) {
        return uint8(BallotWord.unwrap(b) >> SEAT);
    }

    function state(BallotWord b) internal pure returns (uint16) {
        return uint16(BallotWord.unwrap(b) >> STATE);
    }

    /// @notice Whether the node's vector enters the aggregate of `number`.
    function counts(BallotWord b, uint24 number) internal pure returns (bool) {
        return b.round() == number && (b.state() == REVEALED || b.state() == ANSWERED);
    }

    function withState(BallotWord b, uint16 state_) internal pure returns (BallotWord) {
        return pack(b.commitment(), b.round(), b.seat(), state_);
    }

    function unpack(BallotWord b) internal pure returns (IFederationTypes.Ballot memory) {
        return IFederationTypes.Ballot(b.commitment(), b.round(), b.seat(), b.state());
    }
}
