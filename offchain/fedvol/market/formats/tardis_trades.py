"""Tardis trades: price and amount only; the vol is inverted from the price, the forward found in the tape."""

from __future__ import annotations

import pandas as pd

from fedvol.market.formats.common import identifiers, moments, numbers, optional, records

NAME = "Tardis trades"

_NEEDED = frozenset({"exchange", "symbol", "timestamp", "local_timestamp", "price", "amount"})


def recognise(columns: frozenset[str]) -> bool:
    return columns >= _NEEDED


def read(raw: pd.DataFrame, _notes: list[str]) -> pd.DataFrame:
    return records(
        raw,
        "trade",
        raw["symbol"],
        ts_ms=moments(raw["timestamp"]),
        price=numbers(raw["price"]),
        amount=numbers(raw["amount"]),
        trade_id=identifiers(optional(raw, "id")),
    )
