// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {Black76} from "./Black76.sol";
import {FixedPoint} from "./FixedPoint.sol";

/// @title Three parts of one SSVI slice and one of another, in prices: the volatility that prices the mixture.
/// @notice A convex combination of call prices that are free of static arbitrage is free of it. What is stated is its Black-76
/// volatility, found by Householder's method of third order from the vega-weighted mean of the slices' own.
/// @dev Nothing here reverts or checks. Twin of `offchain/fedvol/protocol/mixture.py`, bit for bit.
library Mixture {
    int256 private constant ONE = 1 << 96;
    /// @dev Standard deviations of the wider slice beyond which 96 bits hold too little of a price.
    uint256 private constant FAR = 6;
    uint256 private constant WIDE = 2 << 96;
    uint256 private constant STEPS = 5;
    /// @dev A step below 2^-10 of the deviation is the last: the next would be about its fourth power.
    uint256 private constant SMALL = 10;

    /// @notice Total deviation s in Q96 with Black(s) = (3 Black(√variance1) + Black(√variance2)) / 4, between the two. Relative error
    /// below 1e-9 within 6 standard deviations of the wider slice, 2e-3 beyond, where the option is worth less than 3e-8 of the lesser of
    /// forward and strike and the tails' asymptotics answer.
    /// @param variance1 Total variance of a slice at this strike, Q96, 2^-44 to 2^8 as a real number. @param variance2 Likewise.
    /// @param logStrike ln(strike / forward), Q96, at most 10 in size.
    function deviation(uint256 variance1, uint256 variance2, int256 logStrike) internal pure returns (uint256 s) {
        unchecked {
            uint256 s1 = FixedPoint.sqrt(variance1 << 96);
            uint256 s2 = FixedPoint.sqrt(variance2 << 96);
            uint256 k = FixedPointMathLib.abs(logStrike);
            if (k > FAR * FixedPointMathLib.max(s1, s2)) {
                return s1 < s2 ? _tail(s1, s2, 1, k) : _tail(s2, s1, 3, k);
            }
            // Black(k) of a call is Black(-k) of a put in units of the strike: every option is an out-of-the-money put.
            uint256 strike = FixedPoint.exp(-int256(k));
            uint256 target;
            {
                (, uint256 put1,, uint256 vega1) = Black76.terms(FixedPoint.ONE, strike, -int256(k), s1);
                (, uint256 put2,, uint256 vega2) = Black76.terms(FixedPoint.ONE, strike, -int256(k), s2);
                target = 3 * put1 + put2;
                s = (3 * vega1 * s1 + vega2 * s2) / (3 * vega1 + vega2);
            }
            if (FixedPointMathLib.max(s1, s2) > WIDE + (k >> 1)) {
                // The wider price saturates and its vega says nothing; 1 + k / 2 >= √(2 k) is near where vega is greatest.
                s = FixedPointMathLib.max(FixedPoint.ONE + (k >> 1), FixedPointMathLib.min(s1, s2));
                s = FixedPointMathLib.min(s, FixedPointMathLib.max(s1, s2));
            }
            for (uint256 i; i < STEPS; ++i) {
                (, uint256 put,, uint256 vega) = Black76.terms(FixedPoint.ONE, strike, -int256(k), s);
                if (vega == 0) break;
                int256 step = _householder(int256(target) - int256(4 * put), vega, k, s);
                int256 next = int256(s) + step;
                s = FixedPointMathLib.min(s1, s2);
                if (next > int256(s)) s = FixedPointMathLib.min(uint256(next), FixedPointMathLib.max(s1, s2));
                if (FixedPointMathLib.abs(step) < s >> SMALL) break;
            }
        }
    }

    /// @dev From four times the miss at s: with f(s) = Black(s) - target, in units of s, f''/f' = m, f'''/f' = m² - 3x² - s²/4, x = k/s.
    function _householder(int256 miss, uint256 vega, uint256 k, uint256 s) private pure returns (int256 step) {
        unchecked {
            assembly ("memory-safe") {
                step := sdiv(shl(96, miss), shl(2, vega))
                let x2 := div(shl(96, k), s)
                x2 := shr(96, mul(x2, x2))
                let q := shr(98, mul(s, s))
                let m := sub(x2, q)
                let u := sdiv(shl(96, step), s)
                let a := sar(96, mul(m, u))
                let b := sub(sub(sar(96, mul(m, m)), mul(3, x2)), q)
                b := mul(b, sar(96, mul(u, u)))
                b := sar(96, sdiv(b, 6))
                let below := add(add(shl(96, 1), a), b)
                if slt(below, shl(93, 1)) { below := shl(93, 1) }
                step := sdiv(mul(step, add(shl(96, 1), sar(1, a))), below)
            }
        }
    }

    /// @dev Far out the wider slice alone is left, with the quarters of the mixture that it is.
    function _tail(uint256 low, uint256 high, uint256 share, uint256 k) private pure returns (uint256) {
        unchecked {
            uint256 d = (k << 96) / high;
            uint256 square = (d * d) >> 96;
            d = (k << 96) / low;
            uint256 excess = FixedPointMathLib.min((((d * d) >> 96) - square) >> 1, 64 << 96);
            uint256 quarters = (share << 96) + (4 - share) * FixedPoint.exp(-int256(excess));
            uint256 lost = 2 * uint256(FixedPoint.lnRatio(4 << 96, quarters));
            square += (lost * square) / (square + (3 << 96));
            return (k << 96) / FixedPoint.sqrt(square << 96);
        }
    }
}
