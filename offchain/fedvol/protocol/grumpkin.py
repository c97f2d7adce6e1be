"""Key agreement on Grumpkin, y² = x³ − 17 over BN254's scalar field.

The contracts only check that a key is on the curve: `contracts/libraries/Grumpkin.sol`.

Source of the formulas: J. Renes, C. Costello, L. Batina, "Complete addition formulas for prime order elliptic curves",
EUROCRYPT 2016, algorithms 8 and 9. The generator is Barretenberg's.

The order is prime, so that every point on the curve is a key. A multiplication is always 254 doublings and 254
additions, with no branch on the secret. That is all: Python's integers are not constant time, and nothing here hides a
secret from one who times this process.
"""

from __future__ import annotations

from fedvol.errors import WireError
from fedvol.protocol.poseidon2 import FIELD

Point = tuple[int, int]
"""x and y. No point here is the one at infinity."""

ORDER = 21888242871839275222246405745257275088696311157297823662689037894645226208583
"""Points of the curve, the one at infinity included; the prime of BN254's base field."""
GENERATOR: Point = (1, 17631683881184975370165255887551781615748388533673675138860)

_BITS = 254
_B = -17
_B3 = 3 * _B
_Projective = tuple[int, int, int]
_INFINITY: _Projective = (0, 1, 0)


def is_on_curve(point: Point) -> bool:
    """Whether both coordinates are in 0..r - 1 and satisfy the equation."""
    x, y = point
    return 0 <= x < FIELD and 0 <= y < FIELD and (y * y - x * x * x - _B) % FIELD == 0


def public_key(secret: int) -> Point:
    """secret · G.

    Raises:
        WireError: a secret that is not in 1..ORDER - 1.
    """
    return _affine(_multiply(_checked(secret), GENERATOR))


def shared_x(secret: int, peer: Point) -> int:
    """What two share: the x coordinate of secret · peer, the same with either's secret and the other's public key.

    Raises:
        WireError: a secret that is not in 1..ORDER - 1, or a peer that is not on the curve.
    """
    if not is_on_curve(peer):
        raise WireError(f"({peer[0]:#x}, {peer[1]:#x}) is not a point of Grumpkin.", "Leave that key out of the round.")
    return _affine(_multiply(_checked(secret), peer))[0]


def _checked(secret: int) -> int:
    if not 0 < secret < ORDER:
        raise WireError("The secret key is not in 1..ORDER - 1.", "Draw it with secrets.randbelow(ORDER - 1) + 1.")
    return secret


def _multiply(scalar: int, point: Point) -> _Projective:
    sum_ = _INFINITY
    for bit in range(_BITS - 1, -1, -1):
        sum_ = _double(sum_)
        sum_ = (sum_, _add(sum_, point))[scalar >> bit & 1]
    return sum_


def _add(p: _Projective, q: Point) -> _Projective:
    """Any p, the same as q or infinity too. Products are reduced once they are summed."""
    x1, y1, z1 = p
    x2, y2 = q
    r = FIELD
    xx, yy, zz = x1 * x2 % r, y1 * y2 % r, _B3 * z1
    xy = ((x1 + y1) * (x2 + y2) - xx - yy) % r
    yz = (y2 * z1 + y1) % r
    xz = _B3 * ((x2 * z1 + x1) % r)
    xx, high, low = 3 * xx, yy + zz, yy - zz
    return (xy * low - yz * xz) % r, (low * high + xz * xx) % r, (high * yz + xx * xy) % r


def _double(p: _Projective) -> _Projective:
    x, y, z = p
    r = FIELD
    yy, zz = y * y % r, _B3 * (z * z % r)
    low = yy - 3 * zz
    return 2 * low * (x * y % r) % r, (8 * yy * zz + low * (yy + zz)) % r, 8 * yy * (y * z % r) % r


def _affine(p: _Projective) -> Point:
    x, y, z = p
    inverse = pow(z, FIELD - 2, FIELD)  # Fermat's: how many steps Euclid's algorithm takes depends on the number
    return x * inverse % FIELD, y * inverse % FIELD
