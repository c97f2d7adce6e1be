"""Which expiries a surface has at a time, and whose weights a new one starts from.

Twin of `contracts/libraries/Listing.sol`.

The calendar of the large option venues, at 08:00 UTC: the next four days, the next four Fridays, the last Friday of the
next three months, then of March, June, September and December. What ends within the hour is left out. A pure function
of time, so nobody lists anything, and every node and the chain agree on what a weight stands for.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

DAY = 86_400
HOUR_OF_EXPIRY = 8 * 3_600
LEAST_TENOR = 3_600
DAYS = FRIDAYS = 4
MONTHS = 3
MAX_PILLARS = 16


def expiries(as_of: int, count: int) -> list[int]:
    """The first `count` (1 to 16) listed expiries, unix seconds, strictly rising.

    Args:
        as_of: unix seconds, 1970 to 2100.
    """
    first = (as_of + LEAST_TENOR + DAY - HOUR_OF_EXPIRY) // DAY
    days = list(range(first, first + DAYS))
    friday = first + (1 - first) % 7  # day 1 of 1970 was one
    days += [friday + 7 * week for week in range(FRIDAYS) if friday + 7 * week > days[DAYS - 1]]
    today = datetime.fromtimestamp(as_of, UTC).date()
    year, month, months = today.year, today.month, 0
    while len(days) < count:
        last = _last_friday(year, month)
        months += last >= first
        if last > days[-1] and (months <= MONTHS or month % 3 == 0):
            days.append(last)
        year, month = year + month // 12, month % 12 + 1
    return [day * DAY + HOUR_OF_EXPIRY for day in days[:count]]


def sources(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """For each expiry of `after`, the index of the nearest in `before`: itself where it was listed, the earlier of two
    that are as near."""
    return [min(range(len(before)), key=lambda i: abs(before[i] - expiry)) for expiry in after]


def carry(
    weights: NDArray[np.int64], markets: int, pillars: int, width: int, tail: int, before: int, after: int
) -> NDArray[np.int64]:
    """A model as of one time read as of a later one: expiries that stay keep their weights, a new one starts from those
    of the nearest.

    Args:
        weights: markets · (pillars · width + tail) numbers: for each market its pillars' weights, then what hangs on
            none.
        before, after: unix seconds.
    """
    if not pillars:
        return weights
    index = np.array(sources(expiries(before, pillars), expiries(after, pillars)))
    blocks = weights.reshape(markets, pillars * width + tail)
    body = blocks[:, : pillars * width].reshape(markets, pillars, width)[:, index]
    return np.concatenate([body.reshape(markets, -1), blocks[:, pillars * width :]], axis=1).ravel()


def _last_friday(year: int, month: int) -> int:
    """Its day since 1970."""
    end = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return (end - date(1970, 1, 1)).days - (end.weekday() - 4) % 7
