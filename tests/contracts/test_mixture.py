"""The mixture's deviation: EVM equal to its Python twin, and near the root in 60 digits."""

from __future__ import annotations

import math
import random

import pytest
from mpmath import mpf
from tests.contracts.pricing_reference import Q96, mixture_error
from tests.contracts.pricing_vectors import ONE, in_batches

from fedvol.protocol import mixture

pytest_plugins = ["tests.contracts.pricing_vectors"]

#: Relative, within six standard deviations of the wider slice and beyond.
NEAR, BEYOND = mpf("1e-9"), mpf("2e-3")
K_MOST = 9.704


def pairs(count: int, seed: int, wild: bool) -> list[tuple[int, int, int]]:
    """(variance, variance, log strike), Q96."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        wide = 2 ** (rng.choice([rng.uniform(-44, 8), rng.uniform(-3, 8)]) if wild else rng.uniform(-14, 0))
        narrow = max(wide * 2 ** -rng.choice([0, rng.uniform(0, 4), rng.uniform(0, 20) if wild else 1]), 2**-44)
        stretch = math.sqrt(narrow if rng.random() < 0.3 else wide)
        away = rng.choice(
            [0, rng.uniform(0, 2), rng.uniform(0, 5), rng.uniform(5, 6.2), rng.uniform(6, 40 if wild else 9)]
        )
        k = rng.choice([-1, 1]) * min(away * stretch, K_MOST)
        variances = [int(wide * ONE), int(narrow * ONE)]
        rng.shuffle(variances)
        rows.append((*variances, int(k * ONE)))
    return rows


@pytest.mark.parametrize("wild", [False, True], ids=["ordinary", "wild"])
def test_deviation_is_the_twins_and_near_the_root(libraries, wild):
    rows = pairs(1500, 1, wild)
    found = in_batches(libraries.deviation, *zip(*rows, strict=True))
    assert found == [mixture.deviation(*row) for row in rows]
    for row, s in list(zip(rows, found, strict=True))[:250]:
        away = abs(row[2]) / Q96 / math.sqrt(max(row[:2]) / Q96)
        assert mixture_error(*row, s) <= (NEAR if away < mixture.FAR - 1e-9 else BEYOND), (row, float(away))


def test_deviation_lies_between_the_slices_own(libraries):
    for row in pairs(300, 2, wild=True):
        low, high = sorted(math.isqrt(variance << 96) for variance in row[:2])
        assert low * (1 - 1e-3) <= mixture.deviation(*row) <= high * (1 + 1e-12)


def test_gas(libraries):
    typical = [libraries.gasOfDeviation(*row)[0] for row in pairs(60, 4, wild=False)]
    worst = max(libraries.gasOfDeviation(*row)[0] for row in pairs(150, 5, wild=True))
    print({"deviation": sorted(typical)[len(typical) // 2], "deviation_worst": max(worst, *typical)})
    assert max(worst, *typical) <= 14_000
