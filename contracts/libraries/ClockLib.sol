// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationTypes} from "../interfaces/IFederation.sol";
import {Roll} from "./RollLib.sol";

/// @notice The round's clock and counters in one word; fields as in `IFederationTypes.Clock`, from the lowest bit:
/// stage 4, clusterSize - 1 4, number 24, number - epochStart 16, demands 8, since 40, commitWindow 24, revealWindow 24, finality 16,
/// selected 8, quorum 8, committed 8, revealed 8, seed 64.
type ClockWord is uint256;

using ClockLib for ClockWord global;

/// @title The round as a view of time and counters. Nothing needs pushing.
/// @dev A word instead of a struct: a commit or a reveal reads a few fields and changes one or two.
library ClockLib {
    uint256 private constant CLUSTER = 4;
    uint256 private constant NUMBER = 8;
    uint256 private constant EPOCH_AGE = 32;
    uint256 private constant DEMANDS = 48;
    uint256 private constant SINCE = 56;
    uint256 private constant COMMIT_WINDOW = 96;
    uint256 private constant REVEAL_WINDOW = 120;
    uint256 private constant FINALITY = 144;
    uint256 private constant SELECTED = 160;
    uint256 private constant QUORUM = 168;
    uint256 private constant COMMITTED = 176;
    uint256 private constant REVEALED = 184;
    uint256 private constant SEED = 192;

    function _field(ClockWord c, uint256 shift, uint256 bits) private pure returns (uint256) {
        return (ClockWord.unwrap(c) >> shift) & ((1 << bits) - 1);
    }

    function _with(ClockWord c, uint256 shift, uint256 bits, uint256 value) private pure returns (ClockWord) {
        return ClockWord.wrap((ClockWord.unwrap(c) & ~(((1 << bits) - 1) << shift)) | (value << shift));
    }

    // ------------------------------------------------------------------ fields

    function stage(ClockWord c) internal pure returns (IFederationTypes.Phase) {
        return IFederationTypes.Phase(uint8(_field(c, 0, 4)));
    }

    function _isIn(ClockWord c, IFederationTypes.Phase stage_) private pure returns (bool) {
        return _field(c, 0, 4) == uint8(stage_);
    }

    /// @notice m: nodes that are summed under masks, 1..16; 1 = plain.
    function clusterSize(ClockWord c) internal pure returns (uint256) {
        unchecked {
            return _field(c, CLUSTER, 4) + 1;
        }
    }

    function number(ClockWord c) internal pure returns (uint24) {
        return uint24(_field(c, NUMBER, 24));
    }

    function epochStart(ClockWord c) internal pure returns (uint24) {
        unchecked {
            return number(c) - uint24(_field(c, EPOCH_AGE, 16));
        }
    }

    /// @notice Demands for bytes that are not answered.
    function demands(ClockWord c) internal pure returns (uint256) {
        return _field(c, DEMANDS, 8);
    }

    function since(ClockWord c) internal pure returns (uint256) {
        return _field(c, SINCE, 40);
    }

    function commitEnd(ClockWord c) internal pure returns (uint256) {
        unchecked {
            return since(c) + _field(c, COMMIT_WINDOW, 24); // 40 bits and 24
        }
    }

    function selected(ClockWord c) internal pure returns (uint8) {
        return uint8(_field(c, SELECTED, 8));
    }

    function revealed(ClockWord c) internal pure returns (uint256) {
        return _field(c, REVEALED, 8);
    }

    function seed(ClockWord c) internal pure returns (uint64) {
        return uint64(_field(c, SEED, 64));
    }

    function hasCommitQuorum(ClockWord c) internal pure returns (bool) {
        return _field(c, COMMITTED, 8) >= _field(c, QUORUM, 8);
    }

    function unpack(ClockWord c) internal pure returns (IFederationTypes.Clock memory) {
        return IFederationTypes.Clock({
            stage: stage(c),
            clusterSize: uint8(clusterSize(c)),
            number: number(c),
            epochStart: epochStart(c),
            demands: uint8(demands(c)),
            since: uint40(since(c)),
            commitWindow: uint24(_field(c, COMMIT_WINDOW, 24)),
            revealWindow: uint24(_field(c, REVEAL_WINDOW, 24)),
            finality: uint16(_field(c, FINALITY, 16)),
            selected: selected(c),
            quorum: uint8(_field(c, QUORUM, 8)),
            committed: uint8(_field(c, COMMITTED, 8)),
            revealed: uint8(_field(c, REVEALED, 8)),
            seed: seed(c)
        });
    }

    // ------------------------------------------------------------------ acts

    /// @notice A new round in Draw: counters and seed at zero.
    function opened(
        uint256 number_,
        uint256 epochStart_,
        IFederationTypes.Params memory p,
        uint256 selected_,
        uint256 quorum_
    ) internal view returns (ClockWord) {
        return ClockWord.wrap(
            uint256(IFederationTypes.Phase.Draw) | ((uint256(p.clusterSize) - 1) << CLUSTER) | (number_ << NUMBER)
                | ((number_ - epochStart_) << EPOCH_AGE)
                | (block.timestamp << SINCE) | (uint256(p.commitWindow) << COMMIT_WINDOW)
                | (uint256(p.revealWindow) << REVEAL_WINDOW) | (uint256(p.finality) << FINALITY)
                | (selected_ << SELECTED) | (quorum_ << QUORUM)
        );
    }

    function withSeed(ClockWord c, uint64 seed_) internal pure returns (ClockWord) {
        return _with(c, SEED, 64, seed_);
    }

    /// @notice Enters `next` at `since_`.
    function enter(ClockWord c, IFederationTypes.Phase next, uint256 since_) internal pure returns (ClockWord) {
        return _with(_with(c, 0, 4, uint256(next)), SINCE, 40, since_);
    }

    /// @notice Enters `next` one finality depth from now.
    function settleInto(ClockWord c, IFederationTypes.Phase next) internal view returns (ClockWord) {
        unchecked {
            return enter(c, next, block.timestamp + _field(c, FINALITY, 16));
        }
    }

    /// @notice One more commit; the last of all selected ends the phase.
    function countCommit(ClockWord c) internal view returns (ClockWord) {
        unchecked {
            c = ClockWord.wrap(ClockWord.unwrap(c) + (1 << COMMITTED)); // at most 128: no carry
        }
        return _field(c, COMMITTED, 8) == selected(c) ? settleInto(c, IFederationTypes.Phase.Reveal) : c;
    }

    /// @notice One more reveal; the last of all committed ends the phase.
    function countReveal(ClockWord c) internal view returns (ClockWord) {
        unchecked {
            c = ClockWord.wrap(ClockWord.unwrap(c) + (1 << REVEALED));
        }
        return
            _field(c, REVEALED, 8) == _field(c, COMMITTED, 8) ? settleInto(c, IFederationTypes.Phase.Availability) : c;
    }

    /// @notice One reveal less and one demand more, or the reverse: its bytes were demanded, or answered.
    function countDemand(ClockWord c, bool answered) internal pure returns (ClockWord) {
        unchecked {
            uint256 change = (1 << REVEALED) - (1 << DEMANDS);
            return ClockWord.wrap(answered ? ClockWord.unwrap(c) + change : ClockWord.unwrap(c) - change);
        }
    }

    // ------------------------------------------------------------------ time

    function acceptsCommits(ClockWord c) internal view returns (bool) {
        unchecked {
            // Before it begins the difference wraps, and passes every window.
            return _isIn(c, IFederationTypes.Phase.Commit) && block.timestamp - since(c) < _field(c, COMMIT_WINDOW, 24);
        }
    }

    function acceptsReveals(ClockWord c) internal view returns (bool) {
        unchecked {
            return block.timestamp - revealStart(c) < _field(c, REVEAL_WINDOW, 24) && hasCommitQuorum(c);
        }
    }

    /// @notice When revealing begins: known once committing has ended, by act or by time. Out of reach in every other stage.
    function revealStart(ClockWord c) internal pure returns (uint256) {
        if (_isIn(c, IFederationTypes.Phase.Reveal)) return since(c);
        if (!_isIn(c, IFederationTypes.Phase.Commit)) return type(uint64).max;
        unchecked {
            return commitEnd(c) + _field(c, FINALITY, 16);
        }
    }

    /// @notice When revealing ends by time; 0 where an act has ended it.
    function revealEnd(ClockWord c) internal pure returns (uint256) {
        uint256 start = revealStart(c);
        unchecked {
            return start == type(uint64).max ? 0 : start + _field(c, REVEAL_WINDOW, 24);
        }
    }

    /// @notice Whether committing is over, so that who has not committed is absent.
    function isCommitOver(ClockWord c) internal view returns (bool) {
        IFederationTypes.Phase s = stage(c);
        if (s == IFederationTypes.Phase.Idle || s == IFederationTypes.Phase.Draw) return false;
        return s != IFederationTypes.Phase.Commit || block.timestamp >= commitEnd(c);
    }

    /// @notice When bytes can first be demanded. Out of reach once a later phase was entered by an act.
    function availabilityStart(ClockWord c) internal pure returns (uint256) {
        if (_isIn(c, IFederationTypes.Phase.Availability)) return since(c);
        uint256 end = revealEnd(c);
        unchecked {
            return end == 0 ? type(uint64).max : end + _field(c, FINALITY, 16);
        }
    }

    function acceptsDemands(ClockWord c, uint256 demandWindow) internal view returns (bool) {
        uint256 start = availabilityStart(c);
        return block.timestamp >= start && block.timestamp < start + demandWindow;
    }

    /// @notice When answering ends; 0 where a later phase was entered by an act.
    function answerEnd(ClockWord c, uint256 demandWindow) internal pure returns (uint256) {
        uint256 start = availabilityStart(c);
        return start == type(uint64).max ? 0 : start + 2 * demandWindow;
    }

    /// @notice When the bytes of all that count are known. Demands that are open at the end of demanding get as long again to be
    /// answered. Out of reach once a later phase was entered by an act.
    function _availabilityEnd(ClockWord c, uint256 demandWindow) private pure returns (uint256) {
        return availabilityStart(c) + (demands(c) == 0 ? 1 : 2) * demandWindow;
    }

    /// @notice When survivors can first unmask; masked rounds only. Out of reach once proposing was entered by an act.
    function unmaskStart(ClockWord c, uint256 demandWindow) internal pure returns (uint256) {
        if (_isIn(c, IFederationTypes.Phase.Unmask)) return since(c);
        return _availabilityEnd(c, demandWindow) + _field(c, FINALITY, 16);
    }

    function acceptsUnmasking(ClockWord c, Roll roll) internal view returns (bool) {
        unchecked {
            // Before its start the difference wraps, and passes every window.
            return block.timestamp - unmaskStart(c, roll.demandWindow()) < roll.unmaskWindow()
                && _field(c, REVEALED, 8) >= _field(c, QUORUM, 8) && clusterSize(c) > 1;
        }
    }

    /// @notice Whether survivors of a masked round were asked to unmask, and their time is over.
    function isUnmaskingOver(ClockWord c, Roll roll) internal view returns (bool) {
        IFederationTypes.Phase s = stage(c);
        if (s == IFederationTypes.Phase.Idle || s == IFederationTypes.Phase.Draw) return false;
        if (s > IFederationTypes.Phase.Unmask) return true;
        // Where too few nodes, or too few clusters, were left the round was void before.
        return revealed(c) >= _field(c, QUORUM, 8) && roll.viable(c) >= _clusterQuorum(c)
            && block.timestamp >= unmaskStart(c, roll.demandWindow()) + roll.unmaskWindow();
    }

    /// @notice When proposing begins.
    function proposeStart(ClockWord c, uint256 demandWindow, uint256 unmaskWindow) internal pure returns (uint256) {
        if (_isIn(c, IFederationTypes.Phase.Propose)) return since(c);
        uint256 before = clusterSize(c) == 1
            ? _availabilityEnd(c, demandWindow)
            : unmaskStart(c, demandWindow) + unmaskWindow;
        return before + _field(c, FINALITY, 16);
    }

    /// @notice Clusters that must be left, as many as the quorum fills.
    function _clusterQuorum(ClockWord c) private pure returns (uint256) {
        uint256 m = clusterSize(c);
        return (_field(c, QUORUM, 8) + m - 1) / m;
    }

    /// @notice Where the round stands at this block, and the second at which that ends by time alone (0 = never).
    /// @param p Its windows. @param roll Read in masked rounds only.
    function phase(ClockWord c, IFederationTypes.Params storage p, Roll roll)
        internal
        view
        returns (IFederationTypes.Phase, uint256 endsAt)
    {
        IFederationTypes.Phase s = stage(c);
        if (
            s == IFederationTypes.Phase.Idle || s == IFederationTypes.Phase.Draw || s == IFederationTypes.Phase.Final
                || s == IFederationTypes.Phase.Void
        ) return (s, 0);
        if (block.timestamp < since(c)) return (IFederationTypes.Phase.Settle, since(c));
        if (s == IFederationTypes.Phase.Challenge) {
            endsAt = since(c) + p.challengeWindow;
            if (block.timestamp < endsAt) return (s, endsAt);
            return (IFederationTypes.Phase.Final, 0);
        }
        if (s == IFederationTypes.Phase.Commit) {
            if (block.timestamp < commitEnd(c)) return (s, commitEnd(c));
            if (!hasCommitQuorum(c)) return (IFederationTypes.Phase.Void, 0);
        }
        (uint256 demandWindow, uint256 unmaskWindow) = (p.demandWindow, p.unmaskWindow);
        if (s != IFederationTypes.Phase.Propose) {
            if (s == IFederationTypes.Phase.Commit || s == IFederationTypes.Phase.Reveal) {
                if (block.timestamp < revealStart(c)) return (IFederationTypes.Phase.Settle, revealStart(c));
                if (block.timestamp < revealEnd(c)) return (IFederationTypes.Phase.Reveal, revealEnd(c));
            }
            uint256 revealed_ = revealed(c);
            uint256 quorum = _field(c, QUORUM, 8);
            if (revealed_ + demands(c) < quorum) return (IFederationTypes.Phase.Void, 0);
            if (s != IFederationTypes.Phase.Unmask) {
                uint256 opening = availabilityStart(c);
                if (block.timestamp < opening) return (IFederationTypes.Phase.Settle, opening);
                endsAt = _availabilityEnd(c, demandWindow);
                if (block.timestamp < endsAt) return (IFederationTypes.Phase.Availability, endsAt);
            }
            // Whose demand is still open here is dropped.
            if (revealed_ < quorum) return (IFederationTypes.Phase.Void, 0);
            if (clusterSize(c) > 1) {
                if (roll.viable(c) < _clusterQuorum(c)) return (IFederationTypes.Phase.Void, 0);
                uint256 unmasking = unmaskStart(c, demandWindow);
                if (block.timestamp < unmasking) return (IFederationTypes.Phase.Settle, unmasking);
                endsAt = unmasking + unmaskWindow;
                if (block.timestamp < endsAt) return (IFederationTypes.Phase.Unmask, endsAt);
            }
        }
        if (clusterSize(c) > 1 && roll.open(c) < _clusterQuorum(c)) return (IFederationTypes.Phase.Void, 0);
        uint256 start = proposeStart(c, demandWindow, unmaskWindow);
        if (block.timestamp < start) return (IFederationTypes.Phase.Settle, start);
        endsAt = start + p.proposeWindow;
        if (block.timestamp < endsAt) return (IFederationTypes.Phase.Propose, endsAt);
        return (IFederationTypes.Phase.Void, 0);
    }
}
