// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IKeyring} from "../interfaces/IKeyring.sol";
import {IProofs} from "../interfaces/IProofs.sol";
import {Listing} from "./Listing.sol";
import {Poseidon2} from "./Poseidon2.sol";

/// @title What a proof says: the circuit's public inputs, in their order. Twin: offchain/fedvol/protocol/statement.py
/// @dev Each input is one field element. Hashes lose their last 8 bits, as 256 would not fit.
library StatementLib {
    /// @dev Places of a cluster in the circuit; those beyond m stand empty.
    uint256 internal constant PLACES = 8;
    uint256 internal constant DIMENSION = 160;
    /// @dev Of a weighted vector: moves, then weights.
    uint256 internal constant WORDS = 2 * DIMENSION / 8;

    uint256 private constant KEYS = 3;
    uint256 private constant SELF_HASH = KEYS + 2 * PLACES;
    uint256 private constant PAIR_HASHES = SELF_HASH + 1;
    uint256 private constant BOUNDS = PAIR_HASHES + PLACES;
    uint256 private constant VECTOR = BOUNDS + 4;
    uint256 internal constant BOUNDED_INPUTS = VECTOR + WORDS;
    uint256 private constant MODEL = BOUNDED_INPUTS + 4;
    /// @dev int32 each, in one field element.
    uint256 private constant WEIGHTS_A_WORD = 7;
    uint256 internal constant TRAINED_INPUTS = MODEL + (DIMENSION + WEIGHTS_A_WORD - 1) / WEIGHTS_A_WORD;

    /// @dev Of the surfaces whose training can be proven.
    uint256 internal constant MARKETS = 2;
    uint256 internal constant PILLARS = 13;
    uint256 internal constant FRACTION_BITS = 20;

    /// @dev SHA-256 of key 0, which stands for no key.
    bytes32 private constant NO_KEY_HASH = 0x66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925;

    /// @param context    `MaskLib.context`. @param first First seat of the cluster. @param place Of the node in it.
    /// @param keys       Of each of its m places. @param pairHashes Likewise; 0 at the own place.
    struct Subject {
        uint256 context;
        uint256 first;
        uint256 place;
        IKeyring.Key[] keys;
        bytes32 selfHash;
        bytes32[] pairHashes;
    }

    /// @param unit 2^weightShift. @param norm Largest Σp².
    struct Bounds {
        uint256 clamp;
        uint256 weightCap;
        uint256 unit;
        uint256 norm;
    }

    /// @notice The first inputs of every kind: masks and bounds.
    /// @param data The masked vector. @param more Inputs of the kind that come after these.
    function bounded(Subject memory s, Bounds memory b, bytes calldata data, uint256 more)
        internal
        pure
        returns (bytes32[] memory inputs)
    {
        require(data.length == 32 * WORDS, IProofs.WrongWordCount(data.length / 32, WORDS));
        inputs = new bytes32[](BOUNDED_INPUTS + more);
        (inputs[0], inputs[1], inputs[2]) = (bytes32(s.context), bytes32(s.first), bytes32(s.place));
        inputs[SELF_HASH] = s.selfHash >> 8;
        for (uint256 j; j < PLACES; ++j) {
            bool taken = j < s.keys.length;
            if (taken) {
                (inputs[KEYS + 2 * j], inputs[KEYS + 2 * j + 1]) = (bytes32(s.keys[j].x), bytes32(s.keys[j].y));
            }
            inputs[PAIR_HASHES + j] = (taken ? s.pairHashes[j] : NO_KEY_HASH) >> 8;
        }
        inputs[BOUNDS] = bytes32(b.clamp);
        inputs[BOUNDS + 1] = bytes32(b.weightCap);
        inputs[BOUNDS + 2] = bytes32(b.unit);
        inputs[BOUNDS + 3] = bytes32(b.norm);
        for (uint256 w; w < WORDS; ++w) inputs[VECTOR + w] = _element(bytes32(data[32 * w:32 * w + 32]));
    }

    /// @notice What kind Trained adds: the root of the rows; what the round started from and when; within which limits.
    /// @param inputs Of `bounded`, with room for TRAINED_INPUTS. @param limits As `IProofs.Terms`.
    /// @param asOf   Unix seconds of the round's opening. @param model The last one, carried to it.
    function trained(bytes32[] memory inputs, bytes32 dataRoot, uint256 asOf, uint256 limits, bytes memory model)
        internal
        pure
    {
        uint256[] memory expiries = Listing.expiries(asOf, PILLARS);
        uint256 days_;
        for (uint256 j; j < PILLARS; ++j) days_ |= (expiries[j] / 1 days) << (16 * j);
        inputs[BOUNDED_INPUTS] = _element(dataRoot);
        inputs[BOUNDED_INPUTS + 1] = bytes32(asOf);
        inputs[BOUNDED_INPUTS + 2] = bytes32(days_);
        inputs[BOUNDED_INPUTS + 3] = bytes32(limits);
        for (uint256 i; i < DIMENSION; ++i) {
            uint256 weight = _weight(model, i) ^ (1 << 31); // biased by 2^31
            inputs[MODEL + i / WEIGHTS_A_WORD] |= bytes32(weight << (32 * (i % WEIGHTS_A_WORD)));
        }
    }

    function _weight(bytes memory model, uint256 index) private pure returns (uint256 weight) {
        assembly ("memory-safe") {
            weight := shr(224, mload(add(add(model, 32), shl(2, index))))
        }
    }

    /// @dev A verifier may reduce what it is given: each statement has one form only.
    function _element(bytes32 value) private pure returns (bytes32) {
        require(uint256(value) < Poseidon2.FIELD, IProofs.NotInField(uint256(value)));
        return value;
    }
}
