"""ccxt unified trades.

iv and index are only in `info`, the venue's own record; `cost` is meaningless for inverse options.
"""

from __future__ import annotations

import pandas as pd

from fedvol.market.formats.common import identifiers, moments, numbers, optional, percent, records

NAME = "ccxt trades"

_NEEDED = frozenset({"symbol", "timestamp", "datetime", "price", "amount"})


def recognise(columns: frozenset[str]) -> bool:
    return columns >= _NEEDED


def read(raw: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    said = optional(raw, "info").map(lambda info: info if isinstance(info, dict) else {})
    info = pd.DataFrame(said.tolist(), index=raw.index, dtype=object)
    venue_name = optional(info, "instrument_name").astype(object)
    names = venue_name.where(venue_name.notna(), raw["symbol"].astype(object))
    if "iv" in info:
        notes.append("vol (percent) and index taken from info, the venue's own record")
    return records(
        raw,
        "trade",
        names,
        ts_ms=moments(raw["timestamp"]),
        iv=percent(optional(info, "iv")),
        price=numbers(raw["price"]),
        amount=numbers(raw["amount"]),
        forward=numbers(optional(info, "underlying_price")),
        index=numbers(optional(info, "index_price")),
        trade_id=identifiers(optional(raw, "id")),
    )
