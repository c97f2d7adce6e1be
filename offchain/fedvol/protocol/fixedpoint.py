"""Square root, logarithm, exponential and the normal tail on 96-bit binary fixed point, in integers only.

Twin of `contracts/libraries/FixedPoint.sol`: every intermediate rounds as the EVM rounds it, so both give the
same bits.

A real number x travels as the integer x * 2^96 ("Q96"). A binary scale makes each rescaling a shift. Divisions
are as cheap as products on the EVM, so the functions are rationals, fitted to the weighted minimax criterion at
60 digits.
"""

from __future__ import annotations

SCALE = 96
ONE = 1 << SCALE
LN2 = 54916777467707473351141471128
INV_LN2 = 114302077158074026402637675937
INV_SQRT_2PI = 31607463825455920808620519744
SQRT2_Q64 = 26087635650665564425

#: 2 atanh(z) / z in z^2 for |z| <= (sqrt 2 - 1) / (sqrt 2 + 1), error 4.8e-19; highest power first, the
#: denominator's leading 1 left out, here and below.
LN_P = (
    33345352368946394009149444962,
    -763919667524235815731609012840,
    2455157439770762095050177188054,
    -1905190886078707938307132180686,
)
LN_Q = (-706477589897786948936802693577, 1545110534231831616202640080822, -952595443039353968923314104045)
#: r coth(r/2) in r^2 for |r| <= ln(2) / 2, error 9.5e-18: exp(r) = (P + r Q) / (P - r Q).
EXP_P = (
    2377925823230077779309582148564,
    266401272368267556637541060895220,
    2397676383937176888537352347889529,
)
EXP_Q = (33297453520087155976331592164062, 1198838191968588438476944489570141)
#: The Mills ratio on [0, 10], error 5e-18 / min(phi(0), 2^14 phi(x)), that is, 5e-18 of the forward in a price
#: with K <= 2^14 F.
MILLS_P = (
    79228077352992668363724079833,
    1844945138880581075050258173187,
    20090184878195016545839144504276,
    131876190705668331049242407160724,
    563528246820561742993722161164737,
    1578263738931581346791332121389912,
    2723134705192655526447791800645448,
    2357357807963006684443298192566058,
)
MILLS_Q = (
    1844940288709587116758981558176,
    20169547271129772258959333004950,
    133718724938234548909433986059228,
    583491469575942004599631792391367,
    1706132015457264034551627730953309,
    3249841714088138968164052956797100,
    3673487729354027891973180012983023,
    1880899399261769018547587766688856,
)


def truncated_div(numerator: int, denominator: int) -> int:
    """The quotient rounded toward zero, as the EVM's `sdiv` rounds."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def _monic(x: int, coefficients: tuple[int, ...]) -> int:
    accumulator = x + coefficients[0]
    for coefficient in coefficients[1:]:
        accumulator = (accumulator * x >> SCALE) + coefficient
    return accumulator


def _polynomial(x: int, coefficients: tuple[int, ...]) -> int:
    accumulator = coefficients[0]
    for coefficient in coefficients[1:]:
        accumulator = (accumulator * x >> SCALE) + coefficient
    return accumulator


def sqrt(value: int) -> int:
    """The root of a 256-bit integer, within 2^-94 of itself and one unit of the last place; 0 gives 0."""
    if value == 0:
        return 0
    half = (value.bit_length() - 1) >> 1
    # On [1, 4) the line 0.344 (x + 2) is 3.2% off at most; four Newton steps square that to 2^-95.
    root = 11 * ((value >> half) + (2 << half)) >> 5
    for _ in range(4):
        root = (root + value // root) >> 1
    return root


def ln_ratio(numerator: int, denominator: int) -> int:
    """ln(numerator / denominator) in Q96, error 1e-19 (near 1: 5e-19 of itself and 4 units; 0 at 1).

    Domain: both in [1, 2^128), the ratio in [2^-32, 2^32].
    """
    ratio = (numerator << 128) // denominator
    # ratio = mantissa * 2^power with the mantissa in [1/sqrt 2, sqrt 2), so that ln is small where the ratio is near 1.
    power = (ratio * SQRT2_Q64).bit_length() - 1 - 64 - 128
    mantissa = (ratio << 32) >> (power + 32)
    z = truncated_div((mantissa - (1 << 128)) << SCALE, mantissa + (1 << 128))
    square = z * z >> SCALE
    return power * LN2 + truncated_div(z * _polynomial(square, LN_P), _monic(square, LN_Q))


def exp(x: int) -> int:
    """exp(x) in Q96, relative error 1e-17 and one unit of the last place.

    Domain: x in Q96, -2^104 < x <= 22 * 2^96.
    """
    power = (x * INV_LN2 + (1 << 191)) >> 192
    rest = x - power * LN2
    square = rest * rest >> SCALE
    even = _polynomial(square, EXP_P)
    odd = rest * _monic(square, EXP_Q) >> SCALE
    return ((even + odd) << 128) // (even - odd) >> (32 - power)


def mills(x: int) -> int:
    """The Mills ratio (1 - Phi(x)) / phi(x) of the standard normal, in Q96.

    Domain: x in Q96, 0 <= x <= 16. Error below 5e-18 / min(phi(0), 2^14 phi(x)) up to x = 10, below 1 beyond.
    """
    return (_polynomial(x, MILLS_P) << SCALE) // _monic(x, MILLS_Q)
