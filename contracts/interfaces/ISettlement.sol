// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederation} from "./IFederation.sol";

/// @title Recomputes an aggregate from the revealed bytes: to prove a proposal wrong, or to make it final at once.
/// @notice Anybody may call. The bytes come with the call and are checked against the commitments on chain; nothing is believed.
/// A range of words is recomputed by the federation's rule, exactly as its Python twin does.
///
/// Warning: the vectors must be those of *all* nodes whose reveal counts (ballot state 2 or 5), in rising order of address; in masked
/// rounds those of all survivors of the clusters that were unmasked.
///
/// In a masked round the rule combines clusters. With Σ over a cluster's survivors: the moves are Σp (plain: Σu), the weights Σh (plain:
/// their number), bounded as those of one node are, m times over. A claim of the proposer that a cluster has no sum is wrong where the
/// word it names is one; and so is its silence where a word that is recomputed is none.
interface ISettlement {
    /// @notice What a node revealed, and what opens its commitment. All of it is in the `Revealed` event but the bytes.
    /// @param data The bytes of its update: `VectorLib.vectorLength`. @param keys In masked rounds what it unmasked with, else nothing.
    struct Vector {
        address node;
        bytes32 annex;
        bytes32 salt;
        bytes data;
        bytes32[] keys;
    }

    /// @param word First word of the proposed model that was proven wrong. @param taken What the proposer lost; half, rounded down,
    /// can be claimed from the vault by `accuser`.
    event Disproved(
        uint24 indexed round, address indexed proposer, address indexed accuser, uint256 word, uint256 taken
    );
    /// @param words Words of the proposal that are recomputed so far. @param final_ Whether that finished the round.
    event Settled(uint24 indexed round, address indexed settler, uint256 words, bool final_);

    /// @dev The bytes are not those of the proposal that stands.
    error NotTheProposal(bytes32 given, bytes32 proposed);
    error WrongVectorCount(uint256 given, uint256 expected);
    /// @dev Addresses must rise strictly, so that nobody counts twice.
    error NotRising(uint256 index);
    /// @dev This node's reveal does not count in this round.
    error DoesNotCount(address node);
    /// @dev These bytes, annex and salt are not what this node committed to.
    error NotCommitted(address node);
    error WrongVectorLength(address node, uint256 given, uint256 expected);
    error EmptyRange(uint256 firstWord, uint256 words);
    /// @dev The proposal is right in the range: the accuser pays its gas.
    error ProposalHolds(uint256 firstWord, uint256 words);
    /// @dev The proposal is wrong at `word`: dispute it.
    error ProposalWrong(uint256 word);

    /// @notice Sets up a clone; once only.
    function initialize(IFederation federation) external;

    /// @notice Proves that the proposal differs from the rule's result in `words` words from `firstWord`: overturns it and slashes
    /// its proposer. Reverts `ProposalHolds` where it does not.
    /// @param model The proposal's bytes. @param vectors Of all nodes that count.
    function dispute(bytes calldata model, Vector[] calldata vectors, uint256 firstWord, uint256 words) external;

    /// @notice Recomputes the next `words` words of the proposal (after those that earlier calls have recomputed), and makes the
    /// round final and published when that was the last of them. Reverts `ProposalWrong` where the proposal is.
    /// @param words At least 1; more than are left count as those that are left.
    /// @return final_ Whether the round is final now.
    function settle(bytes calldata model, Vector[] calldata vectors, uint256 words) external returns (bool final_);

    /// @notice Words of the standing proposal that `settle` has recomputed.
    function settledWords() external view returns (uint256);

    function federation() external view returns (IFederation);
}
