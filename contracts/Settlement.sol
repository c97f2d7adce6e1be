// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IFederation, IFederationErrors, IFederationTypes} from "./interfaces/IFederation.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {ISettlement} from "./interfaces/ISettlement.sol";
import {BallotWord} from "./libraries/BallotLib.sol";
import {ClockWord} from "./libraries/ClockLib.sol";
import {Cluster, ClusterLib} from "./libraries/ClusterLib.sol";
import {CommitLib} from "./libraries/CommitLib.sol";
import {MaskLib} from "./libraries/MaskLib.sol";
import {Poseidon2} from "./libraries/Poseidon2.sol";
import {Roll} from "./libraries/RollLib.sol";
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

    /// @dev All that a word is recomputed from. `vectors`: where in calldata each node's bytes begin, in plain rounds. `clusters`:
    /// those that count, in masked ones; `table`: Poseidon2's constants. `rule`: of nodes, or of clusters. `cap`: H of one node.
    struct Case {
        Rule rule;
        bool weighted;
        bool masked;
        bool falseClaim;
        uint256 cap;
        uint256 dimension;
        bytes old;
        uint256[] vectors;
        Cluster[] clusters;
        uint256 table;
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
        if (c.falseClaim) wrong = firstWord;
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
        uint256 wrong = c.falseClaim ? done : _firstWrong(c, model, done, words);
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
        c.old = registry.carried(p.openedAt);
        (c.weighted, c.cap) = (params.weighted, params.weightCap);
        _check(c, vectors, p.voids);
    }

    /// @dev Every counted node's bytes, once: commitments are what the chain kept, content ids follow from the bytes.
    function _check(Case memory c, Vector[] calldata vectors, uint256 voids) private view {
        uint256 n = vectors.length;
        address[] memory nodes = new address[](n);
        for (uint256 i; i < n; ++i) {
            nodes[i] = vectors[i].node;
            if (i != 0 && nodes[i] <= nodes[i - 1]) revert NotRising(i);
        }
        (ClockWord clock, Roll roll, BallotWord[] memory ballots) = federation.words(nodes);
        c.round = clock.number();
        c.masked = clock.clusterSize() > 1;
        uint256 expected = c.masked ? _expected(clock, roll) : clock.revealed();
        if (n != expected) revert WrongVectorCount(n, expected);
        uint256 length = VectorLib.vectorLength(c.dimension, c.weighted);
        uint64 seed = clock.seed();
        uint256[] memory starts = new uint256[](n);
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
                mstore(add(add(starts, 32), shl(5, i)), data.offset)
            }
        }
        if (c.masked) _group(c, vectors, starts, clock, roll, ballots, voids);
        else c.vectors = starts;
    }

    /// @dev Survivors of all clusters that have a sum, or are claimed to have none.
    function _expected(ClockWord clock, Roll roll) private pure returns (uint256 n) {
        uint256 m = clock.clusterSize();
        for (uint256 k = clock.selected() / m; k != 0; --k) {
            if (roll.isOpen(k - 1, m)) n += roll.survivors(k - 1, m);
        }
    }

    /// @dev Nodes to clusters, with the keys of the masks that their sums wear; and what the proposer claims of them.
    function _group(
        Case memory c,
        Vector[] calldata vectors,
        uint256[] memory starts,
        ClockWord clock,
        Roll roll,
        BallotWord[] memory ballots,
        uint256 voids
    ) private view {
        uint256 m = clock.clusterSize();
        Cluster[] memory all = new Cluster[](clock.selected() / m);
        uint256[] memory filled = new uint256[](all.length);
        for (uint256 i; i < starts.length; ++i) {
            uint256 place = ballots[i].seat();
            uint256 k = place / m;
            place %= m;
            if (!roll.isOpen(k, m)) revert DoesNotCount(vectors[i].node);
            uint256 missing = roll.missingIn(k, m);
            bytes32[] calldata keys = vectors[i].keys;
            if (MaskLib.annex(keys, missing, m) != vectors[i].annex) revert NotCommitted(vectors[i].node);
            uint256 survivors = roll.survivors(k, m);
            if (filled[k] == 0) all[k] = ClusterLib.make(survivors, m - survivors);
            Cluster memory cluster = all[k];
            cluster.vectors[filled[k]] = starts[i];
            uint256 next = filled[k] * (1 + m - survivors);
            cluster.keys[next++] = uint256(keys[0]) % Poseidon2.FIELD;
            for (uint256 j; j < m; ++j) {
                if ((missing >> j) & 1 == 0) continue;
                uint256 sign = j > place ? 0 : ClusterLib.SUBTRACTED;
                cluster.keys[next++] = (uint256(keys[j + 1]) % Poseidon2.FIELD) | sign;
            }
            ++filled[k];
        }
        c.table = Poseidon2.constants();
        c.falseClaim = !_claimsHold(c, all, filled, voids);
        // The rule over clusters is a weighted one, whatever it is over nodes: a cluster counts as many times as it has survivors.
        Rule memory rule = c.rule;
        rule.weightCap = uint24(m * (c.weighted ? rule.weightCap : 1));
        if (!c.weighted) rule.weightShift = 0;
        rule.weighted = true;
        uint256 count;
        for (uint256 k; k < all.length; ++k) {
            if (filled[k] != 0 && !MaskLib.isClaimed(voids, k)) all[count++] = all[k];
        }
        assembly ("memory-safe") {
            mstore(all, count)
        }
        c.clusters = all;
    }

    /// @dev A claim names a cluster that is open, and a word of its sum that is none; clusters rise, so that checking costs no more
    /// than a word of each.
    function _claimsHold(Case memory c, Cluster[] memory all, uint256[] memory filled, uint256 voids)
        private
        pure
        returns (bool)
    {
        uint256 words = VectorLib.vectorLength(c.dimension, c.weighted) / 32;
        for (uint256 least; voids != 0; voids >>= 16) {
            (uint256 k, uint256 word) = MaskLib.claim(voids);
            if (k >= all.length || k < least || filled[k] == 0 || word >= words) return false;
            least = k + 1;
            if (ClusterLib.isSum(ClusterLib.sum(all[k], c.table, word, 0))) return false;
        }
        return true;
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
        uint256 n = c.masked ? c.clusters.length : c.vectors.length;
        uint256[] memory moves = new uint256[](n);
        uint256[] memory weights = new uint256[](c.rule.weighted ? n : 0);
        for (uint256 w = first; w < first + words; ++w) {
            if (!c.masked) {
                _column(c.vectors, w, moves);
                if (c.weighted) _column(c.vectors, all + w, weights);
            } else if (!_sums(c, w, all, moves, weights)) {
                return w;
            }
            uint256 oldWord;
            uint256 proposed;
            assembly ("memory-safe") {
                oldWord := mload(add(add(old, 32), shl(5, w)))
                proposed := calldataload(add(model.offset, shl(5, w)))
            }
            uint256 left = c.dimension - w * VectorLib.LANES;
            uint256 lanes = left < VectorLib.LANES ? left : VectorLib.LANES;
            // Where every cluster is void nothing moves.
            uint256 right = n == 0 ? oldWord : RuleLib.next(c.rule, oldWord, moves, weights, lanes);
            if (right != proposed) return w;
        }
        return type(uint256).max;
    }

    /// @dev Word `w` of every cluster's sum, as the rule takes it; false where one is no sum, and so should have been claimed.
    function _sums(Case memory c, uint256 w, uint256 all, uint256[] memory moves, uint256[] memory weights)
        private
        pure
        returns (bool)
    {
        for (uint256 k; k < moves.length; ++k) {
            Cluster memory cluster = c.clusters[k];
            uint256 survivors = cluster.vectors.length;
            uint256 sum = ClusterLib.sum(cluster, c.table, w, 0);
            if (!ClusterLib.isSum(sum)) return false;
            moves[k] = ClusterLib.asMoves(sum, survivors);
            if (!c.weighted) {
                weights[k] = ClusterLib.evenWeights(survivors);
                continue;
            }
            sum = ClusterLib.sum(cluster, c.table, all + w, 1);
            if (!ClusterLib.isSum(sum)) return false;
            weights[k] = ClusterLib.asWeights(sum, survivors, c.cap);
        }
        return true;
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
