// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationTypes} from "../../contracts/interfaces/IFederation.sol";
import {BallotLib, BallotWord} from "../../contracts/libraries/BallotLib.sol";
import {ClockLib, ClockWord} from "../../contracts/libraries/ClockLib.sol";
import {VectorLib} from "../../contracts/libraries/VectorLib.sol";

/// @title What holds for every word there is: halmos proves each `check_` for all its arguments at once (`make assure`).
contract Packing {
    /// @notice A lane reads as what was packed into it, whatever the other lanes and the top byte hold.
    function check_update_lane_reads_what_was_packed(uint256 rest, uint256 lane, int256 value) external pure {
        if (lane >= VectorLib.LANES || value < -VectorLib.BIAS || value >= (1 << 31) - VectorLib.BIAS) return;
        uint256 shift = VectorLib.LANE_BITS * (VectorLib.LANES - 1 - lane);
        uint256 word = (rest & ~(VectorLib.LANE_MASK << shift)) | (uint256(value + VectorLib.BIAS) << shift);
        assert(VectorLib.updateLane(word, lane) == value);
    }

    /// @notice However hostile the word, a lane lies in [-2^23, 2^31 - 2^23): 128 of them times any step fit 256 bits.
    function check_update_lane_is_bounded(uint256 word, uint256 lane) external pure {
        if (lane >= VectorLib.LANES) return;
        int256 value = VectorLib.updateLane(word, lane);
        assert(value >= -(1 << 23) && value < (1 << 31) - (1 << 23));
    }

    function check_model_lane_reads_what_was_packed(uint256 rest, uint256 lane, int32 value) external pure {
        if (lane >= VectorLib.LANES) return;
        uint256 shift = 32 * (VectorLib.LANES - 1 - lane);
        uint256 word = (rest & ~(uint256(type(uint32).max) << shift)) | (uint256(uint32(value)) << shift);
        assert(VectorLib.modelLane(word, lane) == value);
    }

    /// @notice Enough whole words, and none too many.
    function check_byte_length_is_least(uint256 dimension) external pure {
        if (dimension == 0 || dimension > VectorLib.MAX_DIMENSION) return;
        uint256 words = VectorLib.byteLength(dimension) / 32;
        assert(words * VectorLib.LANES >= dimension && (words - 1) * VectorLib.LANES < dimension);
    }

    function check_ballot_keeps_its_fields(uint208 commitment, uint24 round, uint8 seat, uint16 state, uint16 then_)
        external
        pure
    {
        BallotWord b = BallotLib.pack(commitment, round, seat, state);
        assert(b.commitment() == commitment && b.round() == round && b.seat() == seat && b.state() == state);
        b = b.withState(then_);
        assert(b.commitment() == commitment && b.round() == round && b.seat() == seat && b.state() == then_);
        bool counts = then_ == BallotLib.REVEALED || then_ == BallotLib.ANSWERED;
        assert(b.counts(round) == counts);
    }

    /// @notice Entering a stage writes stage and time, and not a bit besides.
    function check_enter_changes_nothing_else(uint256 word, uint8 stage, uint40 since) external pure {
        if (stage > uint8(type(IFederationTypes.Phase).max)) return;
        ClockWord c = ClockWord.wrap(word).enter(IFederationTypes.Phase(stage), since);
        assert(uint8(c.stage()) == stage && c.since() == since);
        uint256 kept = ~(uint256(type(uint8).max) | (uint256(type(uint40).max) << 56));
        assert((ClockWord.unwrap(c) ^ word) & kept == 0);
    }

    /// @notice The seed is written once, over zeros or not, and touches no counter.
    function check_seed_changes_nothing_else(uint256 word, uint64 seed) external pure {
        ClockWord c = ClockWord.wrap(word).withSeed(seed);
        assert(c.seed() == seed && uint192(ClockWord.unwrap(c)) == uint192(word));
    }

    /// @notice A demand takes one reveal off the count and its answer puts it back; no other field notices.
    function check_demand_and_answer_cancel(uint256 word) external pure {
        ClockWord c = ClockWord.wrap(word);
        if (c.revealed() == 0 || c.demands() == type(uint8).max) return;
        ClockWord less = c.countDemand(false);
        assert(less.revealed() == c.revealed() - 1);
        assert(less.demands() == c.demands() + 1);
        uint256 counters = uint256(type(uint8).max) << 184 | uint256(type(uint8).max) << 48;
        assert((ClockWord.unwrap(less) ^ word) & ~counters == 0);
        assert(ClockWord.unwrap(less.countDemand(true)) == word);
    }
}
