// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {Black76} from "./Black76.sol";
import {FixedPoint} from "./FixedPoint.sol";

/// @title One SSVI slice.
/// @notice Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces": w(k) = θ/2 (1 + ρφk + √((φk + ρ)² + 1 - ρ²)),
/// the implied total variance at k = ln(strike / forward), with φ = η / √(θ (1 + θ)), free of butterfly arbitrage where η (1 + |ρ|) <= 2.
/// @dev Nothing here reverts or checks. Domain: 2^-34 <= θ < 2^8, |ρ| <= 0.999, 0 < η <= 2, |k| <= 10, all Q96.
/// Twin of `offchain/fedvol/protocol/ssvi.py`, bit for bit.
library Ssvi {
    /// @notice w(k) in Q96, rounded down, at k = ln(strike / forward).
    function totalVariance(uint256 theta, int256 rho, uint256 eta, int256 logStrike) internal pure returns (uint256) {
        unchecked {
            uint256 root = FixedPoint.sqrt(theta * (FixedPoint.ONE + theta));
            int256 phi;
            assembly ("memory-safe") {
                phi := div(shl(96, eta), root)
            }
            int256 moneyness = (phi * logStrike) >> 96;
            int256 tilted = moneyness + rho;
            root = FixedPoint.sqrt(uint256(tilted * tilted + ((1 << 192) - rho * rho)));
            return (theta * uint256((1 << 96) + ((rho * moneyness) >> 96) + int256(root))) >> 97;
        }
    }

    /// @notice √(w / T) in Q96 for a total variance below 2^16 in Q96 and T = seconds_ / 365 days.
    function impliedVol(uint256 variance, uint256 seconds_) internal pure returns (uint256) {
        uint256 rate;
        uint256 year = Black76.YEAR;
        assembly ("memory-safe") {
            rate := div(shl(96, mul(variance, year)), seconds_)
        }
        return FixedPoint.sqrt(rate);
    }

    /// @notice The volatility of the slice at k = ln(strike / forward), Q96.
    function impliedVolAt(uint256 theta, int256 rho, uint256 eta, int256 logStrike, uint256 seconds_)
        internal
        pure
        returns (uint256)
    {
        return impliedVol(totalVariance(theta, rho, eta, logStrike), seconds_);
    }
}
