// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDuties} from "./interfaces/IDuties.sol";
import {IFederation, IFederationTypes} from "./interfaces/IFederation.sol";
import {IProofs} from "./interfaces/IProofs.sol";
import {BallotLib, BallotWord} from "./libraries/BallotLib.sol";
import {ClockWord} from "./libraries/ClockLib.sol";
import {CommitLib} from "./libraries/CommitLib.sol";
import {MaskLib} from "./libraries/MaskLib.sol";
import {Roll} from "./libraries/RollLib.sol";
import {VectorLib} from "./libraries/VectorLib.sol";

/// @title Duties: the specification is IDuties.
contract Duties is IDuties, Initializable {
    uint256 private constant MOST_DOUBLINGS = 3;
    uint256 private constant ABSENCES_TO_SUSPEND = 2;
    /// @dev In a row. One saboteur among K seats in clusters of m taints each other node in (m - 1) / (K - 1) of its epochs.
    uint256 private constant VOID_EPOCHS_TO_SUSPEND = 4;
    uint256 private constant MOST_TIP = 2 gwei;
    /// @dev What `answer` spends before and after it counts: dispatch, and two credits to accounts that had none.
    uint256 private constant GAS_ASIDE = 48_000;
    uint256 private constant BASE_GAS = 21_000;
    uint256 private constant CALLDATA_GAS_A_BYTE = 16;
    uint256 private constant EVENT_GAS_A_BYTE = 8;
    /// @dev Calldata of `answer` besides its bytes: selector, and seven words. Counted so, as anybody can append cheap zeros.
    uint256 private constant HEAD_BYTES = 4 + 7 * 32;
    /// @dev EIP-7623: calldata costs at least this, however little is computed.
    uint256 private constant FLOOR_GAS_A_BYTE = 40;

    IFederation public federation;
    mapping(address => Record) private _records;
    mapping(address => Demand) private _demands;
    mapping(address => uint256) public claimable;

    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IDuties
    function initialize(IFederation federation_) external initializer {
        federation = federation_;
    }

    // ------------------------------------------------------------------ absence and silence

    /// @inheritdoc IDuties
    function reportAbsence(address node) external {
        (ClockWord c, BallotWord ballot,) = _words(node);
        Record storage record = _records[node];
        uint24 round = c.number();
        bool absent = c.isCommitOver() && ballot.round() != round && record.absentRound != round
            && federation.seatOf(node) < c.selected();
        if (!absent) revert NotAbsent(node);
        // A commit since the last absence starts the count anew.
        uint8 absences = ballot.round() > record.absentRound ? 1 : record.absences + 1;
        bool suspend = absences >= ABSENCES_TO_SUSPEND;
        (record.absences, record.absentRound) = (suspend ? 0 : absences, round);
        uint256 half = Math.ceilDiv(federation.params().silencePenalty, 2);
        uint256 taken = _punish(node, half, msg.sender, suspend);
        emit AbsenceReported(round, node, msg.sender, taken, suspend);
    }

    /// @inheritdoc IDuties
    function reportSilence(address node) external {
        (ClockWord c, BallotWord ballot,) = _words(node);
        // Where too few committed, nobody was asked to reveal.
        bool late = ballot.round() == c.number() && c.hasCommitQuorum() && block.timestamp >= c.revealEnd();
        if (ballot.state() != BallotLib.COMMITTED || !late) revert NotSilent(node);
        federation.mark(node, BallotLib.SILENT);
        uint256 taken = _punish(node, federation.params().silencePenalty, msg.sender, false);
        emit SilenceReported(c.number(), node, msg.sender, taken);
    }

    // ------------------------------------------------------------------ availability

    /// @inheritdoc IDuties
    function demand(address node) external payable {
        (ClockWord c, BallotWord ballot,) = _words(node);
        IFederationTypes.Params memory p = federation.params();
        (IFederationTypes.Phase now_,) = federation.phase();
        bool open = now_ == IFederationTypes.Phase.Availability && c.acceptsDemands(p.demandWindow);
        if (!open || ballot.round() != c.number() || ballot.state() != BallotLib.REVEALED) {
            revert NotDemandable(node, c.answerEnd(p.demandWindow));
        }
        if (msg.value != p.demandBond) revert WrongDemandBond(msg.value, p.demandBond);
        _demands[node] = Demand(msg.sender, c.number(), uint72(msg.value));
        federation.mark(node, BallotLib.DEMANDED);
        emit Demanded(c.number(), node, msg.sender, msg.value);
    }

    /// @inheritdoc IDuties
    function answer(address node, bytes32 annex, bytes32 salt, bytes calldata data, bytes calldata evidence) external {
        uint256 gasBefore = gasleft();
        (ClockWord c, BallotWord ballot,) = _words(node);
        IFederationTypes.Params memory p = federation.params();
        uint24 round = c.number();
        if (
            ballot.round() != round || ballot.state() != BallotLib.DEMANDED
                || block.timestamp >= c.answerEnd(p.demandWindow)
        ) revert NotDemanded(node);
        uint256 expected = VectorLib.vectorLength(federation.registry().dimension(), p.weighted);
        if (data.length != expected) revert WrongVectorLength(data.length, expected);
        uint208 made =
            CommitLib.commitmentIn(address(federation), round, c.seed(), node, sha256(data), annex, salt);
        if (made != ballot.commitment()) revert NotCommitted(node);
        (,, IProofs proofs) = federation.modules();
        if (address(proofs) != address(0)) proofs.check(node, annex, data, evidence);
        else if (evidence.length != 0) revert NoEvidenceAsked();

        Demand memory asked = _demands[node];
        delete _demands[node];
        federation.mark(node, BallotLib.ANSWERED);
        uint256 refund = Math.min(_cost(gasBefore, HEAD_BYTES + data.length + evidence.length, data.length), asked.bond);
        _credit(msg.sender, refund);
        _credit(asked.by, asked.bond - refund);
        emit Answered(round, node, msg.sender, refund, data);
    }

    /// @inheritdoc IDuties
    function reportUnanswered(address node) external {
        (ClockWord c, BallotWord ballot,) = _words(node);
        IFederationTypes.Params memory p = federation.params();
        Demand memory asked = _demands[node];
        bool late = asked.round != c.number() || block.timestamp >= c.answerEnd(p.demandWindow);
        if (ballot.state() != BallotLib.DEMANDED || ballot.round() != asked.round || !late) revert NotDemanded(node);
        delete _demands[node];
        _credit(asked.by, asked.bond);
        federation.mark(node, BallotLib.DROPPED);
        uint256 taken = _punish(node, 2 * uint256(p.silencePenalty), asked.by, false);
        emit UnansweredReported(asked.round, node, asked.by, taken);
    }

    // ------------------------------------------------------------------ masks

    /// @inheritdoc IDuties
    function reportVeiled(address node) external {
        (ClockWord c, BallotWord ballot, Roll roll) = _words(node);
        uint256 m = c.clusterSize();
        uint256 seat = ballot.seat();
        bool veiled = m > 1 && ballot.counts(c.number()) && roll.isVeiled(seat) && roll.isViable(seat / m, m);
        if (!veiled || !c.isUnmaskingOver(roll)) revert NotVeiled(node);
        federation.mark(node, BallotLib.VEILED);
        uint256 taken = _punish(node, Math.ceilDiv(3 * uint256(federation.params().silencePenalty), 2), msg.sender, false);
        emit VeiledReported(c.number(), node, msg.sender, taken);
    }

    /// @inheritdoc IDuties
    function reportVoid(address node) external {
        (ClockWord c, BallotWord ballot,) = _words(node);
        uint24 epoch = c.epochStart();
        Record storage record = _records[node];
        bool void_ = c.stage() == IFederationTypes.Phase.Final && ballot.counts(c.number())
            && MaskLib.isClaimed(federation.proposal().voids, ballot.seat() / c.clusterSize());
        if (!void_ || record.voidEpoch == epoch) revert NotVoid(node);
        // A whole epoch in between in which its cluster held starts the count anew.
        bool again = record.voids != 0 && epoch - record.voidEpoch <= federation.params().epochRounds;
        uint8 voids = again ? record.voids + 1 : 1;
        bool suspend = voids >= VOID_EPOCHS_TO_SUSPEND;
        (record.voids, record.voidEpoch) = (suspend ? 0 : voids, epoch);
        federation.punish(node, 0, msg.sender, suspend);
        emit VoidReported(c.number(), node, msg.sender, voids, suspend);
    }

    // ------------------------------------------------------------------ refunds

    /// @inheritdoc IDuties
    function claim() external returns (uint256 amount) {
        amount = claimable[msg.sender];
        if (amount == 0) revert NothingToClaim(msg.sender);
        claimable[msg.sender] = 0;
        emit Claimed(msg.sender, amount);
        (bool paid,) = msg.sender.call{value: amount}("");
        if (!paid) revert PaymentFailed(msg.sender);
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IDuties
    function recordOf(address node) external view returns (Record memory) {
        return _records[node];
    }

    /// @inheritdoc IDuties
    function demandOf(address node) external view returns (Demand memory) {
        return _demands[node];
    }

    // ------------------------------------------------------------------ inside

    function _words(address node) private view returns (ClockWord, BallotWord, Roll) {
        address[] memory one = new address[](1);
        one[0] = node;
        (ClockWord c, Roll roll, BallotWord[] memory ballots) = federation.words(one);
        return (c, ballots[0], roll);
    }

    function _punish(address node, uint256 penalty, address beneficiary, bool suspend) private returns (uint256) {
        Record storage record = _records[node];
        uint256 amount = penalty << Math.min(record.faults, MOST_DOUBLINGS);
        if (record.faults < type(uint8).max) ++record.faults;
        return federation.punish(node, amount, beneficiary, suspend);
    }

    function _credit(address account, uint256 amount) private {
        if (amount != 0) claimable[account] += amount;
    }

    /// @dev Wei that this transaction costs, as far as this call can tell. @param logged Bytes of those sent that go into the event.
    function _cost(uint256 gasBefore, uint256 sent, uint256 logged) private view returns (uint256) {
        uint256 used =
            BASE_GAS + CALLDATA_GAS_A_BYTE * sent + EVENT_GAS_A_BYTE * logged + gasBefore - gasleft() + GAS_ASIDE;
        uint256 floor = BASE_GAS + FLOOR_GAS_A_BYTE * sent;
        return Math.max(used, floor) * Math.min(tx.gasprice, block.basefee + MOST_TIP);
    }
}
