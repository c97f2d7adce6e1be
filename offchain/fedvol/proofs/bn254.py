"""Many points of BN254 at once: sums, multiples and one combination of them; and the pairing, from py_ecc.

y² = x³ + 3 over the field of `FIELD` elements. Affine sums are done a list at a time and share one inversion
(P. Montgomery, "Speeding the Pollard and elliptic curve methods of factorization", 1987): three more products for each
sum instead of an inversion. Nothing is constant time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_DEPTH = sys.getrecursionlimit()

from py_ecc import optimized_bn128 as curve  # noqa: E402

# py_ecc raises it so far that deeply nested JSON would end the process; nothing here needs that.
sys.setrecursionlimit(_DEPTH)

Point = tuple[int, int] | None
"""x and y of a point of G1; None is the one at infinity."""
Point2 = tuple[tuple[int, int], tuple[int, int]]
"""x and y of a point of G2, each as (real, imaginary); never infinity."""

FIELD: int = curve.field_modulus
ORDER: int = curve.curve_order
GENERATOR = (1, 2)
GENERATOR2: Point2 = tuple(tuple(int(c) for c in coordinate.coeffs) for coordinate in curve.G2[:2])  # type: ignore

_BITS = 254


def is_on_curve(point: tuple[int, int]) -> bool:
    """Whether both coordinates are in 0..FIELD - 1 and satisfy the equation. G1 has no other points."""
    x, y = point
    return 0 <= x < FIELD and 0 <= y < FIELD and (y * y - x * x * x - 3) % FIELD == 0


def is_in_group2(point: Point2) -> bool:
    """Whether a point is on the twist, and in its subgroup of ORDER points: the twist has others."""
    if not all(0 <= c < FIELD for coordinate in point for c in coordinate):
        return False
    projective = _projective2(point)
    return curve.is_on_curve(projective, curve.b2) and curve.is_inf(curve.multiply(projective, ORDER))


def add_pairs(left: Sequence[Point], right: Sequence[Point]) -> list[Point]:
    """left[i] + right[i] for each i, whatever they are: the same, opposite, or at infinity."""
    p = FIELD
    slopes_under: list[int] = []
    products: list[int] = []
    product = 1
    for a, b in zip(left, right, strict=True):
        if a is None or b is None:
            under = 1
        else:
            under = b[0] - a[0] or (2 * a[1] if a[1] == b[1] else 1)
        slopes_under.append(under)
        products.append(product)
        product = product * under % p
    inverse = pow(product, -1, p)
    sums: list[Point] = [None] * len(products)
    for i in range(len(products) - 1, -1, -1):
        a, b, under = left[i], right[i], slopes_under[i]
        inverted = products[i] * inverse % p
        inverse = inverse * under % p
        if a is None or b is None:
            sums[i] = a or b
            continue
        (x1, y1), (x2, y2) = a, b
        if x1 != x2:
            slope = (y2 - y1) * inverted % p
        elif y1 == y2:
            slope = 3 * x1 * x1 * inverted % p
        else:
            continue
        x3 = (slope * slope - x1 - x2) % p
        sums[i] = x3, (slope * (x1 - x3) - y1) % p
    return sums


def multiply(point: Point, scalar: int) -> Point:
    """scalar · point."""
    return multiply_each([point], [scalar])[0]


def multiply_each(points: Sequence[Point], scalars: Sequence[int]) -> list[Point]:
    """scalars[i] · points[i] for each i, four bits at a time."""
    table: list[Sequence[Point]] = [[None] * len(points), points]
    for k in range(2, 16):
        table.append(add_pairs(table[k - 1], points))
    sums: list[Point] = [None] * len(points)
    for shift in range(_BITS + 2 - 4, -1, -4):
        for _ in range(4):
            sums = add_pairs(sums, sums)
        sums = add_pairs(sums, [table[scalar >> shift & 15][i] for i, scalar in enumerate(scalars)])
    return sums


def multiples(base: Point, scalars: Sequence[int], window: int = 13) -> list[Point]:
    """scalar · base for each scalar: about ten times as fast as `multiply_each` for some 100,000 of them.

    Args:
        window: bits of a scalar that one table of 2^window multiples answers.
    """
    sums: list[Point] = [None] * len(scalars)
    mask = (1 << window) - 1
    for shift in range(0, _BITS, window):
        table: list[Point] = [None]
        for _ in range(window):
            table += add_pairs(table, [base] * len(table))
            base = add_pairs([base], [base])[0]
        sums = add_pairs(sums, [table[scalar >> shift & mask] for scalar in scalars])
    return sums


def combine(points: Sequence[Point], scalars: Sequence[int], bits: int = _BITS, window: int = 10) -> Point:
    """The sum of all scalars[i] · points[i].

    Source: N. Pippenger, "On the evaluation of powers and monomials", 1980, as buckets.

    Args:
        scalars: each less than 2^bits.
    """
    total: Point = None
    for shift in range((bits - 1) // window * window, -1, -window):
        for _ in range(window):
            total = add_pairs([total], [total])[0]
        buckets: list[list[Point]] = [[] for _ in range(1 << window)]
        for point, scalar in zip(points, scalars, strict=True):
            buckets[scalar >> shift & ((1 << window) - 1)].append(point)
        total = add_pairs([total], [_weighed(_sum_each(buckets))])[0]
    return total


def _sum_each(lists: list[list[Point]]) -> list[Point]:
    """The sum of each list, all lists side by side."""
    while any(len(points) > 1 for points in lists):
        left = [point for points in lists for point in points[: len(points) // 2]]
        right = [point for points in lists for point in points[len(points) // 2 : len(points) // 2 * 2]]
        sums = iter(add_pairs(left, right))
        lists = [[next(sums) for _ in range(len(points) // 2)] + points[len(points) // 2 * 2 :] for points in lists]
    return [points[0] if points else None for points in lists]


def _weighed(buckets: list[Point]) -> Point:
    """The sum of all k · buckets[k], by one bit of k after the other."""
    total: Point = None
    for bit in range((len(buckets) - 1).bit_length() - 1, -1, -1):
        total = add_pairs([total], [total])[0]
        total = add_pairs([total], _sum_each([[b for k, b in enumerate(buckets) if k >> bit & 1]]))[0]
    return total


def multiply2(point: Point2, scalar: int) -> Point2:
    """scalar · point in G2; scalar in 1..ORDER - 1."""
    x, y = curve.normalize(curve.multiply(_projective2(point), scalar))
    return (int(x.coeffs[0]), int(x.coeffs[1])), (int(y.coeffs[0]), int(y.coeffs[1]))


def same_ratio(a: Point, b: Point, a2: Point2, b2: Point2) -> bool:
    """Whether the factor from `a` to `b` in G1 is the one from `a2` to `b2` in G2: e(a, b2) = e(b, a2)."""
    if a is None or b is None:
        return False
    return _pairing(a, b2) == _pairing(b, a2)


def _pairing(a: tuple[int, int], b: Point2) -> curve.FQ12:
    return curve.pairing(_projective2(b), (curve.FQ(a[0]), curve.FQ(a[1]), curve.FQ(1)))


def _projective2(point: Point2) -> tuple[curve.FQ2, curve.FQ2, curve.FQ2]:
    return curve.FQ2(point[0]), curve.FQ2(point[1]), curve.FQ2.one()
