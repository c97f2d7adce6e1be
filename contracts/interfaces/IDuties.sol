// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederation} from "./IFederation.sol";

/// @title What a node owes a round besides honesty: to be there, to open what it committed to, and to hand out its bytes.
/// @notice Anybody may report. Let p be the federation's `silencePenalty` and n the node's earlier faults, at most 3:
///
/// | fault | penalty |
/// |---|---|
/// | absent: a seat, and no commit | ⌈p / 2⌉ · 2^n |
/// | silent: a commit that is not opened | p · 2^n |
/// | veiled: a survivor of a masked round that does not unmask | ⌈3p / 2⌉ · 2^n |
/// | unanswered: revealed bytes, or their proof, that were demanded and not handed out | 2p · 2^n |
///
/// Half, rounded up, is burned; the rest goes to who reported it, or demanded the bytes. None of them touches half of the least bond,
/// the reserve that a proof of fraud takes (`IFederation.overturn`). Two absences without a commit between them suspend: the node
/// leaves, and may join again.
///
/// A cluster whose sum is none, because somebody in it masked wrongly, cannot say who: that costs nobody anything. But it counts for
/// all of its survivors, once an epoch, as seats stay for so long; four such epochs suspend, if each begins at most `epochRounds` rounds
/// after the one before.
interface IDuties {
    /// @param faults       All that were reported, at most 255.
    /// @param absences     Since the last commit.
    /// @param absentRound  Round of the last absence.
    /// @param voids        Epochs in a row in which its cluster was void.
    /// @param voidEpoch    First round of the last of them.
    struct Record {
        uint8 faults;
        uint8 absences;
        uint24 absentRound;
        uint8 voids;
        uint24 voidEpoch;
    }

    /// @param by    Who demanded. @param round When. @param bond Wei put up.
    struct Demand {
        address by;
        uint24 round;
        uint72 bond;
    }

    event AbsenceReported(
        uint24 indexed round, address indexed node, address indexed reporter, uint256 taken, bool suspended
    );
    event SilenceReported(uint24 indexed round, address indexed node, address indexed reporter, uint256 taken);
    event Demanded(uint24 indexed round, address indexed node, address indexed by, uint256 bond);
    /// @param refund Wei that the answerer earned from the demander's bond.
    event Answered(uint24 indexed round, address indexed node, address indexed by, uint256 refund, bytes data);
    event UnansweredReported(uint24 indexed round, address indexed node, address indexed demander, uint256 taken);
    event VeiledReported(uint24 indexed round, address indexed node, address indexed reporter, uint256 taken);
    event VoidReported(
        uint24 indexed round, address indexed node, address indexed reporter, uint8 voids, bool suspended
    );
    event Claimed(address indexed account, uint256 amount);

    error NotAbsent(address node);
    error NotSilent(address node);
    /// @dev It has unmasked, or need not, or still may.
    error NotVeiled(address node);
    /// @dev Its cluster has a sum, or the round is not published, or this epoch is counted already.
    error NotVoid(address node);
    /// @dev Demanding is over, or has not begun; answers may still come until `answersEnd` (0: over).
    error NotDemandable(address node, uint256 answersEnd);
    error NotDemanded(address node);
    /// @dev These bytes, annex and salt are not what the node committed to.
    error NotCommitted(address node);
    /// @dev All bytes come in one call.
    error WrongVectorLength(uint256 given, uint256 expected);
    /// @dev This federation's updates carry no proofs.
    error NoEvidenceAsked();
    error WrongDemandBond(uint256 given, uint256 needed);
    error NothingToClaim(address account);
    error PaymentFailed(address account);

    /// @notice Sets up a clone; once only.
    function initialize(IFederation federation) external;

    /// @notice From the end of committing to the next opening.
    function reportAbsence(address node) external;

    /// @notice From the end of revealing to the next opening, where the commit quorum was met.
    function reportSilence(address node) external;

    /// @notice Demands that a revealed node's bytes be handed out on chain. One demand for each node and round, with exactly
    /// `demandBond` wei: what is left after the answerer's refund comes back; all of it, and half of the penalty, if nobody answers.
    function demand(address node) external payable;

    /// @notice Hands out the bytes of a node, all at once, and, where updates carry proofs, shows that they are well made; anybody who
    /// has them may. Refunded at most the demand's bond: gas used here, with calldata and the base cost, at the base fee and a tip of
    /// at most 2 gwei.
    /// @param annex As revealed. @param salt As revealed. @param evidence See `IProofs.check`; nothing where there are no proofs.
    function answer(address node, bytes32 annex, bytes32 salt, bytes calldata data, bytes calldata evidence) external;

    /// @notice After the time to answer, in this round or later (until then the node cannot commit): penalises a node whose bytes were demanded in vain, and gives the demander its bond back.
    function reportUnanswered(address node) external;

    /// @notice From the end of unmasking to the next opening.
    function reportVeiled(address node) external;

    /// @notice From the publication of a masked round to the next opening: counts a void cluster for one of its survivors.
    function reportVoid(address node) external;

    /// @notice Pays the caller's refunds and returned bonds, in wei.
    function claim() external returns (uint256 amount);

    function federation() external view returns (IFederation);

    function recordOf(address node) external view returns (Record memory);

    function demandOf(address node) external view returns (Demand memory);

    /// @notice Wei that `account` can claim.
    function claimable(address account) external view returns (uint256);
}
