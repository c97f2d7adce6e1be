"""Tables of trades or quotes with contract terms in columns: ts_ms, currency, expiry_ms, strike, cp, a vol.

The vol is the first of iv, mark_iv, mid_iv, or the middle of bid_iv and ask_iv; its unit is told by size.
An instrument_name wins over the columns, which re-saves are known to damage.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fedvol.market.formats.common import as_fraction, identifiers, moments, numbers, optional, records

NAME = "table of trades or quotes"

_NEEDED = frozenset({"ts_ms", "currency", "expiry_ms", "strike", "cp"})
_VOLS = ("iv", "mark_iv", "mid_iv", "bid_iv", "price")
_INVERSE = ("BTC", "ETH")


def recognise(columns: frozenset[str]) -> bool:
    return columns >= _NEEDED and not columns.isdisjoint(_VOLS)


def read(raw: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    chosen = next((name for name in ("iv", "mark_iv", "mid_iv") if name in raw), None)
    iv, bid, ask = as_fraction(notes, raw[chosen] if chosen else None, optional(raw, "bid_iv"), optional(raw, "ask_iv"))
    notes.append(f"vol taken from {chosen or 'the middle of bid_iv and ask_iv'}")
    columns = {
        "ts_ms": moments(raw["ts_ms"]),
        "iv": iv if chosen else (bid + ask) / 2,
        "bid_iv": bid,
        "ask_iv": ask,
        "forward": numbers(optional(raw, "forward")),
        "index": numbers(optional(raw, "index_price")),
        "amount": numbers(optional(raw, "amount")),
        "trade_id": identifiers(optional(raw, "trade_id")),
    }
    if "price" in raw:
        columns["price"] = numbers(raw["price"])
    kind = "trade" if "price" in raw or chosen == "iv" else "quote"
    if "instrument_name" in raw:
        return records(raw, kind, raw["instrument_name"], **columns)
    market = identifiers(raw["currency"])
    return records(
        raw,
        kind,
        **columns,
        market=market,
        expiry_ms=moments(raw["expiry_ms"]),
        strike=numbers(raw["strike"]),
        is_call=raw["cp"].astype(str).str.upper().str.startswith("C").to_numpy(),
        linear=~np.isin(market.to_numpy(object), _INVERSE),
    )
