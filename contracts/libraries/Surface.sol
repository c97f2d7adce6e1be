// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {Black76} from "./Black76.sol";
import {FixedPoint} from "./FixedPoint.sol";

/// @title The "ssvi-pillars" surface: from weights to one SSVI slice.
/// @notice A market owns P + 2 int32 weights (x = weight / 2^fractionBits): P levels u = ln(at-the-money vol) at fixed maturities,
/// one skew s, one wing c. Levels are held in [-3, 1.5]; ln θ at pillar i is the running maximum of ln T_i + 2 u_i; between
/// pillars θ is linear in T, outside them proportional to T; ρ = 0.999 s/√(1 + s²), η = (1 + c/√(1 + c²)) / (1 + |ρ|).
/// So for any weights θ never falls with maturity (no calendar arbitrage), η (1 + |ρ|) < 2 (no butterfly arbitrage)
/// and every volatility is finite and positive.
/// @dev Nothing here reverts or checks. Twin of `offchain/fedvol/protocol/surface.py`, bit for bit.
library Surface {
    /// @dev 0.999 in Q96.
    int256 private constant MAX_RHO = 79148934351750073255950406386;
    /// @dev Lower bound of 2 u and the distance to the upper, with 88 fraction bits.
    int256 private constant MIN_LEVEL = -(6 << 88);
    uint256 private constant LEVEL_RANGE = 9 << 88;

    /// @notice One pillar in 16 bytes: its seconds (uint32), then ln(seconds_ / 365 days) with 88 fraction bits, rounded down
    /// (int96).
    function packPillar(uint32 seconds_) internal pure returns (bytes16) {
        unchecked {
            int256 logMaturity = FixedPoint.lnRatio(seconds_, Black76.YEAR) >> 8;
            return bytes16((uint128(seconds_) << 96) | uint96(int96(logMaturity)));
        }
    }

    /// @notice The seconds of the pillar at `index` of packed ones.
    function pillarSeconds(bytes memory pillars, uint256 index) internal pure returns (uint256 seconds_) {
        assembly ("memory-safe") {
            seconds_ := shr(224, mload(add(add(pillars, 32), shl(4, index))))
        }
    }

    /// @notice The SSVI parameters at a maturity, Q96.
    /// @param weights The market's P + 2 weights, 4 bytes each, big endian.
    /// @param pillars P packed pillars, seconds strictly increasing, P at least 1.
    /// @param fractionBits Binary point of the weights, 8 to 28.
    /// @param seconds_ Maturity, 1 to 5 years.
    function sliceAt(bytes memory weights, bytes memory pillars, uint256 fractionBits, uint256 seconds_)
        internal
        pure
        returns (uint256 theta, int256 rho, uint256 eta)
    {
        unchecked {
            theta = thetaAt(weights, pillars, fractionBits, seconds_);
            int256 skew;
            int256 wing;
            assembly ("memory-safe") {
                let pair := mload(add(weights, add(24, mload(weights))))
                skew := sar(224, pair)
                wing := sar(224, shl(32, pair))
            }
            rho = squash(skew, fractionBits);
            assembly ("memory-safe") {
                rho := sdiv(mul(rho, MAX_RHO), shl(96, 1))
            }
            eta = uint256((1 << 96) + squash(wing, fractionBits));
            uint256 spread = FixedPoint.ONE + FixedPointMathLib.abs(rho);
            assembly ("memory-safe") {
                eta := div(shl(96, eta), spread)
            }
        }
    }

    /// @notice At-the-money total variance at a maturity, Q96, rounded down; parameters as for `sliceAt`.
    function thetaAt(bytes memory weights, bytes memory pillars, uint256 fractionBits, uint256 seconds_)
        internal
        pure
        returns (uint256 theta)
    {
        unchecked {
            int256 before;
            int256 logTheta = type(int256).min;
            uint256 start;
            uint256 end;
            assembly ("memory-safe") {
                let shift := sub(89, fractionBits)
                let level := add(weights, 32)
                let pillar := add(pillars, 32)
                // The bracket of a maturity beyond the last pillar ends at the last.
                end := shr(224, mload(add(pillars, add(16, mload(pillars)))))
                let key := shl(224, xor(seconds_, mul(xor(seconds_, end), lt(end, seconds_))))
                for {} 1 {} {
                    let word := mload(pillar)
                    let x := shl(shift, sar(224, mload(level)))
                    if gt(sub(x, MIN_LEVEL), LEVEL_RANGE) { x := add(MIN_LEVEL, mul(LEVEL_RANGE, sgt(x, 0))) }
                    before := logTheta
                    x := add(x, sar(160, shl(32, word)))
                    if sgt(x, logTheta) { logTheta := x }
                    if iszero(lt(word, key)) { break }
                    pillar := add(pillar, 16)
                    level := add(level, 4)
                }
                end := shr(224, mload(pillar))
                if gt(pillar, add(pillars, 32)) { start := shr(224, mload(sub(pillar, 16))) }
            }
            theta = FixedPoint.exp(logTheta << 8);
            // Before the first pillar and after the last, θ is proportional to the maturity.
            if (start == 0 || end < seconds_) {
                assembly ("memory-safe") {
                    theta := div(mul(theta, seconds_), end)
                }
            } else {
                uint256 lower = FixedPoint.exp(before << 8);
                assembly ("memory-safe") {
                    theta := div(add(mul(lower, sub(end, seconds_)), mul(theta, sub(seconds_, start))), sub(end, start))
                }
            }
        }
    }

    /// @notice x / √(1 + x²) in Q96 for x = weight / 2^fractionBits, rounded toward zero.
    function squash(int256 weight, uint256 fractionBits) internal pure returns (int256 result) {
        unchecked {
            uint256 root =
                FixedPoint.sqrt(uint256((weight * weight) << 192) + (uint256(1) << (192 + 2 * fractionBits)));
            assembly ("memory-safe") {
                result := sdiv(shl(192, weight), root)
            }
        }
    }
}
