// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.31;

/// @title Square root, logarithm, exponential and the normal tail on 96-bit binary fixed point.
/// @notice A real number x travels as the integer x · 2^96 ("Q96"). A binary scale makes each rescaling a shift, and a division
/// costs no more than a product, so the functions are rationals, fitted to the weighted minimax criterion at 60 digits.
/// @dev Nothing here reverts or checks: outside the stated domain a result is meaningless, so callers state theirs.
/// Twin of `offchain/fedvol/protocol/fixedpoint.py`, bit for bit.
library FixedPoint {
    uint256 internal constant ONE = 1 << 96;
    uint256 internal constant LN2 = 54916777467707473351141471128;
    uint256 internal constant INV_LN2 = 114302077158074026402637675937;
    uint256 internal constant INV_SQRT_2PI = 31607463825455920808620519744;
    uint256 internal constant SQRT2_Q64 = 26087635650665564425;

    /// @notice The root of any integer, within 2^-95 of itself and one unit of the last place; 0 gives 0.
    function sqrt(uint256 value) internal pure returns (uint256 root) {
        assembly ("memory-safe") {
            let half := shr(1, sub(255, clz(value)))
            // On [1, 4) the line 0.344 (x + 2) is 3.2% off at most; four Newton steps square that to 2^-95.
            root := shr(5, mul(11, add(shr(half, value), shl(half, 2))))
            root := shr(1, add(root, div(value, root)))
            root := shr(1, add(root, div(value, root)))
            root := shr(1, add(root, div(value, root)))
            root := shr(1, add(root, div(value, root)))
        }
    }

    /// @notice ln(numerator / denominator) in Q96, error below 1e-19; near 1 below 5e-19 of itself and 4 units; 0 at 1.
    /// @dev Domain: both in [1, 2^128), the ratio in [2^-32, 2^32].
    function lnRatio(uint256 numerator, uint256 denominator) internal pure returns (int256 result) {
        unchecked {
            int256 z;
            int256 power;
            assembly ("memory-safe") {
                let ratio := div(shl(128, numerator), denominator)
                // ratio = mantissa · 2^power, the mantissa in [1/√2, √2), so that ln is small where the ratio is near 1.
                power := sub(63, clz(mul(ratio, SQRT2_Q64)))
                let mantissa := shr(add(power, 32), shl(32, ratio))
                let one := shl(128, 1)
                z := sdiv(shl(96, sub(mantissa, one)), add(mantissa, one))
            }
            int256 square = (z * z) >> 96;
            // 2 atanh(z) / z in z².
            int256 p = ((33345352368946394009149444962 * square) >> 96) - 763919667524235815731609012840;
            p = ((p * square) >> 96) + 2455157439770762095050177188054;
            p = ((p * square) >> 96) - 1905190886078707938307132180686;
            int256 q = square - 706477589897786948936802693577;
            q = ((q * square) >> 96) + 1545110534231831616202640080822;
            q = ((q * square) >> 96) - 952595443039353968923314104045;
            assembly ("memory-safe") {
                result := add(mul(power, LN2), sdiv(mul(z, p), q))
            }
        }
    }

    /// @notice exp(x) in Q96, relative error below 1e-17 and one unit of the last place.
    /// @dev Domain: -2^104 < x <= 22 · 2^96.
    function exp(int256 x) internal pure returns (uint256 result) {
        unchecked {
            int256 power = (x * int256(INV_LN2) + (1 << 191)) >> 192;
            int256 rest = x - power * int256(LN2);
            int256 square = (rest * rest) >> 96;
            // exp(r) = (P + r Q) / (P - r Q), P / Q = r coth(r/2) in r².
            int256 p = ((2377925823230077779309582148564 * square) >> 96) + 266401272368267556637541060895220;
            p = ((p * square) >> 96) + 2397676383937176888537352347889529;
            int256 q = square + 33297453520087155976331592164062;
            q = ((q * square) >> 96) + 1198838191968588438476944489570141;
            assembly ("memory-safe") {
                q := sar(96, mul(rest, q))
                result := shr(sub(32, power), div(shl(128, add(p, q)), sub(p, q)))
            }
        }
    }

    /// @notice The Mills ratio (1 - Φ(x)) / φ(x) of the standard normal, Q96.
    /// @dev Domain: 0 <= x <= 16 · 2^96. Error below 5e-18 / min(φ(0), 2^14 φ(x)) up to x = 10, below 1 beyond.
    function mills(uint256 x) internal pure returns (uint256 result) {
        unchecked {
            uint256 p = ((79228077352992668363724079833 * x) >> 96) + 1844945138880581075050258173187;
            p = ((p * x) >> 96) + 20090184878195016545839144504276;
            p = ((p * x) >> 96) + 131876190705668331049242407160724;
            p = ((p * x) >> 96) + 563528246820561742993722161164737;
            p = ((p * x) >> 96) + 1578263738931581346791332121389912;
            p = ((p * x) >> 96) + 2723134705192655526447791800645448;
            p = ((p * x) >> 96) + 2357357807963006684443298192566058;
            uint256 q = x + 1844940288709587116758981558176;
            q = ((q * x) >> 96) + 20169547271129772258959333004950;
            q = ((q * x) >> 96) + 133718724938234548909433986059228;
            q = ((q * x) >> 96) + 583491469575942004599631792391367;
            q = ((q * x) >> 96) + 1706132015457264034551627730953309;
            q = ((q * x) >> 96) + 3249841714088138968164052956797100;
            q = ((q * x) >> 96) + 3673487729354027891973180012983023;
            q = ((q * x) >> 96) + 1880899399261769018547587766688856;
            assembly ("memory-safe") {
                result := div(shl(96, p), q)
            }
        }
    }
}
