"""The calendar by its words, day by day, and whose weights an expiry starts from."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedvol.protocol.listing import carry, expiries, sources

EPOCH = date(1970, 1, 1)
near_hours = st.tuples(st.integers(1, 47_000), st.sampled_from([0, 7, 8]), st.integers(-1, 1))
times = st.one_of(
    st.integers(0, 4_133_980_800), near_hours.map(lambda near: near[0] * 86400 + near[1] * 3600 + near[2])
)


def by_the_words(as_of: int) -> list[int]:
    """All that the rule names in the next three years, as days looked at one by one."""
    day = EPOCH + timedelta(days=as_of // 86400)
    coming = [day + timedelta(days=i) for i in range(1150)]
    coming = [day for day in coming if at_eight(day) > as_of + 3600]
    fridays = [day for day in coming if day.weekday() == 4]
    ends = [day for day in fridays if day.day + 7 > calendar.monthrange(day.year, day.month)[1]]
    quarters = [day for day in ends if day.month in (3, 6, 9, 12)]
    return sorted({at_eight(day) for day in (*coming[:4], *fridays[:4], *ends[:3], *quarters)})


def at_eight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 8, tzinfo=UTC).timestamp())


@settings(deadline=None)
@given(times, st.integers(0, 16))
def test_expiries_are_what_the_words_say(as_of, count):
    found = expiries(as_of, count)
    assert found == by_the_words(as_of)[:count]
    assert all(3600 < expiry - as_of < 1 << 26 for expiry in found)


def test_an_expiry_is_listed_until_an_hour_before():
    eight = at_eight(date(2028, 2, 29))
    assert expiries(eight - 3601, 1) == [eight]
    assert expiries(eight - 3600, 1) == [at_eight(date(2028, 3, 1))]


def test_a_wednesday():
    days = [(1, 8), (1, 9), (1, 10), (1, 11), (1, 16), (1, 23), (1, 30), (2, 27), (3, 27), (6, 26), (9, 25), (12, 25)]
    found = expiries(int(datetime(2026, 1, 7, 12, tzinfo=UTC).timestamp()), 12)
    assert found == [at_eight(date(2026, *day)) for day in days]


@pytest.mark.parametrize(
    ("before", "after", "index"),
    [([10, 20, 40], [10, 20, 40], [0, 1, 2]), ([10, 20, 40], [15, 30, 31, 99], [0, 1, 2, 2]), ([10], [1, 10], [0, 0])],
)
def test_a_new_expiry_starts_from_the_nearest(before, after, index):
    assert sources(before, after) == index


@settings(deadline=None)
@given(times, st.integers(0, 10**8), st.integers(1, 16))
def test_carried_weights_stay_with_their_expiry(before, gap, pillars):
    markets, width, tail = 2, 3, 1
    weights = np.arange(markets * (pillars * width + tail))
    carried = carry(weights, markets, pillars, width, tail, before, before + gap)
    old, new = expiries(before, pillars), expiries(before + gap, pillars)
    for then, now in zip(weights.reshape(markets, -1), carried.reshape(markets, -1), strict=True):
        assert then[-tail:].tolist() == now[-tail:].tolist()
        for j, expiry in enumerate(new):
            distances = [abs(expiry - other) for other in old]
            source = distances.index(min(distances))
            assert now[j * width : (j + 1) * width].tolist() == then[source * width : (source + 1) * width].tolist()


def test_nothing_is_carried_to_no_expiry():
    weights = np.arange(4)
    assert carry(weights, 2, 0, 6, 2, 0, 10**9).tolist() == weights.tolist()
