"""One SSVI slice: EVM equal to its Python twin, and near the paper's formula in 50 digits."""

from __future__ import annotations

import random

from mpmath import mp, mpf
from tests.contracts.pricing_reference import Q96, total_variance
from tests.contracts.pricing_vectors import ONE, in_batches

from fedvol.protocol import ssvi

#: Relative. p c has 96 binary places: that shows where a slice is of seconds and wide at its wings.
TOLERANCE = mpf("1e-15")

pytest_plugins = ["tests.contracts.pricing_vectors"]


def points(count: int, seed: int) -> list[tuple[ssvi.Slice, int]]:
    """Slices of any level with slopes from 1/100 to all that butterflies allow, near and far strikes."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        theta = 2 ** rng.choice([rng.uniform(-40, 8), rng.uniform(-12, 0)])
        p, c = (min(rng.uniform(0.02, 1.98) * theta**0.5, 3.96) for _ in "pc")
        k = rng.choice([0, rng.gauss(0, 1) * theta**0.5, rng.uniform(-9.7, 9.7)])
        rows.append((ssvi.Slice(*(int(x * ONE) for x in (theta, p, c))), int(max(-9.7, min(9.7, k)) * ONE)))
    return rows


def test_total_variance_is_the_formula(libraries):
    rows = points(600, seed=1)
    found = in_batches(libraries.totalVariance, *zip(*rows, strict=True))
    assert found == [ssvi.total_variance(*row) for row in rows]
    for (at, k), w in zip(rows, found, strict=True):
        exact = total_variance(*(mpf(x) / Q96 for x in at), k / Q96)
        assert abs(w / Q96 / exact - 1) <= TOLERANCE, (at, k)


def test_total_variance_at_the_money_is_theta():
    for at, _ in points(50, seed=2):
        assert abs(ssvi.total_variance(at, 0) - at.theta) <= 1 + (at.theta >> 90)


def test_slopes_far_out_are_half_of_p_and_c():
    at = ssvi.Slice(ONE >> 20, ONE >> 10, ONE >> 9)
    for far, slope in ((9 * ONE, at.p), (-9 * ONE, at.c)):
        assert mp.almosteq(2 * mpf(ssvi.total_variance(at, far)) / 9, mpf(slope), rel_eps=mpf("1e-3"))
