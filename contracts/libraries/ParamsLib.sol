// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IFederationErrors, IFederationTypes} from "../interfaces/IFederation.sol";
import {RollLib} from "./RollLib.sol";

/// @title What parameters a federation accepts. Twin: offchain/fedvol/chain/plan.py refuses the same before gas is spent.
library ParamsLib {
    /// @dev Wrong proposals after which a round is void.
    uint256 internal constant MAX_FAILURES = 3;

    /// @dev Masks that one word may wear: 6.5M gas.
    uint256 internal constant MOST_MASKS = 400;

    /// @dev Longer ones could not be taken back: parameters change only at an opening, bonds unlock only in time.
    uint256 internal constant LONGEST = 365 days;

    /// @notice Reverts `BadParameter` with the name of the first parameter that is out of its range.
    function check(IFederationTypes.Params calldata p) internal pure {
        require(p.seats >= 1 && p.seats <= 128, IFederationErrors.BadParameter("seats"));
        // 2 would let each of a pair read the other's update off the sum.
        require(
            p.clusterSize == 1 || (p.clusterSize >= 3 && p.clusterSize <= 16 && p.seats % p.clusterSize == 0),
            IFederationErrors.BadParameter("clusterSize")
        );
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
        require(p.unmaskWindow >= 1, IFederationErrors.BadParameter("unmaskWindow"));
        uint256 round = 5 * uint256(p.finality) + p.commitWindow + p.revealWindow + 2 * uint256(p.demandWindow)
            + p.unmaskWindow
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
        // A cluster's sum travels as one update does.
        uint256 m = p.clusterSize;
        if (m > 1) {
            uint256 least = RollLib.leastSurvivors(m);
            uint256 masks = (p.seats / m) * least * (1 + m - least) * (p.weighted ? 2 : 1);
            // As many clusters as can be claimed void; and a word that a dispute can recompute in one transaction.
            require(
                p.seats <= RollLib.MOST_SEATS && p.seats / m <= 16 && masks <= MOST_MASKS,
                IFederationErrors.BadParameter("clusterSize")
            );
        }
        uint256 most = p.weighted ? Math.max(m * p.weightCap, (m * p.weightCap * p.clamp) >> p.weightShift) : m * p.clamp;
        require(m == 1 || most < 1 << 23, IFederationErrors.BadParameter("clamp"));
        require(p.minMembers >= m && p.minMembers <= p.seats, IFederationErrors.BadParameter("minMembers"));
    }
}
