// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {FixedPoint} from "./FixedPoint.sol";

/// @title Black (1976) on a forward, undiscounted.
/// @notice With K φ(d2) = F φ(d1), where φ is the normal density, both tails hang on one exponential: 1 - Φ(x) = φ(x) R(x) and
/// K (1 - Φ(d2)) = F φ(d1) R(d2), R the Mills ratio. So a strike 10,000 times the forward costs no precision, and an error
/// in ln(K/F) is not divided by the deviation before it reaches the price.
/// @dev Nothing here reverts or checks. Domain: forward and strike in [1, 2^128), strike / forward in [2^-14, 2^14].
/// Twin of `offchain/fedvol/protocol/black76.py`, bit for bit.
library Black76 {
    uint256 internal constant YEAR = 365 days;
    uint256 private constant WAD = 1e18;
    /// @dev |d| above this prices as if it were this: φ(16) = 1e-56.
    uint256 private constant MAX_D = 16 << 96;

    /// @notice σ√T in Q96, from σ in Q96 (0 < σ < 2^10) and T = seconds_ / 365 days (0 < seconds_ < 2^28).
    function deviation(uint256 sigma, uint256 seconds_) internal pure returns (uint256) {
        unchecked {
            return FixedPoint.sqrt((sigma * sigma * seconds_) / YEAR);
        }
    }

    /// @notice Call and put in the forward's unit; the call's delta and φ(d1) in Q96. The call is rounded down and never below its
    /// intrinsic value; the put is exactly call - forward + strike, so never below its own. Absolute error below 2e-17 of
    /// the forward and 2 units, of the delta below 2e-17.
    /// @param logStrike ln(strike / forward), Q96.
    /// @param dev Total deviation σ√T > 0, Q96.
    function terms(uint256 forward, uint256 strike, int256 logStrike, uint256 dev)
        internal
        pure
        returns (uint256 call, uint256 put, uint256 delta, uint256 density)
    {
        unchecked {
            int256 d1;
            assembly ("memory-safe") {
                d1 := sub(shr(1, dev), sdiv(shl(96, logStrike), dev))
            }
            int256 d2 = d1 - int256(dev);
            uint256 size1 = FixedPointMathLib.min(FixedPointMathLib.abs(d1), MAX_D);
            uint256 size2 = FixedPointMathLib.min(FixedPointMathLib.abs(d2), MAX_D);
            density = (FixedPoint.exp(-int256((size1 * size1) >> 97)) * FixedPoint.INV_SQRT_2PI) >> 96;
            delta = (density * FixedPoint.mills(size1)) >> 96;
            uint256 tail2 = (density * FixedPoint.mills(size2)) >> 96;
            if (d1 >= 0) delta = FixedPoint.ONE - delta;
            int256 value = d2 < 0
                ? (int256(forward) * int256(delta - tail2)) >> 96
                : int256((forward * (delta + tail2)) >> 96) - int256(strike);
            int256 intrinsic = int256(forward) - int256(strike);
            value = FixedPointMathLib.max(value, FixedPointMathLib.max(intrinsic, 0));
            (call, put) = (uint256(value), uint256(value - intrinsic));
        }
    }

    /// @notice `terms` from a volatility in Q96 and a time to expiry in seconds.
    function price(uint256 forward, uint256 strike, uint256 sigma, uint256 seconds_)
        internal
        pure
        returns (uint256 call, uint256 put, uint256 delta, uint256 density)
    {
        return terms(forward, strike, FixedPoint.lnRatio(strike, forward), deviation(sigma, seconds_));
    }

    /// @notice Gamma per dollar, vega per 1.00 of volatility, theta per year of 365 days (not positive): 1e18 times the real
    /// values for a forward of 1e18 units a dollar, rounded toward zero.
    /// @dev Domain: 2^-40 <= dev < 2^4 as a real number.
    function greeks(uint256 forward, uint256 density, uint256 dev, uint256 sigma, uint256 seconds_)
        internal
        pure
        returns (uint256 gamma, uint256 vega, int256 theta)
    {
        unchecked {
            uint256 weighted = (forward * density) >> 96;
            assembly ("memory-safe") {
                gamma := shr(96, div(mul(div(shl(96, density), dev), 1000000000000000000000000000000000000), forward))
                vega := shr(96, mul(weighted, div(shl(96, dev), sigma)))
                theta := sub(0, div(shr(97, mul(mul(weighted, dev), YEAR)), seconds_))
            }
        }
    }
}
