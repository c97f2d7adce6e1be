"""FedVol's own columns (`fedvol.market.schema.TIDY`): vols are fractions by definition."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fedvol.market.formats.common import identifiers, moments, numbers, optional, records

NAME = "FedVol tidy tape"

_NEEDED = frozenset({"ts_ms", "market", "expiry_ms", "strike", "is_call", "forward", "iv"})


def recognise(columns: frozenset[str]) -> bool:
    return columns >= _NEEDED


def read(raw: pd.DataFrame, _notes: list[str]) -> pd.DataFrame:
    frame = records(
        raw,
        "trade",
        ts_ms=moments(raw["ts_ms"]),
        iv=numbers(raw["iv"]),
        bid_iv=numbers(optional(raw, "bid_iv")),
        ask_iv=numbers(optional(raw, "ask_iv")),
        forward=numbers(raw["forward"]),
        amount=numbers(optional(raw, "amount")),
        trade_id=identifiers(optional(raw, "trade_id")),
        market=identifiers(raw["market"]),
        expiry_ms=moments(raw["expiry_ms"]),
        strike=numbers(raw["strike"]),
        is_call=raw["is_call"].astype(str).str.lower().isin(("true", "1")).to_numpy(),
        linear=False,
    )
    frame["kind"] = np.where(optional(raw, "kind").astype(str) == "quote", "quote", "trade")
    return frame
