// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederation, IFederationTypes} from "./IFederation.sol";
import {IModelRegistry} from "./IModelRegistry.sol";

/// @notice A verifier as Barretenberg generates it. It writes nothing, and reverts where a proof is wrong.
interface IVerifier {
    function verify(bytes calldata proof, bytes32[] calldata publicInputs) external view returns (bool);
}

/// @title Judges what a node's update proves of itself, when somebody demands it.
/// @notice In a federation with proofs a demand asks for the bytes *and* for the evidence that they are well made. Nothing is verified
/// here before that: peers verify among themselves.
///
/// What a proof says is its public inputs, and none of them is the answerer's word: `StatementLib` lays them out from the node's
/// commitment, its cluster's registered keys, the clock, the parameters in force and these terms. It says, without showing the update,
/// that the masked vector wears exactly the masks that the annex commits to, and that what it hides is within the bounds; of kind
/// Trained also that it comes from the agreed training on rows that were pledged before the round opened.
///
/// Evidence is abi.encode(bytes proof, bytes32 selfHash, bytes32[] pairHashes, address[] ring, bytes32 previousProofId,
/// bytes32 dataRoot): what cannot be read here, and is checked.
interface IProofs {
    enum Kind {
        None,
        Bounded, // masks and bounds
        Trained // also the training, on rows pledged before
    }

    /// @param verifier Contract generated from the circuit; 0 = no proofs. @param kind Of the circuit.
    /// @param norm     Bound on Σp² over the update's moves, where p = h · u / 2^weightShift as packed.
    /// @param limits   Of kind Trained: what rows may say, and how they pull, 24 bits each from the low bits up, 20 binary places:
    ///                 least vol, most vol, most |ln(strike / forward)|; misfit beyond which a row pulls with constant force; pull
    ///                 back to the round's model, in rows. See docs/agreed-training.md.
    struct Terms {
        address verifier;
        Kind kind;
        uint64 norm;
        uint120 limits;
    }

    /// @param selfHash        SHA-256 of the self key.
    /// @param pairHashes      SHA-256 of the key shared with each place of the cluster; 0 at the own place.
    /// @param ring            Who sits at each place. @param previousProofId, dataRoot The pledge's preimage.
    struct Evidence {
        bytes proof;
        bytes32 selfHash;
        bytes32[] pairHashes;
        address[] ring;
        bytes32 previousProofId;
        bytes32 dataRoot;
    }

    /// @dev No contract there.
    error NoVerifier(address verifier);
    error KindIsNone();
    error NormIsZero();
    /// @dev The circuits compare with numbers below 2^63.
    error NormTooLarge(uint256 norm);
    /// @dev Of kind Trained: an update within the other bounds must be within this one.
    error NormTooSmall(uint256 norm, uint256 needed);
    /// @dev The training is proven of two markets on 13 expiries, with 20 fraction bits.
    error SurfaceNotProvable();
    error BadLimits(uint256 limits);
    /// @dev The circuits are made for models of `expected` weights.
    error DimensionNotProvable(uint256 given, uint256 expected);
    /// @dev Masked clusters of 3 to 8 only.
    error ClusterNotProvable(uint256 clusterSize);
    /// @dev The circuits read two lanes for each weight.
    error UnweightedNotProvable();

    error NoEvidence();
    /// @dev Encoded in another way than `abi.encode` does it.
    error EvidenceNotCanonical();
    /// @dev The node has no vector in this round.
    error NothingToProve(address node);
    /// @dev Not whom this round seats there. @param place Of the cluster; m: a wrong number of places.
    error WrongRing(uint256 place);
    /// @dev The hashes are not those that the annex commits to.
    error WrongKeys(bytes32 annex);
    /// @dev The node pledged itself to `pledge` before the round was opened, and this is not what it hashes.
    error NotPledged(bytes32 pledge);
    error WrongWordCount(uint256 given, uint256 expected);
    /// @dev Not below the field's modulus.
    error NotInField(uint256 value);
    /// @dev `reason` is what the verifier reverted with; nothing, where it ran out of gas.
    error ProofRefused(bytes reason);

    /// @notice Sets up a clone; once only. @param registry Of the federation, which may not be set up yet.
    /// @param fractionBits Of the model's weights.
    function initialize(IFederation federation, IModelRegistry registry, uint8 fractionBits, Terms calldata terms) external;

    /// @notice Reverts where updates under these parameters could not be proven. The federation asks when it is created and when
    /// parameters are scheduled, so that no demand can ever ask for a proof that nobody could make.
    function checkParams(IFederationTypes.Params calldata params) external view;

    /// @notice Reverts unless the evidence shows that the node's update in this round is as these terms want it; with what is wrong.
    /// Reverts without a reason where the evidence cannot be decoded.
    /// @param annex As revealed. @param data The masked vector. Whether the node committed to both is the caller's to check.
    function check(address node, bytes32 annex, bytes calldata data, bytes calldata evidence) external view;

    /// @notice The public inputs that `check` hands to the verifier: for provers, whose evidence has no proof yet, and for peers, who
    /// verify off chain. Reverts as that does.
    function inputs(address node, bytes32 annex, bytes calldata data, Evidence calldata evidence)
        external
        view
        returns (bytes32[] memory);

    function federation() external view returns (IFederation);

    function terms() external view returns (Terms memory);
}
