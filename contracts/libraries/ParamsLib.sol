// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IFederationErrors, IFederationTypes} from "../interfaces/IFederation.sol";

/// @title What parameters a federation accepts. Twin: offchain/fedvol/chain/plan.py refuses the same before gas is spent.
library ParamsLib {
    /// @dev Wrong proposals after which a round is void.
    uint256 internal constant MAX_FAILURES = 3;

    /// @dev Longer ones could not be taken back: parameters change only at an opening, bonds unlock only in time.
    uint256 internal constant LONGEST = 365 days;

    /// @notice Reverts `BadParameter` with the name of the first parameter that is out of its range.
    function check(IFederationTypes.Params calldata p) internal pure {
        require(p.seats >= 1 && p.seats <= 128, IFederationErrors.BadParameter("seats"));
        // 2 would let each of a pair read the other's update off the sum.
        require(p.clusterSize == 1, IFederationErrors.BadParameter("clusterSize"));
        require(p.quorumBps >= 1 && p.quorumBps <= 10_000, IFederationErrors.BadParameter("quorumBps"));
        require(p.epochRounds >= 1, IFederationErrors.BadParameter("epochRounds"));
        require(p.seedDelay >= 1 && p.seedDelay <= 128, IFederationErrors.BadParameter("seedDelay"));
        require(p.interval <= LONGEST, IFederationErrors.BadParameter("interval"));
        require(p.finality >= 1, IFederationErrors.BadParameter("finality"));
        require(p.commitWindow >= 1, IFederationErrors.BadParameter("commitWindow"));
        require(p.revealWindow >= 1, IFederationErrors.BadParameter("revealWindow"));
        require(p.leadWindow < p.proposeWindow, IFederationErrors.BadParameter("leadWindow"));
        require(p.challengeWindow >= 1, IFederationErrors.BadParameter("challengeWindow"));
        require(p.demandWindow >= 1, IFederationErrors.BadParameter("demandWindow"));
        require(p.demandBond < 1 << 72, IFederationErrors.BadParameter("demandBond"));
        uint256 round = 4 * uint256(p.finality) + p.commitWindow + p.revealWindow + 2 * uint256(p.demandWindow)
            + MAX_FAILURES * (uint256(p.finality) + p.proposeWindow + p.challengeWindow);
        require(p.unbonding >= 2 * round && p.unbonding <= LONGEST, IFederationErrors.BadParameter("unbonding"));
        require(p.clamp >= 1 && p.clamp < 1 << 23, IFederationErrors.BadParameter("clamp"));
        require(p.step >= 1, IFederationErrors.BadParameter("step"));
        require(p.bond >= 16, IFederationErrors.BadParameter("bond"));
        require(p.silencePenalty <= p.bond / 16, IFederationErrors.BadParameter("silencePenalty"));
        require(p.trimBps < 5_000, IFederationErrors.BadParameter("trimBps"));
        require(p.weightCap >= 1 && p.weightCap < 1 << 23, IFederationErrors.BadParameter("weightCap"));
        require(
            p.weightShift <= 23 && (uint256(p.weightCap) * p.clamp) >> p.weightShift < 1 << 23,
            IFederationErrors.BadParameter("weightShift")
        );
        require(p.minMembers >= 1 && p.minMembers <= p.seats, IFederationErrors.BadParameter("minMembers"));
    }
}
