"""The calendar and what a model carries over: EVM equal to its Python twin, and both to the rule in words."""

from __future__ import annotations

import calendar
import random
import struct
from datetime import UTC, datetime

import numpy as np
from tests.contracts.pricing_vectors import DAY, INT32, YEAR, in_batches, packed_weights

from fedvol.protocol import listing

pytest_plugins = ["tests.contracts.pricing_vectors"]

END = 4_133_980_800  # 2101
EIGHT = 8 * 3600


def edges() -> list[int]:
    """Around expiries, an hour before them, midnights and the ends of months of years of every kind."""
    days = [0, 1, 2]
    for year in (1972, 1999, 2000, 2024, 2026, 2027, 2028, 2096, 2100):
        for month in range(1, 13):
            last = calendar.monthrange(year, month)[1]
            days += [int(datetime(year, month, day, tzinfo=UTC).timestamp()) // DAY for day in (1, last - 1, last)]
    days += [day // DAY for day in listing.expiries(1_790_000_000, 16)]
    at = {0, EIGHT - 3600, EIGHT}
    return [t for day in days for x in at for t in (day * DAY + x - 1, day * DAY + x, day * DAY + x + 1) if t >= 0]


def test_expiries_are_the_twins(libraries):
    rng = random.Random(1)
    times = [0, 1, END - 1, *(rng.randrange(END) for _ in range(400)), *edges()]
    found = in_batches(libraries.expiries, times, rest=(16,))
    assert [list(row) for row in found] == [listing.expiries(time, 16) for time in times]
    for count in range(16):
        some = rng.sample(times, 40)
        found = in_batches(libraries.expiries, some, rest=(count,))
        assert [list(row) for row in found] == [listing.expiries(time, count) for time in some]


def test_carry_is_the_twins(libraries):
    rng = random.Random(2)
    for _ in range(60):
        markets, pillars, width, tail = rng.randint(1, 4), rng.randint(0, 16), rng.randint(1, 7), rng.randint(0, 3)
        before = rng.choice([rng.randrange(130 * YEAR), rng.choice(edges())])
        gap = int(10 ** rng.uniform(0, 7.5)) if rng.random() < 0.9 else 0
        weights = np.array([rng.randint(*INT32) for _ in range(markets * (pillars * width + tail))], dtype=np.int64)
        padding = [rng.randint(*INT32) for _ in range(-len(weights) % 8)]
        model = packed_weights([*weights.tolist(), *padding])
        carried = libraries.carry(model, (markets, pillars, width, tail), before, before + gap)
        expected = listing.carry(weights, markets, pillars, width, tail, before, before + gap).tolist()
        assert list(struct.unpack(f">{len(carried) // 4}i", carried)) == [*expected, *padding]


def test_gas_grows_with_the_count_only(libraries):
    used = [libraries.gasOfExpiries(time, 13)[0] for time in edges()[::40]]
    assert max(used) < 14_000
