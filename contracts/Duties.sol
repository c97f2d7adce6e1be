// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IDuties} from "./interfaces/IDuties.sol";
import {IFederation, IFederationTypes} from "./interfaces/IFederation.sol";
import {BallotLib, BallotWord} from "./libraries/BallotLib.sol";
import {ClockWord} from "./libraries/ClockLib.sol";
import {CommitLib} from "./libraries/CommitLib.sol";
import {VectorLib} from "./libraries/VectorLib.sol";

/// @title Duties: the specification is IDuties.
contract Duties is IDuties, Initializable {
    uint256 private constant MOST_DOUBLINGS = 3;
    uint256 private constant ABSENCES_TO_SUSPEND = 2;
    uint256 private constant MOST_TIP = 2 gwei;
    /// @dev What `answer` spends before and after it counts: dispatch, and two credits to accounts that had none.
    uint256 private constant GAS_ASIDE = 48_000;
    uint256 private constant BASE_GAS = 21_000;
    /// @dev Calldata, and the event.
    uint256 private constant GAS_A_BYTE = 24;
    /// @dev Calldata of `answer` besides the bytes: selector, and five words. Counted so, as anybody can append cheap zeros.
    uint256 private constant HEAD_BYTES = 4 + 5 * 32;
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
        (ClockWord c, BallotWord ballot) = _words(node);
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
        (ClockWord c, BallotWord ballot) = _words(node);
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
        (ClockWord c, BallotWord ballot) = _words(node);
        IFederationTypes.Params memory p = federation.params();
        (IFederationTypes.Phase now_,) = federation.phase();
        bool open = now_ == IFederationTypes.Phase.Availability && c.acceptsDemands(p.demandWindow);
        if (!open || ballot.round() != c.number() || ballot.state() != BallotLib.REVEALED) {
            revert NotDemandable(node, c.answerEnd(p.demandWindow));
        }
        if (msg.value != p.demandBond) revert WrongDemandBond(msg.value, p.demandBond);
        _giveBack(node);
        _demands[node] = Demand(msg.sender, c.number(), uint72(msg.value));
        federation.mark(node, BallotLib.DEMANDED);
        emit Demanded(c.number(), node, msg.sender, msg.value);
    }

    /// @inheritdoc IDuties
    function answer(address node, bytes32 annex, bytes32 salt, bytes calldata data) external {
        uint256 gasBefore = gasleft();
        (ClockWord c, BallotWord ballot) = _words(node);
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

        Demand memory asked = _demands[node];
        delete _demands[node];
        federation.mark(node, BallotLib.ANSWERED);
        uint256 refund = Math.min(_cost(gasBefore, HEAD_BYTES + data.length), asked.bond);
        _credit(msg.sender, refund);
        _credit(asked.by, asked.bond - refund);
        emit Answered(round, node, msg.sender, refund, data);
    }

    /// @inheritdoc IDuties
    function reportUnanswered(address node) external {
        (ClockWord c, BallotWord ballot) = _words(node);
        Demand memory asked = _demands[node];
        bool late = asked.round != c.number() || block.timestamp >= c.answerEnd(federation.params().demandWindow);
        if (ballot.state() != BallotLib.DEMANDED || ballot.round() != asked.round || !late) revert NotDemanded(node);
        _giveBack(node);
        federation.mark(node, BallotLib.DROPPED);
        uint256 taken = _punish(node, 2 * uint256(federation.params().silencePenalty), asked.by, false);
        emit UnansweredReported(asked.round, node, asked.by, taken);
    }

    /// @inheritdoc IDuties
    function reclaim(address node) external {
        (ClockWord c,) = _words(node);
        uint24 round = _demands[node].round;
        if (_demands[node].by == address(0) || round == c.number()) revert NotDemanded(node);
        _giveBack(node);
    }

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

    function _words(address node) private view returns (ClockWord, BallotWord) {
        address[] memory one = new address[](1);
        one[0] = node;
        (ClockWord c, BallotWord[] memory ballots) = federation.words(one);
        return (c, ballots[0]);
    }

    function _punish(address node, uint256 penalty, address beneficiary, bool suspend) private returns (uint256) {
        Record storage record = _records[node];
        uint256 amount = penalty << Math.min(record.faults, MOST_DOUBLINGS);
        if (record.faults < type(uint8).max) ++record.faults;
        return federation.punish(node, amount, beneficiary, suspend);
    }

    function _giveBack(address node) private {
        Demand memory asked = _demands[node];
        delete _demands[node];
        _credit(asked.by, asked.bond);
    }

    function _credit(address account, uint256 amount) private {
        if (amount != 0) claimable[account] += amount;
    }

    /// @dev Wei that this transaction costs, as far as this call can tell.
    function _cost(uint256 gasBefore, uint256 sent) private view returns (uint256) {
        uint256 used = BASE_GAS + GAS_A_BYTE * sent + gasBefore - gasleft() + GAS_ASIDE;
        uint256 floor = BASE_GAS + FLOOR_GAS_A_BYTE * sent;
        return Math.max(used, floor) * Math.min(tx.gasprice, block.basefee + MOST_TIP);
    }
}
