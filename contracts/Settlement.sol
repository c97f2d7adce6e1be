// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IFederation, IFederationErrors, IFederationTypes} from "./interfaces/IFederation.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {BallotWord} from "./libraries/BallotLib.sol";
import {ClockWord} from "./libraries/ClockLib.sol";
import {CommitLib} from "./libraries/CommitLib.sol";
import {Rule, RuleLib} from "./libraries/RuleLib.sol";
import {VectorLib} from "./libraries/VectorLib.sol";

/// @title Settlement: the specification is ISettlement.
contract Settlement is ISettlement, Initializable {
    /// @dev How far `settle` has come, and with which proposal.
    struct Progress {
        uint24 round;
        uint8 failures;
        uint16 words;
    }

    /// @dev All that a word is recomputed from. `at`: where in calldata each node's bytes begin.
    struct Case {
        Rule rule;
        uint256 dimension;
        bytes old;
        uint256[] at;
        uint24 round;
        address proposer;
        uint8 failures;
    }

    IFederation public federation;
    Progress private _progress;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc ISettlement
    function initialize(IFederation federation_) external initializer {
        federation = federation_;
    }

    /// @inheritdoc ISettlement
    function dispute(bytes calldata model, Vector[] calldata vectors, uint256 firstWord, uint256 words) external {
        Case memory c = _open(model, vectors);
        uint256 wrong = _firstWrong(c, model, firstWord, words);
        if (wrong == type(uint256).max) revert ProposalHolds(firstWord, words);
        uint256 taken = federation.overturn(msg.sender);
        emit Disproved(c.round, c.proposer, msg.sender, wrong, taken);
    }

    /// @inheritdoc ISettlement
    function settle(bytes calldata model, Vector[] calldata vectors, uint256 words) external returns (bool final_) {
        Case memory c = _open(model, vectors);
        uint256 done = _doneOf(c.round, c.failures);
        uint256 left = model.length / 32 - done;
        if (words > left) words = left;
        uint256 wrong = _firstWrong(c, model, done, words);
        if (wrong != type(uint256).max) revert ProposalWrong(wrong);
        final_ = words == left;
        _progress = Progress(c.round, c.failures, uint16(done + words));
        emit Settled(c.round, msg.sender, done + words, final_);
        if (final_) federation.conclude(model);
    }

    /// @inheritdoc ISettlement
    function settledWords() external view returns (uint256) {
        return _doneOf(federation.clock().number, federation.proposal().failures);
    }

    // ------------------------------------------------------------------ inside

    function _doneOf(uint24 round, uint8 failures) private view returns (uint256) {
        return _progress.round == round && _progress.failures == failures ? _progress.words : 0;
    }

    /// @dev Checks everything that was handed in against the chain.
    function _open(bytes calldata model, Vector[] calldata vectors) private view returns (Case memory c) {
        IFederation f = federation;
        (IFederationTypes.Phase now_,) = f.phase();
        if (now_ != IFederationTypes.Phase.Challenge) {
            revert IFederationErrors.WrongPhase(now_, IFederationTypes.Phase.Challenge);
        }
        IFederationTypes.Proposal memory p = f.proposal();
        bytes32 contentId = sha256(model);
        if (contentId != p.contentId) revert NotTheProposal(contentId, p.contentId);
        (c.proposer, c.failures) = (p.proposer, p.failures);
        IFederationTypes.Params memory params = f.params();
        c.rule = Rule(
            params.rule,
            params.weighted,
            params.trimBps,
            params.clamp,
            params.step,
            params.weightCap,
            params.weightShift
        );
        IModelRegistry registry = f.registry();
        c.dimension = registry.dimension();
        (uint32 version,,) = registry.current();
        c.old = registry.modelOf(version);
        c.at = _check(c, vectors);
    }

    /// @dev Every counted node's bytes, once: commitments are what the chain kept, content ids follow from the bytes.
    function _check(Case memory c, Vector[] calldata vectors) private view returns (uint256[] memory at) {
        uint256 n = vectors.length;
        address[] memory nodes = new address[](n);
        for (uint256 i; i < n; ++i) {
            nodes[i] = vectors[i].node;
            if (i != 0 && nodes[i] <= nodes[i - 1]) revert NotRising(i);
        }
        (ClockWord clock, BallotWord[] memory ballots) = federation.words(nodes);
        c.round = clock.number();
        if (n != clock.revealed()) revert WrongVectorCount(n, clock.revealed());
        uint256 length = VectorLib.vectorLength(c.dimension, c.rule.weighted);
        uint64 seed = clock.seed();
        at = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            Vector calldata v = vectors[i];
            bytes calldata data = v.data;
            if (data.length != length) revert WrongVectorLength(v.node, data.length, length);
            if (!ballots[i].counts(c.round)) revert DoesNotCount(v.node);
            uint208 made = CommitLib.commitmentIn(
                address(federation), c.round, seed, v.node, sha256(data), v.annex, v.salt
            );
            if (made != ballots[i].commitment()) revert NotCommitted(v.node);
            assembly ("memory-safe") {
                mstore(add(add(at, 32), shl(5, i)), data.offset)
            }
        }
    }

    /// @dev First word of the range in which the model is not the rule's result; type(uint256).max if there is none.
    function _firstWrong(Case memory c, bytes calldata model, uint256 first, uint256 words)
        private
        pure
        returns (uint256)
    {
        uint256 all = model.length / 32;
        if (words == 0 || first >= all || words > all - first) revert EmptyRange(first, words);
        bytes memory old = c.old;
        uint256[] memory moves = new uint256[](c.at.length);
        uint256[] memory weights = new uint256[](c.rule.weighted ? c.at.length : 0);
        for (uint256 w = first; w < first + words; ++w) {
            _column(c.at, w, moves);
            if (c.rule.weighted) _column(c.at, all + w, weights);
            uint256 oldWord;
            uint256 proposed;
            assembly ("memory-safe") {
                oldWord := mload(add(add(old, 32), shl(5, w)))
                proposed := calldataload(add(model.offset, shl(5, w)))
            }
            uint256 left = c.dimension - w * VectorLib.LANES;
            uint256 lanes = left < VectorLib.LANES ? left : VectorLib.LANES;
            if (RuleLib.next(c.rule, oldWord, moves, weights, lanes) != proposed) return w;
        }
        return type(uint256).max;
    }

    /// @dev Word `w` of every node's bytes.
    function _column(uint256[] memory at, uint256 w, uint256[] memory column) private pure {
        assembly ("memory-safe") {
            let shift := shl(5, w)
            let end := add(column, shl(5, mload(column)))
            let from := at
            for { let to := column } lt(to, end) {} {
                to := add(to, 32)
                from := add(from, 32)
                mstore(to, calldataload(add(mload(from), shift)))
            }
        }
    }
}
