"""What every format shares: the half-way record, and how numbers, times and vols are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.market import instrument

_NUMBERS = (
    "ts_ms",
    "iv",
    "bid_iv",
    "ask_iv",
    "price",
    "bid_price",
    "ask_price",
    "forward",
    "index",
    "amount",
)
_PERCENT_FROM = 5.0


def numbers(column: pd.Series) -> NDArray[np.float64]:
    """Float64 of anything; NaN for what is no number. Booleans and nested objects are no numbers."""
    if column.dtype.kind in "iuf":
        return column.to_numpy(np.float64)
    text = column.astype(object).where(~column.map(lambda v: isinstance(v, bool)), None)
    try:
        return pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    except (OverflowError, TypeError, ValueError):
        return pd.to_numeric(text.astype(str), errors="coerce").to_numpy(np.float64, na_value=np.nan)


def moments(column: pd.Series) -> NDArray[np.float64]:
    """Milliseconds since the epoch (whole float64), from s, ms, us or ns told by size, or ISO text in UTC."""
    if column.dtype.kind == "M":
        stamps = pd.DatetimeIndex(column).as_unit("ms")
        return np.where(stamps.isna(), np.nan, stamps.asi8.astype(np.float64))
    stamp = _to_ms(numbers(column))
    missing = np.isnan(stamp)
    if missing.any():
        parsed = pd.to_datetime(column[missing].astype(str), utc=True, format="ISO8601", errors="coerce")
        stamp[missing] = ((parsed - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(milliseconds=1)).to_numpy()
    return np.floor(stamp)


def as_fraction(notes: list[str], *columns: pd.Series | None) -> list[NDArray[np.float64] | None]:
    """Vols whose unit the format leaves open, as fractions: a median above 5 can only be percent."""
    values = [None if c is None else numbers(c) for c in columns]
    seen = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in values if v is not None] or [np.zeros(0)])
    if not seen.size:
        return values
    middle = float(np.median(seen))
    percent = middle > _PERCENT_FROM
    notes.append(f"vols read as {'percent' if percent else 'fractions'} (their median is {middle:.4g})")
    return [v if v is None or not percent else v / 100.0 for v in values]


def percent(column: pd.Series) -> NDArray[np.float64]:
    """Vols of a format that states percent, as fractions."""
    return numbers(column) / 100.0


def optional(raw: pd.DataFrame, name: str) -> pd.Series:
    """The named column, or one of nothing."""
    return raw[name] if name in raw else pd.Series(np.nan, index=raw.index, dtype=np.float64)


def identifiers(column: pd.Series) -> pd.Series:
    """Identifiers as text, "" where there is none."""
    return column.astype(object).where(column.notna(), "").astype(str)


def records(raw: pd.DataFrame, kind: str, names: pd.Series | None = None, **columns: Any) -> pd.DataFrame:
    """The half-way record that every format reads into, one a raw row, in the same order.

    Args:
        kind: "trade" or "quote".
        names: instrument names; without them the caller gives market, expiry_ms, strike, is_call, linear.
        columns: any of ts_ms, iv, bid_iv, ask_iv (fractions), price, bid_price, ask_price (as quoted),
        forward,
            index (USD), amount, trade_id.

    Returns:
        A frame with all of these columns, numbers as float64 with NaN for what the format does not say.
        `priced` tells whether the format states prices at all.
    """
    out: dict[str, Any] = {name: columns.pop(name, np.nan) for name in _NUMBERS}
    out |= {"kind": kind, "trade_id": columns.pop("trade_id", ""), "priced": not np.isscalar(out["price"])}
    frame = pd.DataFrame(out, index=raw.index)
    if names is not None:
        terms = instrument.contracts(names).rename(columns={"kind": "instrument_kind"})
    else:
        terms = pd.DataFrame({"instrument_kind": "option", **columns}, index=raw.index)
    return pd.concat([frame, terms], axis=1)


def _to_ms(stamp: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.abs(stamp)
    scale = np.select([size < 1e11, size < 1e14, size < 1e17], [1e-3, 1.0, 1e3], 1e6)
    return stamp / scale
