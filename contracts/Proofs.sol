// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {IFederation, IFederationTypes} from "./interfaces/IFederation.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IProofs, IVerifier} from "./interfaces/IProofs.sol";
import {BallotWord} from "./libraries/BallotLib.sol";
import {ClockWord} from "./libraries/ClockLib.sol";
import {MaskLib} from "./libraries/MaskLib.sol";
import {StatementLib} from "./libraries/StatementLib.sol";
import {Surface} from "./libraries/Surface.sol";

/// @title Proofs: the specification is IProofs.
contract Proofs is IProofs, Initializable {
    uint256 private constant SMALLEST_CLUSTER = 3;

    IFederation public federation;
    Terms private _terms;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IProofs
    function initialize(IFederation federation_, IModelRegistry registry, uint8 fractionBits, Terms calldata terms_)
        external
        initializer
    {
        if (terms_.verifier.code.length == 0) revert NoVerifier(terms_.verifier);
        if (terms_.kind == Kind.None) revert KindIsNone();
        if (terms_.norm == 0) revert NormIsZero();
        if (terms_.norm >= 1 << 63) revert NormTooLarge(terms_.norm);
        uint256 dimension = registry.dimension();
        if (dimension != StatementLib.DIMENSION) revert DimensionNotProvable(dimension, StatementLib.DIMENSION);
        if (terms_.kind == Kind.Trained) _requireTrainable(registry, fractionBits, terms_.limits);
        federation = federation_;
        _terms = terms_;
    }

    /// @inheritdoc IProofs
    function checkParams(IFederationTypes.Params calldata p) external view {
        bool fits = p.clusterSize >= SMALLEST_CLUSTER && p.clusterSize <= StatementLib.PLACES;
        if (!fits) revert ClusterNotProvable(p.clusterSize);
        if (!p.weighted) revert UnweightedNotProvable();
        if (_terms.kind == Kind.Trained) {
            // What the agreed training makes of honest rows cannot be shortened to a norm: it must fit.
            uint256 largest = (uint256(p.weightCap) * p.clamp) >> p.weightShift;
            uint256 needed = StatementLib.DIMENSION * largest * largest;
            if (_terms.norm < needed) revert NormTooSmall(_terms.norm, needed);
        }
    }

    /// @inheritdoc IProofs
    function check(address node, bytes32 annex, bytes calldata data, bytes calldata evidence) external view {
        Evidence memory e = _decode(evidence);
        try IVerifier(_terms.verifier).verify(e.proof, _inputs(node, annex, data, e)) returns (bool right) {
            if (!right) revert ProofRefused("");
        } catch (bytes memory reason) {
            revert ProofRefused(reason);
        }
    }

    /// @inheritdoc IProofs
    function inputs(address node, bytes32 annex, bytes calldata data, Evidence calldata evidence)
        external
        view
        returns (bytes32[] memory)
    {
        return _inputs(node, annex, data, evidence);
    }

    /// @inheritdoc IProofs
    function terms() external view returns (Terms memory) {
        return _terms;
    }

    // ------------------------------------------------------------------ inside

    function _requireTrainable(IModelRegistry registry, uint256 fractionBits, uint256 limits) private view {
        (uint8 markets, uint8 pillars, uint8 width, uint8 tail) = registry.layout();
        bool fits = markets == StatementLib.MARKETS && pillars == StatementLib.PILLARS
            && width == Surface.PILLAR_WEIGHTS && tail == Surface.STATE_WEIGHTS
            && fractionBits == StatementLib.FRACTION_BITS;
        if (!fits) revert SurfaceNotProvable();
        uint256[5] memory limit;
        for (uint256 i; i < 5; ++i) limit[i] = uint24(limits >> (24 * i));
        (uint256 leastVol, uint256 mostVol, uint256 mostK, uint256 huber, uint256 prior) =
            (limit[0], limit[1], limit[2], limit[3], limit[4]);
        bool sound = leastVol >= 1 << 14 && leastVol <= mostVol && mostVol < 1 << 23 && mostK > 0 && mostK < 1 << 23
            && huber > 0 && huber <= 1 << 20 && prior >= 1 << 6 && prior <= 1 << 20;
        if (!sound) revert BadLimits(limits);
    }

    /// @dev One form only: an answer is refunded by its length.
    function _decode(bytes calldata evidence) private pure returns (Evidence memory e) {
        if (evidence.length == 0) revert NoEvidence();
        (e.proof, e.selfHash, e.pairHashes, e.ring, e.previousProofId, e.dataRoot) =
            abi.decode(evidence, (bytes, bytes32, bytes32[], address[], bytes32, bytes32));
        bytes memory again = abi.encode(e.proof, e.selfHash, e.pairHashes, e.ring, e.previousProofId, e.dataRoot);
        if (keccak256(again) != keccak256(evidence)) revert EvidenceNotCanonical();
    }

    function _inputs(address node, bytes32 annex, bytes calldata data, Evidence memory e)
        private
        view
        returns (bytes32[] memory inputs_)
    {
        (ClockWord c, BallotWord ballot) = _words(node);
        if (ballot.round() != c.number()) revert NothingToProve(node);
        StatementLib.Subject memory s = _subject(c, ballot.seat(), annex, e);
        bool trained = _terms.kind == Kind.Trained;
        uint256 more = trained ? StatementLib.TRAINED_INPUTS - StatementLib.BOUNDED_INPUTS : 0;
        inputs_ = StatementLib.bounded(s, _bounds(), data, more);
        if (trained) {
            _requirePledged(node, c.number(), e);
            uint256 asOf = federation.proposal().openedAt;
            StatementLib.trained(inputs_, e.dataRoot, asOf, _terms.limits, federation.registry().carried(asOf));
        }
    }

    /// @dev Its ring and its keys, as the chain knows them.
    function _subject(ClockWord c, uint256 seat, bytes32 annex, Evidence memory e)
        private
        view
        returns (StatementLib.Subject memory s)
    {
        uint256 m = c.clusterSize();
        s.place = seat % m;
        s.first = seat - s.place;
        if (e.ring.length != m || e.pairHashes.length != m) revert WrongRing(m);
        for (uint256 j; j < m; ++j) if (federation.seatOf(e.ring[j]) != s.first + j) revert WrongRing(j);
        bool opens = MaskLib.annexOf(e.selfHash, e.pairHashes) == annex;
        if (!opens || e.pairHashes[s.place] != 0) revert WrongKeys(annex);
        s.context = MaskLib.context(address(federation), c.number(), c.seed());
        s.keys = federation.keyring().keysOf(e.ring, c.epochStart());
        (s.selfHash, s.pairHashes) = (e.selfHash, e.pairHashes);
    }

    function _bounds() private view returns (StatementLib.Bounds memory) {
        IFederationTypes.Params memory p = federation.params();
        return StatementLib.Bounds(p.clamp, p.weightCap, 1 << p.weightShift, _terms.norm);
    }

    function _requirePledged(address node, uint24 round, Evidence memory e) private view {
        bytes32 pledge = federation.pledgeBefore(node, round);
        if (sha256(abi.encode(e.previousProofId, e.dataRoot)) != pledge) revert NotPledged(pledge);
    }

    function _words(address node) private view returns (ClockWord c, BallotWord ballot) {
        address[] memory one = new address[](1);
        one[0] = node;
        BallotWord[] memory ballots;
        (c,, ballots) = federation.words(one);
        return (c, ballots[0]);
    }
}
