"""What the tests of the pricing libraries share: their harness, and random, ordinary and extreme models."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from fedvol.protocol import listing, surface
from fedvol.protocol.surface import Pillar

WAD = 10**18
ONE = 1 << 96
DAY = 86400
YEAR = 365 * DAY
INT32 = (-(2**31), 2**31 - 1)
LONGEST = 2**26 - 1
"""The last tenor that a chart takes, in seconds."""


@pytest.fixture(scope="module")
def libraries(project: Any, accounts: Any) -> Any:
    return project.PricingHarness.deploy(sender=accounts[0])


def in_batches(call: Callable[..., Sequence[Any]], *columns: Sequence[Any], rest: Sequence[Any] = (), size: int = 100):
    """Everything that `call` gives for columns too long for one call."""
    return [
        result
        for start in range(0, len(columns[0]), size)
        for result in call(*(list(column[start : start + size]) for column in columns), *rest)
    ]


def option_vectors() -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """(forward, strike, sigma Q96, seconds): 250 from a desk's day, 400 from the edges of the domain."""
    rng = random.Random(76)
    usual, extreme = [], []
    for _ in range(250):
        forward = int(10 ** rng.uniform(1, 6) * WAD)
        strike = int(forward * math.exp(rng.gauss(0, 0.35)))
        usual.append((forward, strike, int(rng.uniform(0.1, 3) * ONE), rng.randrange(3600, 2 * YEAR)))
    for _ in range(200):
        forward = int(10 ** rng.uniform(0, 12) * WAD)
        strike = int(forward * 10 ** rng.choice([-4, -3.99, -2, 0, 1e-9, 2, 3.99, 4]))
        sigma = rng.choice([10**-6, 10**-4, 0.01, 1, 4.48, 10, 100, 900])
        extreme.append((forward, strike, int(sigma * ONE), rng.choice([60, 61, 3600, YEAR, 5 * YEAR])))
    for _ in range(200):  # tiny or huge deviations, yet d1 or d2 where the normal tail still counts
        forward = int(10 ** rng.uniform(0, 12) * WAD)
        sigma, seconds = 10 ** rng.uniform(-4, 2), rng.choice([60, 86400, YEAR, 5 * YEAR])
        moneyness = sigma * math.sqrt(seconds / YEAR) * rng.uniform(-9, 9)
        strike = int(forward * math.exp(max(-9.2, min(9.2, moneyness))))
        extreme.append((forward, strike, int(sigma * ONE), seconds))
    return usual, extreme


def tenors_at(as_of: int, count: int) -> list[int]:
    return [expiry - as_of for expiry in listing.expiries(as_of, count)]


def ordinary_weights(rng: random.Random, pillars: int, bits: int) -> list[int]:
    """Vols near 50%, wings of a market with a skew, the second slice wider."""
    one = 1 << bits
    weights = []
    for _ in range(pillars):
        weights += [int(one * x * math.exp(rng.gauss(0, 0.1))) for x in (0.5, 0.6, 0.9, 0.9, 1.2, 1.5)]
    return [*weights, int(rng.gauss(0.5, 0.5) * one), int(rng.gauss(-0.5, 0.5) * one)]


def wild_weights(rng: random.Random, pillars: int, bits: int) -> list[int]:
    """Any int32; edges of int32 and of what is held; all one; alternating edges; rising; falling; inside the limits."""
    count, one = 6 * pillars + 2, 1 << bits
    edges = [
        *INT32,
        0,
        1,
        -1,
        *(x for part in (3, 2, 198, 450) for x in (part * one // 100 - 1, part * one // 100 + 1)),
    ]
    edges = [min(max(edge, INT32[0]), INT32[1]) for edge in edges]
    ramp = [int(one * 0.03 * 150 ** (i / count)) for i in range(count)]
    ramp = [min(x, INT32[1]) for x in ramp]
    return rng.choice(
        [
            lambda: [rng.randint(*INT32) for _ in range(count)],
            lambda: [rng.choice(edges) for _ in range(count)],
            lambda: [rng.choice(edges)] * count,
            lambda: [INT32[i // rng.choice([1, 3, 6]) % 2] for i in range(count)],
            lambda: ramp,
            lambda: ramp[::-1],
            lambda: [rng.choice(ramp) for _ in range(count)],
        ]
    )()


def models(rng: random.Random, count: int) -> Iterator[tuple[list[int], list[int], int]]:
    """(weights of one market, tenors, fraction bits): half on listed expiries, half on any tenors from 3,600 s up."""
    for i in range(count):
        pillars, bits = rng.randint(1, 16), rng.randint(8, 28)
        make = ordinary_weights if i % 4 == 0 and bits < 28 else wild_weights
        if rng.random() < 0.5:
            tenors = tenors_at(rng.randrange(130 * YEAR), pillars)
        else:
            tenors = sorted(
                rng.sample([*range(3600, 3632), LONGEST, *(rng.randrange(3600, LONGEST) for _ in range(40))], pillars)
            )
        yield make(rng, pillars, bits), tenors, bits


def packed_weights(weights: Sequence[int]) -> bytes:
    return struct.pack(f">{len(weights)}i", *weights)


def packed_tenors(tenors: Sequence[int]) -> bytes:
    return struct.pack(f">{len(tenors)}I", *tenors)


def packed_chart(chart: Sequence[Sequence[Pillar]]) -> bytes:
    """24 bytes a pillar, as Surface.chart packs."""
    return b"".join(
        (pillar.theta << 56 | pillar.p << 28 | pillar.c).to_bytes(12, "big")
        for both in zip(*chart, strict=True)
        for pillar in both
    )


def pure_gas(libraries: Any) -> dict[str, int]:
    """Gas of the pure functions on an ordinary day, 13 pillars."""
    rng, as_of, bits = random.Random(7), 1_767_225_600, 20
    weights, tenors = ordinary_weights(rng, 13, bits), tenors_at(as_of, 13)
    chart = packed_chart(surface.chart(weights, tenors, bits))
    option = (65_000 * WAD, 70_000 * WAD, ONE // 2, 30 * DAY)
    points = [(chart, packed_tenors(tenors), ONE, 30 * DAY, DAY, int(k * ONE)) for k in (-0.2, -0.05, 0, 0.1, 0.3)]
    model = packed_weights(weights + [0] * (-len(weights) % 8))
    return {
        "black76": libraries.gasOfPrice(option)[0],
        "expiries": libraries.gasOfExpiries(as_of, 13)[0],
        "carry": libraries.gasOfCarry(model, (1, 13, 6, 2), as_of, as_of + 2 * DAY)[0],
        "chart": libraries.gasOfChart((packed_weights(weights), 0, tenors, bits))[0],
        "slices": libraries.gasOfSlices(chart, packed_tenors(tenors), 30 * DAY << 32)[0],
        "iv": max(libraries.gasOfIv(point)[0] for point in points),
    }
