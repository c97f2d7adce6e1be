// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {FixedPoint} from "./FixedPoint.sol";

/// @notice One slice, Q96. @param theta Total variance at the money. @param p θφ(1 + ρ): twice the slope of total variance far to
/// the right. @param c θφ(1 - ρ): to the left.
struct Slice {
    uint256 theta;
    uint256 p;
    uint256 c;
}

/// @title One SSVI slice.
/// @notice Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014), in the numbers that make
/// its conditions simple: w(k) = (e + √(e² + p c k²)) / 2, e = θ + (p - c) k / 2. Homogeneous of degree one in (θ, p, c). Free of
/// butterfly arbitrage where max(p, c) < 4 and max(p, c) (p + c) <= 8 θ (their theorem 4.2).
/// @dev Nothing here reverts or checks. Twin of `offchain/fedvol/protocol/ssvi.py`, bit for bit.
library Ssvi {
    /// @notice w(k) in Q96, rounded down, at k = ln(strike / forward).
    /// @dev Domain: 0 < θ < 2^8, 0 < p, c < 4, |k| <= 10.
    function totalVariance(Slice memory at, int256 logStrike) internal pure returns (uint256) {
        unchecked {
            (uint256 p, uint256 c) = (at.p, at.c);
            int256 e = int256(at.theta) + (((int256(p) - int256(c)) * logStrike) >> 97);
            uint256 root =
                FixedPoint.sqrt(uint256(e * e) + ((p * c) >> 96) * (uint256(logStrike * logStrike) >> 96));
            return uint256(e + int256(root)) >> 1;
        }
    }
}
