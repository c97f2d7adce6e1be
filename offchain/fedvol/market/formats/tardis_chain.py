"""Tardis options_chain: quotes with venue vols in percent and the venue's forward; times in microseconds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fedvol.market.formats.common import moments, numbers, optional, percent, records

NAME = "Tardis options_chain"

_NEEDED = frozenset({"symbol", "timestamp", "strike_price", "expiration", "mark_iv", "underlying_price"})


def recognise(columns: frozenset[str]) -> bool:
    return columns >= _NEEDED


def read(raw: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    notes.append("vol taken from mark_iv (percent); amount is what stood at bid and ask together")
    standing = [np.nan_to_num(numbers(optional(raw, side))) for side in ("bid_amount", "ask_amount")]
    return records(
        raw,
        "quote",
        raw["symbol"],
        ts_ms=moments(raw["timestamp"]),
        iv=percent(raw["mark_iv"]),
        bid_iv=percent(optional(raw, "bid_iv")),
        ask_iv=percent(optional(raw, "ask_iv")),
        forward=numbers(raw["underlying_price"]),
        amount=standing[0] + standing[1],
    )
