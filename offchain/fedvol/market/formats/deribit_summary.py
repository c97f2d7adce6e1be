"""Deribit book summaries: one quote an instrument, mark vol in percent, bid and ask as prices."""

from __future__ import annotations

import pandas as pd

from fedvol.market.formats.common import moments, numbers, optional, percent, records

NAME = "Deribit book summary"

_NEEDED = frozenset({"instrument_name", "mark_iv", "underlying_price", "creation_timestamp"})


def recognise(columns: frozenset[str]) -> bool:
    return columns >= _NEEDED


def read(raw: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    notes.append("vol taken from mark_iv (percent); bid and ask vols inverted from their prices")
    return records(
        raw,
        "quote",
        raw["instrument_name"],
        ts_ms=moments(raw["creation_timestamp"]),
        iv=percent(raw["mark_iv"]),
        bid_price=numbers(optional(raw, "bid_price")),
        ask_price=numbers(optional(raw, "ask_price")),
        forward=numbers(raw["underlying_price"]),
    )
