"""Instrument names of options venues, read once per distinct name.

Two grammars: Deribit's (`BTC-28FEB20-9750-C`, `XRP_USDC-30JUN23-0d625-C`) and ccxt's unified symbols
(`BTC/USD:BTC-200228-9750-C`). Options expire at 08:00 UTC on the day in their name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pandas as pd

Kind = Literal["option", "future", "perpetual", "combo", "spot", "unknown"]

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EXPIRY_HOUR = 8

_DAY = rf"(\d{{1,2}})({'|'.join(MONTHS)})(\d{{2}})"
_BASE = r"([A-Z0-9]+)(?:_([A-Z]+))?"
_OPTION = re.compile(rf"{_BASE}-{_DAY}-(\d+(?:d\d+)?)-([CP])", re.ASCII)
_FUTURE = re.compile(rf"{_BASE}-{_DAY}", re.ASCII)
_PERPETUAL = re.compile(rf"{_BASE}-PERPETUAL", re.ASCII)
_COMBO = re.compile(rf"{_BASE}-[A-Z][A-Z0-9]*-[A-Za-z0-9_-]+", re.ASCII)
_SPOT = re.compile(r"([A-Z0-9]+)_([A-Z]+)", re.ASCII)
_CCXT = re.compile(
    r"([A-Z0-9]+)/([A-Z0-9]+)(?::([A-Z0-9]+))?(?:-(\d{2})(\d{2})(\d{2})(?:-(\d+(?:[.d]\d+)?)-([CP]))?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Instrument:
    """What a name says.

    Attributes:
        kind: "option" for a plain option; everything else carries no contract terms that FedVol uses.
        market: base currency, "BTC".
        expiry_ms: milliseconds since the epoch, UTC; 0 where there is none.
        strike: in the quote currency; NaN where there is none.
        is_call: call or put; meaningless where `kind` is not "option".
        linear: priced in USDC per unit of base; False = inverse, priced in the base coin.
    """

    kind: Kind
    market: str = ""
    expiry_ms: int = 0
    strike: float = float("nan")
    is_call: bool = False
    linear: bool = False


UNKNOWN = Instrument("unknown")


def parse(name: str) -> Instrument:
    """Reads one name; never raises: a name that follows no grammar is of kind "unknown"."""
    if m := _OPTION.fullmatch(name):
        base, quote, day, month, year, strike, side = m.groups()
        expiry = _expiry(int(year), MONTHS.index(month) + 1, int(day))
        return _option(base, expiry, strike, side, quote is not None) if expiry else UNKNOWN
    if m := _CCXT.fullmatch(name):
        base, quote, settle, year, month, day, strike, side = m.groups()
        if year is None:
            return Instrument("perpetual" if settle else "spot", base)
        expiry = _expiry(int(year), int(month), int(day))
        if not expiry or not settle:
            return UNKNOWN
        return _option(base, expiry, strike, side, settle == quote) if strike else Instrument("future", base, expiry)
    if m := _PERPETUAL.fullmatch(name):
        return Instrument("perpetual", m[1])
    if m := _FUTURE.fullmatch(name):
        return Instrument("future", m[1])
    if m := _COMBO.fullmatch(name):
        return Instrument("combo", m[1])
    if m := _SPOT.fullmatch(name):
        return Instrument("spot", m[1])
    return UNKNOWN


def option_name(market: str, expiry_ms: int, strike: float, is_call: bool, linear: bool = False) -> str:
    """Deribit's name of an option; the inverse of `parse`."""
    when = datetime.fromtimestamp(expiry_ms / 1000, UTC)
    day = f"{when.day}{MONTHS[when.month - 1]}{when.year % 100:02d}"
    number = f"{strike:.8f}".rstrip("0").rstrip(".").replace(".", "d")
    return f"{market}{'_USDC' if linear else ''}-{day}-{number}-{'C' if is_call else 'P'}"


def contracts(names: pd.Series) -> pd.DataFrame:
    """Contract terms of every row: columns kind, market, expiry_ms, strike, is_call, linear.

    Names repeat thousands of times on a tape, so each distinct one is parsed once.
    """
    codes, distinct = pd.factorize(names.astype(str), use_na_sentinel=False)
    found = [parse(name) for name in distinct]
    columns = {
        "kind": np.array([i.kind for i in found], dtype=object),
        "market": np.array([i.market for i in found], dtype=object),
        "expiry_ms": np.array([i.expiry_ms for i in found], dtype=np.int64),
        "strike": np.array([i.strike for i in found], dtype=np.float64),
        "is_call": np.array([i.is_call for i in found], dtype=bool),
        "linear": np.array([i.linear for i in found], dtype=bool),
    }
    return pd.DataFrame({name: values[codes] for name, values in columns.items()}, index=names.index)


def _option(base: str, expiry_ms: int, strike: str, side: str, linear: bool) -> Instrument:
    return Instrument("option", base, expiry_ms, float(strike.replace("d", ".")), side == "C", linear)


def _expiry(year: int, month: int, day: int) -> int | None:
    try:
        return int(datetime(2000 + year, month, day, EXPIRY_HOUR, tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None
