"""Deribit trades, public or a user's own: RPC answers, lists of records, CSV re-saves with renamed columns.

The venue states iv in percent; re-saves may have changed that, so the unit is told by size.
Only named columns are read: order ids, labels, fees and profits of private records go no further.
"""

from __future__ import annotations

import pandas as pd

from fedvol.market.formats.common import as_fraction, identifiers, moments, numbers, optional, records

NAME = "Deribit trades"

_ALIASES = {
    "instrument_name": ("instrument_name", "instrument", "symbol"),
    "timestamp": ("timestamp", "t", "ts", "ts_ms", "time", "datetime"),
    "price": ("price", "p"),
    "amount": ("amount", "q", "qty", "quantity", "size"),
    "iv": ("iv", "implied_volatility"),
    "index_price": ("index_price", "index"),
    "underlying_price": ("underlying_price", "forward"),
    "trade_id": ("trade_id", "id"),
}
_NEEDED = ("instrument_name", "timestamp", "price", "amount")
_PRIVATE = (
    "order_id",
    "label",
    "fee",
    "profit_loss",
    "quote_id",
    "quote_set_id",
    "trade_allocations",
    "user_id",
)


def recognise(columns: frozenset[str]) -> bool:
    return all(columns.intersection(_ALIASES[name]) for name in _NEEDED)


def read(raw: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    found = {
        name: next(alias for alias in aliases if alias in raw)
        for name, aliases in _ALIASES.items()
        if any(alias in raw for alias in aliases)
    }
    if renamed := [f"{alias} = {name}" for name, alias in found.items() if alias != name]:
        notes.append("columns read under other names: " + ", ".join(renamed))
    if private := [name for name in _PRIVATE if name in raw]:
        notes.append("private columns left out: " + ", ".join(private))
    seen = raw[list(found.values())].rename(columns={alias: name for name, alias in found.items()})
    (iv,) = as_fraction(notes, optional(seen, "iv"))
    return records(
        raw,
        "trade",
        seen["instrument_name"],
        ts_ms=moments(seen["timestamp"]),
        iv=iv,
        price=numbers(seen["price"]),
        amount=numbers(seen["amount"]),
        forward=numbers(optional(seen, "underlying_price")),
        index=numbers(optional(seen, "index_price")),
        trade_id=identifiers(optional(seen, "trade_id")),
    )
