// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IKeyring} from "./IKeyring.sol";
import {IModelRegistry} from "./IModelRegistry.sol";
import {IProofs} from "./IProofs.sol";
import {IStakeVault} from "./IStakeVault.sol";
import {BallotWord} from "../libraries/BallotLib.sol";
import {ClockWord} from "../libraries/ClockLib.sol";
import {Roll} from "../libraries/RollLib.sol";
import {RuleKind} from "../libraries/RuleLib.sol";

interface IFederationTypes {
    /// @notice Where a round stands: a view of time and counters. Nothing needs pushing.
    enum Phase {
        Idle, // no round was ever opened
        Draw, // opened; the seed's block is still to come, or nobody has drawn it yet
        Commit, // selected nodes commit
        Reveal, // committed nodes open
        Availability, // revealed bytes can be demanded, and must then be answered on chain
        Unmask, // masked rounds only: survivors open their self keys, and what they share with the missing
        Propose, // a member proposes the new model; one by lot first
        Challenge, // the proposal stands unless it is disproved; at once final when it is recomputed on chain
        Final, // the proposal holds; after `publish` it is the current version
        Void, // too few acted in time, or too many proposals were wrong: the last model stays
        Settle // finality gap between two phases that read each other: nothing is accepted
    }

    enum Status {
        None,
        Joining, // bonded; a member from the next epoch
        Active, // never stored: a joiner whose epoch has begun
        Leaving // asked to exit; leaves the list at the next opening, or by `settleExits`
    }

    /// @notice What a federation agrees on. Changed by the governor only, and only at the next opening.
    /// @param seats           Nodes selected for a round, 1..128 (fewer members: the largest multiple of `clusterSize`).
    /// @param clusterSize     m: nodes that are summed under masks, 3..16, a divisor of `seats`, at most 16 times, with 96 seats at most; 1 = plain: no
    ///                        masks. A cluster of fewer than max(3, ⌈2m/3⌉) survivors is void; a round needs as many clusters as
    ///                        its quorum fills. One word of a round must be recomputable with 400 masks.
    /// @param quorumBps       Least share of the selected that must commit, and reveal, in 1/10,000; rounded up.
    /// @param epochRounds     Rounds for which seats and members stay as they are, ≥ 1.
    /// @param seedDelay       Blocks between opening and the block whose hash is the seed, 1..128.
    /// @param finality        Seconds between two phases that read each other; at least the chain's finality depth times its
    ///                        block time. 1 on a local chain.
    /// @param interval        Seconds from one opening to the next, at least; at most 365 days.
    /// @param commitWindow    Seconds.
    /// @param revealWindow    Seconds.
    /// @param leadWindow      Seconds in which only the node drawn by lot may propose; < `proposeWindow`.
    /// @param proposeWindow   Seconds.
    /// @param challengeWindow Seconds in which nothing can be final.
    /// @param unbonding       Seconds that a leaver's bond stays slashable; longer than a whole round, twice; at most 365 days.
    /// @param clamp           B: largest |move| of one node on one weight that counts, in weight units, < 2^23.
    /// @param step            q: the mean move is multiplied by q / 65,536. 65,536 = the plain mean.
    /// @param bond            Least bond of a member, token units.
    /// @param silencePenalty  For a commit that is never opened; half of it for an absence, twice for bytes withheld. Doubles with
    ///                        each fault, eight times at most. ≤ bond / 16.
    /// @param minMembers      Least members with which a round opens, 1..`seats`: of few, each could read the others off the
    ///                        mean, and the first to join would rule alone.
    /// @param demandWindow    Seconds in which revealed bytes can be demanded, and then as many again to answer.
    /// @param demandBond      Wei that a demand puts up; pays for the answer's gas.
    /// @param rule            How updates combine: see `RuleLib`.
    /// @param weighted        Updates carry a second lane for each weight: how much it counts.
    /// @param trimBps         Share that the trimmed mean cuts from each end, 1/10,000; < 5,000.
    /// @param weightCap       H: largest weight that counts, 1..2^23 - 1; H · B >> s < 2^23.
    /// @param weightShift     s: the first lane of a weighted update is weight · move / 2^s; ≤ 23. In masked rounds m · B, or, weighted,
    ///                        m · H and m · H · B >> s, must stay below 2^23 too.
    /// @param unmaskWindow    Seconds in which survivors of a masked round unmask.
    /// @param closed          Only accounts with the role MEMBER, which the guardian grants, may join.
    struct Params {
        uint8 seats;
        uint8 clusterSize;
        uint16 quorumBps;
        uint16 epochRounds;
        uint8 seedDelay;
        uint16 finality;
        uint32 interval;
        uint24 commitWindow;
        uint24 revealWindow;
        uint24 leadWindow;
        uint24 proposeWindow;
        uint24 challengeWindow;
        uint32 unbonding;
        uint24 clamp;
        uint32 step;
        uint96 bond;
        uint96 silencePenalty;
        uint8 minMembers;
        uint24 demandWindow;
        uint96 demandBond;
        RuleKind rule;
        bool weighted;
        uint16 trimBps;
        uint24 weightCap;
        uint8 weightShift;
        uint24 unmaskWindow;
        bool closed;
    }

    /// @notice The round's clock and counters: one storage word, all that `commit` and `reveal` read besides the node's ballot.
    /// @param stage      Last phase that was *entered by an act*; `phase()` adds what time alone has changed.
    /// @param clusterSize Nodes that are summed under masks in this round; 1 = plain.
    /// @param number     Round, from 1.
    /// @param epochStart First round of the epoch: seats computed since then hold.
    /// @param demands    Demands for bytes that are not answered.
    /// @param since      Seconds at which `stage` begins to accept.
    /// @param selected   Nodes with a seat.
    /// @param quorum     Least commits, and reveals, of this round.
    /// @param revealed   Reveals that count: less those whose bytes were demanded and not answered.
    /// @param seed       First 64 bits of keccak256(seed block's hash, contract, round).
    struct Clock {
        Phase stage;
        uint8 clusterSize;
        uint24 number;
        uint24 epochStart;
        uint8 demands;
        uint40 since;
        uint24 commitWindow;
        uint24 revealWindow;
        uint16 finality;
        uint8 selected;
        uint8 quorum;
        uint8 committed;
        uint8 revealed;
        uint64 seed;
    }

    /// @notice What a round knows of its proposal.
    /// @param failures Proposals of this round that were proven wrong. The bond to propose doubles with each.
    /// @param voids    Clusters that the proposer claims to have no sum: see `MaskLib.isClaimed`.
    struct Proposal {
        address proposer;
        uint40 openedAt;
        uint40 seedBlock;
        uint8 failures;
        bytes32 contentId;
        uint256 voids;
    }

    /// @notice A node's commitment, seat and state in one word, set up at registration so that the first round costs what
    /// the hundredth does.
    /// @param commitment First 208 bits of the commit hash.
    /// @param round      Round of `commitment`.
    /// @param seat       Place in the epoch's shuffle, 255 = none.
    /// @param state      0 nothing, 1 committed, 2 revealed, 3 reported silent, 4 its bytes are demanded (dropped, if the time to
    ///                   answer is over), 5 its bytes were answered on chain, 6 dropped and reported, 7 did not unmask and reported.
    struct Ballot {
        uint208 commitment;
        uint24 round;
        uint8 seat;
        uint16 state;
    }

    struct Member {
        Status status;
        uint32 index;
    }
}

interface IFederationErrors is IFederationTypes {
    /// @dev The call belongs to `needed`; the round is in `actual`.
    error WrongPhase(Phase actual, Phase needed);
    /// @dev `opensAt` in seconds; from `draw`, the number of the first block that will do.
    error TooEarly(uint256 opensAt);
    error NotEnoughMembers(uint256 members, uint256 needed);
    error NotMember(address node);
    error AlreadyMember(address node);
    error NotSelected(address node);
    error AlreadyCommitted(address node);
    error EmptyCommitment();
    error NothingToReveal(address node);
    error AlreadyRevealed(address node);
    /// @dev The revealed values do not hash to the commitment of this node in this round.
    error CommitmentMismatch(address node);
    /// @dev Bytes of `node` were demanded in an earlier round and not handed out: `reportUnanswered` first.
    error UnansweredDemand(address node);
    /// @dev In a masked federation a node registers a key before it joins.
    error NoKey(address node);
    /// @dev This node's vector does not count in this round.
    error NothingToUnmask(address node);
    error AlreadyUnmasked(address node);
    /// @dev The missing are others than those that the caller's keys were chosen for: nothing must be opened for another set.
    error SurvivorsChanged(uint96 missing);
    /// @dev Too few of the cluster survive: nobody in it unmasks.
    error ClusterVoid(uint256 cluster);
    /// @dev A plain round has no clusters to claim void.
    error NoClusters();
    /// @dev Until `until`, only the node at `seat` may propose.
    error NotYourTurn(uint8 seat, uint256 until);
    error WrongModelLength(uint256 given, uint256 expected);
    /// @dev Weight `index` is further than B·q/65,536 from what the round starts from (`IModelRegistry.carried`): no honest round does that.
    error MoveTooLarge(uint256 index);
    error ContentMismatch(bytes32 given, bytes32 proposed);
    error BondTooSmall(uint256 given, uint256 needed);
    /// @dev Weights behind the dimension, in the last word, must be 0.
    error BadPadding();
    /// @dev The call belongs to the federation's settlement or duties.
    error NotModule(address caller);
    /// @dev A parameter is out of its range; `name` says which.
    error BadParameter(bytes32 name);
    error ZeroAddress();
}

interface IFederationEvents is IFederationTypes {
    event Joining(address indexed node, uint256 bond);
    event Leaving(address indexed node);
    event Left(address indexed node, uint40 unlocksAt);
    event ParamsScheduled(Params params);
    event ParamsApplied(uint24 indexed round, Params params);
    event RoundOpened(uint24 indexed round, uint40 seedBlock, uint8 selected, uint32 members);
    event RoundRearmed(uint24 indexed round, uint40 seedBlock);
    event RoundDrawn(uint24 indexed round, uint64 seed, uint24 epochStart);
    event Committed(uint24 indexed round, address indexed node, uint8 seat);
    /// @param pledge 0 where nothing was pledged.
    event Revealed(
        uint24 indexed round, address indexed node, bytes32 contentId, bytes32 annex, bytes32 salt, bytes32 pledge
    );
    /// @notice Pledged aside from a reveal. @param round The last that was opened.
    event Pledged(uint24 indexed round, address indexed node, bytes32 pledge);
    /// @param keys As handed in: see `MaskLib.annex`.
    event Unmasked(uint24 indexed round, address indexed node, bytes32[] keys);
    event Proposed(uint24 indexed round, address indexed proposer, bytes32 contentId, uint256 voids, bytes model);
    event RoundFinal(uint24 indexed round, uint32 indexed version, bytes32 contentId);
    event Overturned(
        uint24 indexed round, address indexed proposer, address indexed accuser, uint8 failures, uint256 taken
    );
}

/// @title A federation: its members and its rounds.
/// @notice open → draw → commit → reveal → availability → (unmask →) propose → challenge → final. Phases are a view of time and counters; a phase ends early
/// only when all who could act in it have acted. Quorums count the selected set. Nothing may be replaced. A pause stops only the
/// opening of rounds.
///
/// Commit hash, truncated to its first 208 bits:
/// keccak256(abi.encode(COMMIT_TYPEHASH, chainid, federation, round, seed, node, contentId, annex, salt)), where `contentId` is the
/// SHA-256 of the node's packed update, masked where the round is, and `annex` is 0 in plain mode, the hash of its keys in masked
/// mode (`MaskLib.annex`).
interface IFederation is IFederationErrors, IFederationEvents {
    /// @notice Sets up a clone; once only.
    /// @param admin    Governor: a timelock. @param guardian May pause the opening of rounds.
    /// @param settlement May overturn and conclude proposals. @param duties May mark ballots and punish. @param keyring Knows who has
    /// a key to mask with. @param proofs Judges proofs of demanded updates; 0 where there are none.
    function initialize(
        Params calldata params,
        IStakeVault vault,
        IModelRegistry registry,
        address settlement,
        address duties,
        IKeyring keyring,
        IProofs proofs,
        address admin,
        address guardian
    ) external;

    // ------------------------------------------------------------------ members

    /// @notice Bonds `amount` (approved to the vault before) and queues the caller; a member from the next epoch. What a leaver
    /// has not withdrawn yet counts. Where rounds are masked the caller has a key in the keyring already; where the federation is
    /// closed, the role MEMBER.
    function join(uint256 amount) external;

    /// @notice Queues the caller's exit. It leaves at the next opening, or by `settleExits` while no round runs; its bond then
    /// stays slashable for `unbonding` seconds. One that is still joining leaves at once.
    function exit() external;

    /// @notice Carries out up to `most` queued exits while no round runs, paused or not, so that no bond can be trapped.
    function settleExits(uint256 most) external;

    // ------------------------------------------------------------------ rounds

    /// @notice Opens the next round when the schedule says so: applies queued exits (up to 8), then scheduled parameters, and, at
    /// the start of an epoch, joins. Anybody may call.
    function open() external;

    /// @notice Pins the seed to the hash of the block named at opening. If that hash is out of reach (older than 256 blocks), names
    /// a new block instead. Anybody may call.
    function draw() external;

    /// @notice Commits a selected node to its update. Nothing may be replaced.
    /// @param commitment First 208 bits of the commit hash, not 0.
    function commit(uint208 commitment) external;

    /// @notice Opens the caller's commit. The bytes named by `contentId` are pinned off chain.
    /// @param contentId SHA-256 of the packed update. @param annex 0 in plain mode. @param salt 32 random bytes.
    /// @param pledged SHA-256 of (id of this round's proof ‖ root of the rows that the next round's update will come from), see
    /// `pledge`; 0 pledges nothing, and leaves what stands.
    function reveal(bytes32 contentId, bytes32 annex, bytes32 salt, bytes32 pledged) external;

    /// @notice Pledges the caller to the rows that its update of the *next* round will come from, outside a reveal: a newcomer, or a
    /// node without a seat. Until then it may be replaced. What is pledged while a round is the last one binds in the round after it,
    /// and nothing that is written after an opening binds in the round that it opened.
    /// @param pledged SHA-256 of 64 bytes: (the id of the last proof, or 0 ‖ the root).
    function pledge(bytes32 pledged) external;

    /// @notice Opens a survivor's masks: its self key, and the keys that it shares with the missing of its cluster. Masked rounds only.
    ///
    /// Warning: who opens its self key, and is then missing in another history of the chain in which the others open what they share
    /// with it, has shown its update. Read the missing at finality depth, and open for one set only, ever.
    /// @param missing Bit s: seat s does not count (`roll`). The keys are good for this set alone.
    /// @param contentId As revealed. @param salt As revealed. @param keys See `MaskLib.annex`.
    function unmask(uint96 missing, bytes32 contentId, bytes32 salt, bytes32[] calldata keys) external;

    /// @notice Proposes the round's new model. First only the node drawn by lot, then any member; after a proposal was proven wrong
    /// any member at once, with twice the bond for each such proposal.
    /// @param model Bytes: ⌈d/8⌉ words.
    /// @param voids Clusters whose sum is none (a word of it ≥ 2^248), because somebody masked wrongly; they do not count. Up to 16
    ///              claims, by rising cluster, see `MaskLib.isClaimed`; 0 in plain rounds.
    function propose(bytes calldata model, uint256 voids) external;

    /// @notice Writes a final proposal into the registry. Anybody may call.
    /// @param model The proposal's bytes.
    function publish(bytes calldata model) external returns (uint32 version);

    // ------------------------------------------------------------------ modules

    /// @notice Slashes the proposer's whole bond, half of it to `accuser`, and sends the round back to proposing; void after the
    /// third wrong proposal. Settlement only, in Challenge.
    /// @return taken What the proposer lost.
    function overturn(address accuser) external returns (uint256 taken);

    /// @notice Makes the proposal final at once and publishes it. Settlement only, in Challenge.
    /// @param model The proposal's bytes.
    function conclude(bytes calldata model) external returns (uint32 version);

    /// @notice Sets the state of a node's ballot; the counters follow. Duties only.
    /// @param state As in `Ballot.state`.
    function mark(address node, uint16 state) external;

    /// @notice Takes `amount` from a node, but never more than leaves half of the least bond: that rest stays for proofs of fraud.
    /// A node that has no more than the rest, or is to be suspended, is queued to leave. Duties only.
    /// @return taken What was really taken; half of it, rounded down, goes to `beneficiary`.
    function punish(address node, uint256 amount, address beneficiary, bool suspend) external returns (uint256 taken);

    // ------------------------------------------------------------------ governance

    /// @notice Parameters for the next opening; governor (timelock) only. Where updates carry proofs, none with which they could not.
    function scheduleParams(Params calldata params) external;

    /// @notice Stops the opening of rounds; guardian only.
    function pause() external;

    /// @notice Guardian only.
    function unpause() external;

    // ------------------------------------------------------------------ views

    /// @return now_ Where the round stands at this block. @return endsAt Seconds at which that ends by time alone; 0 = never.
    function phase() external view returns (Phase now_, uint256 endsAt);

    function clock() external view returns (Clock memory);

    function proposal() external view returns (Proposal memory);

    function params() external view returns (Params memory);

    function ballotOf(address node) external view returns (Ballot memory);

    /// @notice The clock, the roll (0 in plain rounds) and some ballots as they are stored: for modules.
    function words(address[] calldata nodes)
        external
        view
        returns (ClockWord clock, Roll roll, BallotWord[] memory ballots);

    /// @notice Settlement and duties of this federation, and who judges proofs of demanded updates; 0 where there are none.
    function modules() external view returns (address settlement, address duties, IProofs proofs);

    function memberOf(address node) external view returns (Member memory);

    /// @notice The node's seat in the current epoch; 255 if it has none.
    function seatOf(address node) external view returns (uint8);

    /// @notice The seat that may propose first in this round.
    function leadSeat() external view returns (uint8);

    /// @notice Frozen members of the epoch, and those who will join at the next.
    function memberCounts() external view returns (uint32 active, uint32 joining);

    /// @notice `count` members from position `from`: first the active, then the joining.
    function membersAt(uint256 from, uint256 count) external view returns (address[] memory);

    /// @notice Seconds from which the next round may be opened.
    function nextOpening() external view returns (uint256);

    function vault() external view returns (IStakeVault);

    function registry() external view returns (IModelRegistry);

    function keyring() external view returns (IKeyring);

    /// @notice What the node had pledged before `round` was opened: the running one, or the next if it were opened now. Of older
    /// rounds the events tell.
    function pledgeBefore(address node, uint24 round) external view returns (bytes32);
}
