// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {LibBit} from "solady/utils/LibBit.sol";
import {ClockWord} from "./ClockLib.sol";

/// @notice The roll of a masked round, from the lowest bit: missing 96 (bit s is set while the vector of seat s does not count: not
/// revealed, or demanded in vain), veiled 96 (until seat s has unmasked), demandWindow 24, unmaskWindow 24.
type Roll is uint256;

using RollLib for Roll global;

/// @title Who of the seated is missing, and whose mask is still on. Twin: offchain/fedvol/protocol/roll.py
/// @dev Never zero in storage, so that a first reveal costs what the last does. A cluster is m seats side by side. It carries the two
/// windows that unmasking reads besides the clock.
library RollLib {
    uint256 internal constant MOST_SEATS = 96;
    uint256 private constant VEIL = 96;
    uint256 private constant DEMAND_WINDOW = 192;
    uint256 private constant UNMASK_WINDOW = 216;

    /// @notice Nobody has revealed.
    function blank(uint24 demandWindow_, uint24 unmaskWindow_) internal pure returns (Roll) {
        return Roll.wrap(
            (1 << DEMAND_WINDOW) - 1 | uint256(demandWindow_) << DEMAND_WINDOW | uint256(unmaskWindow_) << UNMASK_WINDOW
        );
    }

    function demandWindow(Roll r) internal pure returns (uint256) {
        return uint24(Roll.unwrap(r) >> DEMAND_WINDOW);
    }

    function unmaskWindow(Roll r) internal pure returns (uint256) {
        return uint24(Roll.unwrap(r) >> UNMASK_WINDOW);
    }

    function reveal(Roll r, uint256 seat) internal pure returns (Roll) {
        return Roll.wrap(Roll.unwrap(r) & ~(1 << seat));
    }

    function drop(Roll r, uint256 seat) internal pure returns (Roll) {
        return Roll.wrap(Roll.unwrap(r) | (1 << seat));
    }

    function unmask(Roll r, uint256 seat) internal pure returns (Roll) {
        return Roll.wrap(Roll.unwrap(r) & ~(1 << (VEIL + seat)));
    }

    function isVeiled(Roll r, uint256 seat) internal pure returns (bool) {
        return (Roll.unwrap(r) >> (VEIL + seat)) & 1 == 1;
    }

    /// @notice What an unmasking is bound to.
    function missing(Roll r) internal pure returns (uint96) {
        return uint96(Roll.unwrap(r));
    }

    /// @notice Whether every survivor has unmasked.
    function isUnveiled(Roll r, uint256 selected) internal pure returns (bool) {
        return (Roll.unwrap(r) >> VEIL) & ~Roll.unwrap(r) & ((1 << selected) - 1) == 0;
    }

    /// @notice Fewest survivors with which a cluster of m is unmasked: max(3, ⌈2m/3⌉).
    function leastSurvivors(uint256 m) internal pure returns (uint256) {
        uint256 least = (2 * m + 2) / 3;
        return least < 3 ? 3 : least;
    }

    /// @notice Bit j is set where the j-th seat of the cluster is missing.
    function missingIn(Roll r, uint256 cluster, uint256 m) internal pure returns (uint256) {
        return (Roll.unwrap(r) >> (cluster * m)) & ((1 << m) - 1);
    }

    function survivors(Roll r, uint256 cluster, uint256 m) internal pure returns (uint256) {
        return m - LibBit.popCount(r.missingIn(cluster, m));
    }

    /// @notice Whether the cluster has enough survivors to be unmasked.
    function isViable(Roll r, uint256 cluster, uint256 m) internal pure returns (bool) {
        return r.survivors(cluster, m) >= leastSurvivors(m);
    }

    /// @notice Whether it has, and all of them have unmasked: its sum is known.
    function isOpen(Roll r, uint256 cluster, uint256 m) internal pure returns (bool) {
        Roll veils = Roll.wrap(Roll.unwrap(r) >> VEIL);
        return r.isViable(cluster, m) && veils.missingIn(cluster, m) & ~r.missingIn(cluster, m) == 0;
    }

    /// @notice Clusters with enough survivors.
    function viable(Roll r, ClockWord c) internal pure returns (uint256 count) {
        uint256 m = c.clusterSize();
        for (uint256 k = c.selected() / m; k != 0; --k) if (r.isViable(k - 1, m)) ++count;
    }

    /// @notice Clusters whose sum is known.
    function open(Roll r, ClockWord c) internal pure returns (uint256 count) {
        uint256 m = c.clusterSize();
        for (uint256 k = c.selected() / m; k != 0; --k) if (r.isOpen(k - 1, m)) ++count;
    }
}
