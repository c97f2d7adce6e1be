// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {IFederation} from "./interfaces/IFederation.sol";
import {IKeyring} from "./interfaces/IKeyring.sol";
import {IModelRegistry} from "./interfaces/IModelRegistry.sol";
import {IProofs} from "./interfaces/IProofs.sol";
import {IRulebook} from "./interfaces/IRulebook.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {BallotLib, BallotWord} from "./libraries/BallotLib.sol";
import {ClockLib, ClockWord} from "./libraries/ClockLib.sol";
import {CommitLib} from "./libraries/CommitLib.sol";
import {MaskLib} from "./libraries/MaskLib.sol";
import {ParamsLib} from "./libraries/ParamsLib.sol";
import {Roll, RollLib} from "./libraries/RollLib.sol";
import {SeatLib} from "./libraries/SeatLib.sol";

/// @title Federation: the specification is IFederation.
contract Federation is IFederation, Initializable, AccessControl, Pausable {
    bytes32 public constant GUARDIAN = keccak256("GUARDIAN");
    bytes32 public constant MEMBER = keccak256("MEMBER");

    uint8 internal constant NO_SEAT = type(uint8).max;
    uint256 internal constant EXITS_AT_OPENING = 8;
    uint256 private constant IN_FORCE = 0;
    uint256 private constant SCHEDULED = 1;

    struct Epoch {
        uint64 seed;
        uint32 count;
        bool redraw;
    }

    IRulebook private immutable RULEBOOK;

    ClockWord private _clock;
    Roll private _roll;
    Epoch private _epoch;
    Proposal private _proposal;
    /// @dev Those in force, and those for the next opening. An array, so that one piece of code writes either.
    Params[2] private _sets;
    bool private _hasScheduled;

    IStakeVault public vault;
    IModelRegistry public registry;
    IKeyring public keyring;
    address private _settlement;
    address private _duties;
    IProofs private _proofs;

    /// @dev The first `_epoch.count` are the epoch's frozen members; those behind them join at the next epoch.
    address[] private _members;
    mapping(address => Member) private _memberOf;
    mapping(address => BallotWord) private _ballots;
    /// @dev By the parity of the round: each writes one, and is bound by the other.
    mapping(address => bytes32[2]) private _pledges;
    address[] private _exits;
    uint256 private _exitsDone;

    constructor(IRulebook rulebook) {
        RULEBOOK = rulebook;
        _disableInitializers();
    }

    /// @inheritdoc IFederation
    function initialize(
        Params memory params_,
        IStakeVault vault_,
        IModelRegistry registry_,
        address settlement_,
        address duties_,
        IKeyring keyring_,
        IProofs proofs_,
        address admin,
        address guardian
    ) external initializer {
        if (admin == address(0) || guardian == address(0) || settlement_ == address(0) || duties_ == address(0)) {
            revert ZeroAddress();
        }
        if (vault_.federation() != address(this) || registry_.federation() != address(this)) revert ZeroAddress();
        RULEBOOK.checkParams(params_, proofs_);
        vault = vault_;
        registry = registry_;
        _settlement = settlement_;
        _duties = duties_;
        keyring = keyring_;
        _proofs = proofs_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(GUARDIAN, guardian);
        _setRoleAdmin(MEMBER, GUARDIAN);
        _applyParams(params_, 0);
    }

    // ------------------------------------------------------------------ members

    /// @inheritdoc IFederation
    function join(uint256 amount) external {
        if (_memberOf[msg.sender].status != Status.None) revert AlreadyMember(msg.sender);
        if (_sets[IN_FORCE].closed) _checkRole(MEMBER);
        if (_sets[IN_FORCE].clusterSize > 1 && !keyring.has(msg.sender)) revert NoKey(msg.sender);
        uint256 total = vault.bondOf(msg.sender).amount + amount;
        if (total < _sets[IN_FORCE].bond) revert BondTooSmall(total, _sets[IN_FORCE].bond);
        _memberOf[msg.sender] = Member(Status.Joining, uint32(_members.length));
        _members.push(msg.sender);
        // Written once here, so that the first round's commit costs what every later one does.
        if (_ballots[msg.sender].commitment() == 0) _ballots[msg.sender] = BallotLib.pack(1, 0, NO_SEAT, 0);
        emit Joining(msg.sender, total);
        vault.bond(msg.sender, amount);
    }

    /// @inheritdoc IFederation
    function exit() external {
        if (_memberOf[msg.sender].status != Status.Joining) revert NotMember(msg.sender);
        _leave(msg.sender);
    }

    /// @inheritdoc IFederation
    function settleExits(uint256 most) external {
        _requireNoRound(_clock);
        _settleExits(most);
    }

    // ------------------------------------------------------------------ rounds

    /// @inheritdoc IFederation
    function open() external whenNotPaused {
        ClockWord c = _clock;
        _requireNoRound(c);
        if (block.timestamp < nextOpening()) revert TooEarly(nextOpening());

        uint24 number = c.number() + 1;
        // Before new parameters: who leaves because of them unbonds under the old ones.
        _settleExits(EXITS_AT_OPENING);
        if (_hasScheduled) {
            _applyParams(_read(SCHEDULED), number);
            _hasScheduled = false;
            _epoch.redraw = true;
        }
        Params memory p = _read(IN_FORCE);
        uint256 epochStart = c.epochStart();
        if (epochStart == 0 || _epoch.redraw || number >= epochStart + p.epochRounds) {
            // A new epoch: the queue joins, and every seat is drawn anew with this round's seed.
            epochStart = number;
            _epoch = Epoch(0, uint32(_members.length), false);
        }
        uint256 count = _epoch.count;
        if (count < p.minMembers) revert NotEnoughMembers(count, p.minMembers);
        uint256 selected = Math.min(p.seats, count - (count % p.clusterSize));

        _clock = ClockLib.opened(number, epochStart, p, selected, Math.ceilDiv(selected * p.quorumBps, 10_000));
        uint40 seedBlock = uint40(block.number + p.seedDelay);
        if (p.clusterSize > 1) _roll = RollLib.blank(p.demandWindow, p.unmaskWindow);
        _proposal = Proposal(address(0), uint40(block.timestamp), seedBlock, 0, 0, 0);
        emit RoundOpened(number, seedBlock, uint8(selected), uint32(count));
    }

    /// @inheritdoc IFederation
    function draw() external {
        ClockWord c = _clock;
        if (c.stage() != Phase.Draw) revert WrongPhase(_phase(c), Phase.Draw);
        uint256 seedBlock = _proposal.seedBlock;
        if (block.number <= seedBlock) revert TooEarly(seedBlock + 1);
        bytes32 hash = blockhash(seedBlock);
        if (hash == 0) {
            _proposal.seedBlock = uint40(block.number + _sets[IN_FORCE].seedDelay);
            emit RoundRearmed(c.number(), _proposal.seedBlock);
            return;
        }
        uint64 seed = CommitLib.roundSeed(hash, c.number());
        if (c.epochStart() == c.number()) _epoch.seed = seed;
        _clock = c.withSeed(seed).settleInto(Phase.Commit);
        emit RoundDrawn(c.number(), seed, c.epochStart());
    }

    /// @inheritdoc IFederation
    function commit(uint208 commitment) external {
        ClockWord c = _clock;
        if (!c.acceptsCommits()) revert WrongPhase(_phase(c), Phase.Commit);
        if (commitment == 0) revert EmptyCommitment();
        BallotWord ballot = _ballots[msg.sender];
        uint24 number = c.number();
        if (ballot.round() == number) revert AlreadyCommitted(msg.sender);
        // The ballot is all that remembers it.
        if (ballot.state() == BallotLib.DEMANDED) revert UnansweredDemand(msg.sender);
        // A ballot of this epoch still knows its seat; an older one, or none, asks the shuffle once.
        uint8 seat = ballot.round() >= c.epochStart() ? ballot.seat() : _drawSeat(msg.sender);
        if (seat >= c.selected()) revert NotSelected(msg.sender);

        _ballots[msg.sender] = BallotLib.pack(commitment, number, seat, BallotLib.COMMITTED);
        _clock = c.countCommit();
        emit Committed(number, msg.sender, seat);
    }

    /// @inheritdoc IFederation
    function reveal(bytes32 contentId, bytes32 annex, bytes32 salt, bytes32 pledged) external {
        ClockWord c = _clock;
        if (!c.acceptsReveals()) revert WrongPhase(_phase(c), Phase.Reveal);
        BallotWord ballot = _ballots[msg.sender];
        uint24 number = c.number();
        if (ballot.round() != number) revert NothingToReveal(msg.sender);
        if (ballot.state() != BallotLib.COMMITTED) revert AlreadyRevealed(msg.sender);
        if (ballot.commitment() != CommitLib.commitment(number, c.seed(), msg.sender, contentId, annex, salt)) {
            revert CommitmentMismatch(msg.sender);
        }

        _ballots[msg.sender] = ballot.withState(BallotLib.REVEALED);
        _clock = c.countReveal();
        if (c.clusterSize() > 1) _roll = _roll.reveal(ballot.seat());
        if (pledged != 0) _pledges[msg.sender][number % 2] = pledged;
        emit Revealed(number, msg.sender, contentId, annex, salt, pledged);
    }

    /// @inheritdoc IFederation
    function pledge(bytes32 pledged) external {
        uint24 number = _clock.number();
        _pledges[msg.sender][number % 2] = pledged;
        emit Pledged(number, msg.sender, pledged);
    }

    /// @inheritdoc IFederation
    function unmask(uint96 missing, bytes32 contentId, bytes32 salt, bytes32[] calldata keys) external {
        ClockWord c = _clock;
        Roll roll = _roll;
        if (!c.acceptsUnmasking(roll)) revert WrongPhase(_phase(c), Phase.Unmask);
        BallotWord ballot = _ballots[msg.sender];
        uint24 number = c.number();
        if (!ballot.counts(number)) revert NothingToUnmask(msg.sender);
        if (missing != roll.missing()) revert SurvivorsChanged(roll.missing());
        uint256 seat = ballot.seat();
        if (!roll.isVeiled(seat)) revert AlreadyUnmasked(msg.sender);
        uint256 m = c.clusterSize();
        if (!roll.isViable(seat / m, m)) revert ClusterVoid(seat / m);
        bytes32 annex = MaskLib.annex(keys, roll.missingIn(seat / m, m), m);
        if (ballot.commitment() != CommitLib.commitment(number, c.seed(), msg.sender, contentId, annex, salt)) {
            revert CommitmentMismatch(msg.sender);
        }

        roll = roll.unmask(seat);
        _roll = roll;
        if (roll.isUnveiled(c.selected())) _clock = c.settleInto(Phase.Propose);
        emit Unmasked(number, msg.sender, keys);
    }

    /// @inheritdoc IFederation
    function propose(bytes calldata model, uint256 voids) external {
        ClockWord c = _clock;
        Phase now_ = _phase(c);
        if (now_ != Phase.Propose) revert WrongPhase(now_, Phase.Propose);
        Member memory member = _memberOf[msg.sender];
        if (member.status == Status.None || member.index >= _epoch.count) revert NotMember(msg.sender);
        uint256 held = vault.bondOf(msg.sender).amount;
        Params memory p = _read(IN_FORCE);
        Proposal memory round_ = _proposal;
        uint256 needed = uint256(p.bond) << round_.failures;
        if (held < needed) revert BondTooSmall(held, needed);
        // After a wrong proposal the lot has had its turn.
        uint256 openToAll = round_.failures == 0 ? c.proposeStart(p.demandWindow, p.unmaskWindow) + p.leadWindow : 0;
        if (block.timestamp < openToAll && seatOf(msg.sender) != leadSeat()) {
            revert NotYourTurn(leadSeat(), openToAll);
        }
        if (voids != 0 && p.clusterSize == 1) revert NoClusters();
        bytes32 contentId = RULEBOOK.checkModel(registry, round_.openedAt, p.clamp, p.step, model);

        (_proposal.proposer, _proposal.contentId, _proposal.voids) = (msg.sender, contentId, voids);
        _clock = c.enter(Phase.Challenge, block.timestamp);
        emit Proposed(c.number(), msg.sender, contentId, voids, model);
    }

    /// @inheritdoc IFederation
    function publish(bytes calldata model) external returns (uint32 version) {
        ClockWord c = _clock;
        Phase now_ = _phase(c);
        if (now_ != Phase.Final || c.stage() == Phase.Final) revert WrongPhase(now_, Phase.Final);
        return _publish(c, model);
    }

    // ------------------------------------------------------------------ modules

    /// @inheritdoc IFederation
    function overturn(address accuser) external returns (uint256 taken) {
        _only(_settlement);
        ClockWord c = _clock;
        _requireChallenge(c);
        address liar = _proposal.proposer;
        uint8 failures = ++_proposal.failures;
        (_proposal.proposer, _proposal.contentId, _proposal.voids) = (address(0), 0, 0);
        _clock = failures < ParamsLib.MAX_FAILURES
            ? c.settleInto(Phase.Propose)
            : c.enter(Phase.Void, block.timestamp);
        taken = vault.slash(liar, type(uint256).max, 0, accuser);
        emit Overturned(c.number(), liar, accuser, failures, taken);
        if (_memberOf[liar].status == Status.Joining) _leave(liar);
    }

    /// @inheritdoc IFederation
    function conclude(bytes calldata model) external returns (uint32 version) {
        _only(_settlement);
        ClockWord c = _clock;
        _requireChallenge(c);
        return _publish(c, model);
    }

    /// @inheritdoc IFederation
    function mark(address node, uint16 state) external {
        _only(_duties);
        BallotWord ballot = _ballots[node].withState(state);
        _ballots[node] = ballot;
        ClockWord c = _clock;
        bool masked = c.clusterSize() > 1;
        if (state == BallotLib.DEMANDED) {
            _clock = c.countDemand(false);
            if (masked) _roll = _roll.drop(ballot.seat());
        } else if (state == BallotLib.ANSWERED) {
            c = c.countDemand(true);
            // Nothing more to answer, and nothing more can be demanded: what comes next need not wait.
            bool over = c.demands() == 0 && !c.acceptsDemands(_sets[IN_FORCE].demandWindow);
            _clock = over ? c.settleInto(masked ? Phase.Unmask : Phase.Propose) : c;
            if (masked) _roll = _roll.reveal(ballot.seat());
        }
    }

    /// @inheritdoc IFederation
    function punish(address node, uint256 amount, address beneficiary, bool suspend) external returns (uint256 taken) {
        _only(_duties);
        uint256 reserve = _sets[IN_FORCE].bond / 2;
        taken = vault.slash(node, amount, reserve, beneficiary);
        // A fault must never become free: who has nothing left to lose but the reserve gives up its seat.
        bool spent = vault.bondOf(node).amount <= reserve;
        if ((suspend || spent) && _memberOf[node].status == Status.Joining) _leave(node);
    }

    // ------------------------------------------------------------------ governance

    /// @inheritdoc IFederation
    function scheduleParams(Params memory params_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        RULEBOOK.checkParams(params_, _proofs);
        _write(SCHEDULED, params_);
        _hasScheduled = true;
        emit ParamsScheduled(params_);
    }

    /// @inheritdoc IFederation
    function pause() external onlyRole(GUARDIAN) {
        _pause();
    }

    /// @inheritdoc IFederation
    function unpause() external onlyRole(GUARDIAN) {
        _unpause();
    }

    // ------------------------------------------------------------------ views

    /// @inheritdoc IFederation
    function phase() external view returns (Phase now_, uint256 endsAt) {
        return _phaseOf(_clock);
    }

    /// @inheritdoc IFederation
    function clock() external view returns (Clock memory) {
        return _clock.unpack();
    }

    /// @inheritdoc IFederation
    function proposal() external view returns (Proposal memory) {
        return _proposal;
    }

    /// @inheritdoc IFederation
    function params() external view returns (Params memory) {
        return _read(IN_FORCE);
    }

    /// @inheritdoc IFederation
    function ballotOf(address node) external view returns (Ballot memory) {
        return _ballots[node].unpack();
    }

    /// @inheritdoc IFederation
    function pledgeBefore(address node, uint24 round) external view returns (bytes32) {
        return _pledges[node][1 - round % 2];
    }

    /// @inheritdoc IFederation
    function words(address[] calldata nodes)
        external
        view
        returns (ClockWord clock_, Roll roll, BallotWord[] memory ballots)
    {
        clock_ = _clock;
        roll = clock_.clusterSize() == 1 ? Roll.wrap(0) : _roll;
        ballots = new BallotWord[](nodes.length);
        for (uint256 i; i < nodes.length; ++i) ballots[i] = _ballots[nodes[i]];
    }

    /// @inheritdoc IFederation
    function modules() external view returns (address settlement, address duties, IProofs proofs) {
        return (_settlement, _duties, _proofs);
    }

    /// @inheritdoc IFederation
    function memberOf(address node) external view returns (Member memory member) {
        member = _memberOf[node];
        if (member.status == Status.Joining && member.index < _epoch.count) member.status = Status.Active;
    }

    /// @inheritdoc IFederation
    function seatOf(address node) public view returns (uint8) {
        BallotWord ballot = _ballots[node];
        return ballot.round() != 0 && ballot.round() >= _clock.epochStart() ? ballot.seat() : _drawSeat(node);
    }

    /// @inheritdoc IFederation
    function leadSeat() public view returns (uint8) {
        ClockWord c = _clock;
        return c.selected() == 0 ? NO_SEAT : uint8(c.seed() % c.selected());
    }

    /// @inheritdoc IFederation
    function memberCounts() external view returns (uint32 active, uint32 joining) {
        active = _epoch.count;
        joining = uint32(_members.length - active);
    }

    /// @inheritdoc IFederation
    function membersAt(uint256 from, uint256 count) external view returns (address[] memory page) {
        uint256 end = Math.min(from + count, _members.length);
        page = new address[](end > from ? end - from : 0);
        for (uint256 i; i < page.length; ++i) page[i] = _members[from + i];
    }

    /// @inheritdoc IFederation
    function nextOpening() public view returns (uint256) {
        return _clock.number() == 0 ? 0 : uint256(_proposal.openedAt) + _sets[IN_FORCE].interval;
    }

    // ------------------------------------------------------------------ inside

    function _read(uint256 set) private view returns (Params memory) {
        return _sets[set];
    }

    function _write(uint256 set, Params memory p) private {
        _sets[set] = p;
    }

    function _applyParams(Params memory p, uint24 round) private {
        _write(IN_FORCE, p);
        emit ParamsApplied(round, p);
    }

    function _phase(ClockWord c) private view returns (Phase now_) {
        (now_,) = _phaseOf(c);
    }

    function _phaseOf(ClockWord c) private view returns (Phase, uint256) {
        return c.phase(_sets[IN_FORCE], c.clusterSize() == 1 ? Roll.wrap(0) : _roll);
    }

    function _only(address module) private view {
        if (msg.sender != module) revert NotModule(msg.sender);
    }

    function _requireChallenge(ClockWord c) private view {
        Phase now_ = _phase(c);
        if (now_ != Phase.Challenge) revert WrongPhase(now_, Phase.Challenge);
    }

    function _publish(ClockWord c, bytes calldata model) private returns (uint32 version) {
        bytes32 contentId = sha256(model);
        if (contentId != _proposal.contentId) revert ContentMismatch(contentId, _proposal.contentId);
        _clock = c.enter(Phase.Final, block.timestamp);
        version = registry.publish(model, contentId, c.number(), uint32(_proposal.openedAt));
        emit RoundFinal(c.number(), version, contentId);
    }

    function _requireNoRound(ClockWord c) private view {
        Phase now_ = _phase(c);
        // A proposal that holds must be published before the next round starts from it.
        bool unpublished = now_ == Phase.Final && c.stage() != Phase.Final;
        if (unpublished || (now_ != Phase.Idle && now_ != Phase.Void && now_ != Phase.Final)) {
            revert WrongPhase(now_, Phase.Final);
        }
    }

    // ------------------------------------------------------------------ seats and the member list

    function _drawSeat(address node) private view returns (uint8) {
        Member storage member = _memberOf[node];
        (uint64 seed, uint32 count, uint32 index) = (_epoch.seed, _epoch.count, member.index);
        // Once a member has left, positions are no longer those that the seats were drawn for.
        if (_epoch.redraw || member.status == Status.None || index >= count) return NO_SEAT;
        uint256 seat = SeatLib.seat(seed, index, count);
        return seat < NO_SEAT ? uint8(seat) : NO_SEAT;
    }

    function _leave(address node) private {
        emit Leaving(node);
        if (_memberOf[node].index >= _epoch.count) return _remove(node);
        _memberOf[node].status = Status.Leaving;
        _exits.push(node);
    }

    function _settleExits(uint256 most) private {
        uint256 end = Math.min(_exits.length, _exitsDone + most);
        while (_exitsDone < end) _remove(_exits[_exitsDone++]);
    }

    /// @dev Fills the gap with the last frozen member, and that one's place with the last of the queue. Removing a frozen member
    /// moves others, so every seat must be drawn anew.
    function _remove(address node) private {
        uint256 gap = _memberOf[node].index;
        if (gap < _epoch.count) {
            uint256 lastActive = --_epoch.count;
            _epoch.redraw = true;
            _place(_members[lastActive], gap);
            gap = lastActive;
        }
        uint256 last = _members.length - 1;
        if (gap != last) _place(_members[last], gap);
        _members.pop();
        _memberOf[node].status = Status.None;
        uint40 unlocksAt = uint40(block.timestamp) + _sets[IN_FORCE].unbonding;
        emit Left(node, unlocksAt);
        vault.release(node, unlocksAt);
    }

    function _place(address node, uint256 index) private {
        _members[index] = node;
        _memberOf[node].index = uint32(index);
    }
}
