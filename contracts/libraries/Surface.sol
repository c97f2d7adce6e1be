// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {Black76} from "./Black76.sol";
import {FixedPoint} from "./FixedPoint.sol";
import {Slice} from "./Ssvi.sol";

/// @title The "ssvi-mixture" surface: weights to a chart, a chart to slices.
/// @notice A market owns 6 P + 2 int32 weights (x = weight / 2^fractionBits): for each of P listed expiries and each of two slices a
/// vol v, a right and a left wing a, b; then what the market's state does: beta of the vol index, beta of the index. Held in
/// [0.03, 4.5], [0.02, 1.98], [0.02, 1.98], [-8, 8].
///
/// θ_j is the mean of the running maximum from the left and the running minimum from the right of tenor_j v_j²; p_j the mean of
/// the greatest curve below and the least above min(a_j √θ_j, 3.96) that never falls and never rises faster than θ; c_j likewise
/// from b. So for any weights θ, p and c never fall with the tenor and p/θ, c/θ never rise: slices never cross (Hendriks and
/// Martini, "The extended SSVI volatility surface", 2019, and docs/protocol.md); p, c <= min(2√θ, 4) forbids butterflies. Between
/// pillars (θ, p, c) is linear in the tenor; before the first proportional to it; beyond the last p and c stay: the same
/// conditions hold. Where integers round, they round so that they hold exactly.
///
/// Between two versions the state moves the clock: a tenor T is read at T (κ g + T) / (κ + T), κ = 21 days, which rises with T
/// for every g > 0, so nothing is arbitrage that was none.
/// @dev Nothing here reverts or checks. Twin of `offchain/fedvol/protocol/surface.py`, bit for bit.
/// A chart pillar is 24 bytes: for each slice θ (40 bits, 34 binary places), p, c (28 bits, 26 places).
library Surface {
    uint256 internal constant SLICES = 2;
    uint256 internal constant PILLAR_WEIGHTS = 6;
    uint256 internal constant STATE_WEIGHTS = 2;
    uint256 internal constant PILLAR_BYTES = 24;
    uint256 private constant KAPPA = 21 days;
    uint256 private constant MOST_SLOPE = uint256(396 << 25) / 100;
    int256 private constant MOST_SHOCK = 109833554935414946702282942256; // ln 4

    /// @notice Weights of one market.
    function weightsOf(uint256 pillars) internal pure returns (uint256) {
        unchecked {
            return pillars * PILLAR_WEIGHTS + STATE_WEIGHTS;
        }
    }

    /// @notice Both slices at every pillar, 24 bytes a pillar.
    /// @param weights A model's bytes. @param at Index of the market's first weight.
    /// @param tenors P seconds, 1 to 16, strictly rising, from 3,600 on, below 2^26. @param fractionBits Binary point, 8 to 28.
    function chart(bytes memory weights, uint256 at, uint256[] memory tenors, uint256 fractionBits)
        internal
        pure
        returns (bytes memory packed)
    {
        unchecked {
            uint256 count = tenors.length;
            packed = new bytes(PILLAR_BYTES * count);
            uint256[] memory thetas = new uint256[](count);
            uint256[] memory p = new uint256[](count);
            uint256[] memory c = new uint256[](count);
            uint256[] memory work = new uint256[](count);
            for (uint256 which; which < SLICES; ++which) {
                uint256 first = at + 3 * which;
                _thetas(thetas, work, weights, first, tenors, fractionBits);
                _wanted(p, c, thetas, weights, first + 1, fractionBits);
                _between(p, work, thetas);
                _between(c, work, thetas);
                for (uint256 j; j < count; ++j) {
                    uint256 pillar = (_get(thetas, j) << 56) | (_get(p, j) << 28) | _get(c, j);
                    assembly ("memory-safe") {
                        // The 12 bytes of this slice end where the next begin; what lies before stays.
                        let place := add(add(packed, 12), add(mul(PILLAR_BYTES, j), mul(12, which)))
                        mstore(place, or(and(mload(place), shl(96, not(0))), pillar))
                    }
                }
            }
        }
    }

    /// @notice Both slices at a moment of the clock, Q96, rounded down.
    /// @param pillars The chart, 24 bytes each. @param tenors 4 bytes each, big endian.
    /// @param moment Seconds since the chart's time with 32 binary places, positive, below 2^62.
    function slicesAt(bytes memory pillars, bytes memory tenors, uint256 moment)
        internal
        pure
        returns (Slice memory first, Slice memory second)
    {
        unchecked {
            uint256 next;
            uint256 start;
            uint256 span;
            assembly ("memory-safe") {
                let first_ := add(tenors, 32)
                let last := add(add(tenors, 28), mload(tenors))
                let place := first_
                span := shr(224, mload(place))
                for { let whole := shr(32, sub(moment, 1)) } lt(place, mul(last, iszero(lt(whole, span)))) {} {
                    start := span
                    place := add(place, 4)
                    span := shr(224, mload(place))
                }
                next := shr(2, sub(place, first_))
            }
            uint256 high = _pillar(pillars, next);
            uint256 low;
            uint256 left;
            (uint256 right, uint256 wing) = (moment, moment);
            if (moment > span << 32) {
                // Beyond the last: θ as if from 0, p and c as they are there.
                wing = span << 32;
            } else if (next != 0) {
                low = _pillar(pillars, next - 1);
                left = (span << 32) - moment;
                wing = right = moment - (start << 32);
                span -= start;
            }
            _mean(first, low >> 96, high >> 96, left, right, wing, span);
            _mean(second, low, high, left, right, wing, span);
        }
    }

    /// @notice 3 θ1 + θ2 of a pillar: four times the variance that stands for the level, 34 binary places.
    function levelAt(bytes memory pillars, uint256 index) internal pure returns (uint256) {
        unchecked {
            uint256 both = _pillar(pillars, index);
            return 3 * (both >> 152) + ((both >> 56) & type(uint40).max);
        }
    }

    /// @notice What the market's state has done to the clock: g, Q96.
    /// @param beta A state weight. @param now_ The feed's answer. @param then_ What it was; 0 where it was not there: no move.
    /// @return power 2 β ln(now / then) in Q96, to be added up before `clockOf`.
    function powerOf(int256 beta, uint256 now_, uint256 then_, uint256 fractionBits) internal pure returns (int256 power) {
        unchecked {
            if (then_ == 0) return 0;
            int256 most = int256(8 << fractionBits);
            beta = FixedPointMathLib.min(FixedPointMathLib.max(beta, -most), most);
            uint256 held = FixedPointMathLib.max(FixedPointMathLib.min(now_, then_ << 4), FixedPointMathLib.max(then_ >> 4, 1));
            return beta * FixedPoint.lnRatio(held, then_);
        }
    }

    /// @notice g in Q96, in [1/4, 4], from the sum of the powers of all feeds.
    function clockOf(int256 powers, uint256 fractionBits) internal pure returns (uint256) {
        unchecked {
            int256 power = powers >> (fractionBits - 1);
            return FixedPoint.exp(FixedPointMathLib.min(FixedPointMathLib.max(power, -MOST_SHOCK), MOST_SHOCK));
        }
    }

    /// @notice Where a tenor in seconds is read on the clock, with 32 binary places.
    function momentOf(uint256 tenor, uint256 g) internal pure returns (uint256) {
        unchecked {
            return (tenor * (KAPPA * (g >> 64) + (tenor << 32))) / (KAPPA + tenor);
        }
    }

    /// @notice Seconds of the tenor at `index` of packed ones.
    function tenorAt(bytes memory tenors, uint256 index) internal pure returns (uint256 tenor) {
        assembly ("memory-safe") {
            tenor := shr(224, mload(add(add(tenors, 32), shl(2, index))))
        }
    }

    /// @dev Of two slices as they stand in a chart, whatever is above them; `wing` is the share of p and c where `right` is θ's.
    function _mean(
        Slice memory at,
        uint256 low,
        uint256 high,
        uint256 left,
        uint256 right,
        uint256 wing,
        uint256 span
    ) private pure {
        assembly ("memory-safe") {
            let mask := 0xffffffffff
            let theta := add(mul(and(shr(56, low), mask), left), mul(and(shr(56, high), mask), right))
            mstore(at, div(shl(30, theta), span))
            mask := 0xfffffff
            let p := add(mul(and(shr(28, low), mask), left), mul(and(shr(28, high), mask), wing))
            mstore(add(at, 32), div(shl(38, p), span))
            let c := add(mul(and(low, mask), left), mul(and(high, mask), wing))
            mstore(add(at, 64), div(shl(38, c), span))
        }
    }

    /// @dev Both slices of a pillar, 12 bytes each.
    function _pillar(bytes memory pillars, uint256 index) private pure returns (uint256 both) {
        assembly ("memory-safe") {
            both := shr(64, mload(add(add(pillars, 32), mul(PILLAR_BYTES, index))))
        }
    }

    /// @dev Twice the mean of the running maximum from the left and the running minimum from the right.
    function _thetas(
        uint256[] memory thetas,
        uint256[] memory raw,
        bytes memory weights,
        uint256 first,
        uint256[] memory tenors,
        uint256 bits
    ) private pure {
        unchecked {
            uint256 count = tenors.length;
            (uint256 low, uint256 high, uint256 unit) = ((3 << bits) / 100, (9 << bits) / 2, Black76.YEAR << (2 * bits));
            uint256 most;
            for (uint256 j; j < count; ++j) {
                uint256 vol = _held(weights, first + PILLAR_WEIGHTS * j, low, high);
                uint256 theta = ((vol * vol * _get(tenors, j)) << 33) / unit;
                most = FixedPointMathLib.max(most, theta);
                _set(raw, j, theta);
                _set(thetas, j, most);
            }
            uint256 least = most;
            for (uint256 j = count; j-- > 0;) {
                least = FixedPointMathLib.min(least, _get(raw, j));
                _set(thetas, j, _get(thetas, j) + least);
            }
        }
    }

    /// @dev min(a √θ, 3.96) at 25 binary places, rounded down; then b likewise.
    function _wanted(
        uint256[] memory p,
        uint256[] memory c,
        uint256[] memory thetas,
        bytes memory weights,
        uint256 first,
        uint256 bits
    ) private pure {
        unchecked {
            uint256 count = thetas.length;
            (uint256 low, uint256 high) = ((2 << bits) / 100, (198 << bits) / 100);
            for (uint256 j; j < count; ++j) {
                uint256 root = FixedPoint.sqrt(_get(thetas, j) << 34);
                uint256 index = first + PILLAR_WEIGHTS * j;
                _set(p, j, FixedPointMathLib.min((_held(weights, index, low, high) * root) >> (bits + 9), MOST_SLOPE));
                _set(c, j, FixedPointMathLib.min((_held(weights, index + 1, low, high) * root) >> (bits + 9), MOST_SLOPE));
            }
        }
    }

    /// @dev In place: the greatest allowed curve below plus the least above: twice their mean, allowed itself because that is linear.
    function _between(uint256[] memory curve, uint256[] memory above, uint256[] memory thetas) private pure {
        unchecked {
            uint256 count = curve.length;
            (uint256 below, uint256 theta) = (_get(curve, 0), _get(thetas, 0));
            _set(above, 0, below);
            for (uint256 j = 1; j < count; ++j) {
                uint256 wanted = _get(curve, j);
                _set(above, j, wanted);
                uint256 last = theta;
                theta = _get(thetas, j);
                below = FixedPointMathLib.min(wanted, (below * theta) / last);
                _set(curve, j, below);
            }
            uint256 least;
            uint256 next = theta;
            for (uint256 j = count; j-- > 0;) {
                theta = _get(thetas, j);
                least = FixedPointMathLib.max(_get(above, j), (least * theta + next - 1) / next);
                _set(above, j, least);
                below = FixedPointMathLib.min(_get(curve, j), below);
                _set(curve, j, below);
                next = theta;
            }
            uint256 most;
            for (uint256 j; j < count; ++j) {
                most = FixedPointMathLib.max(_get(above, j), most);
                _set(curve, j, _get(curve, j) + most);
            }
        }
    }

    /// @dev Unchecked, as `_set` is: with the compiler's bounds checks a chart takes twice the gas.
    function _get(uint256[] memory list, uint256 index) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(list, 32), shl(5, index)))
        }
    }

    function _set(uint256[] memory list, uint256 index, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(add(add(list, 32), shl(5, index)), value)
        }
    }

    /// @dev The weight at `index`, held between two positive numbers.
    function _held(bytes memory weights, uint256 index, uint256 low, uint256 high) private pure returns (uint256 held) {
        assembly ("memory-safe") {
            held := sar(224, mload(add(add(weights, 32), shl(2, index))))
            held := xor(held, mul(xor(held, low), slt(held, low)))
            held := xor(held, mul(xor(held, high), gt(held, high)))
        }
    }
}
