"""The tidy tape: one row per observed vol, whatever venue or tool it came from."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MS_PER_DAY = 86_400_000
MS_PER_YEAR = 365 * MS_PER_DAY

TIDY = {
    "ts_ms": "int64",
    "market": "object",
    "expiry_ms": "int64",
    "strike": "float64",
    "is_call": "bool",
    "forward": "float64",
    "iv": "float64",
    "amount": "float64",
    "kind": "object",
    "bid_iv": "float64",
    "ask_iv": "float64",
    "trade_id": "object",
}
"""Columns and their types. ts_ms, expiry_ms: milliseconds since the epoch, UTC. strike, forward: USD.
iv, bid_iv, ask_iv: fractions (0.45 = 45%), NaN = none (never for iv). amount: base coin, 0 = not stated.
kind: "trade" or "quote". trade_id: the venue's, "" = none. A `desk` column may follow."""

MAX_VOL = 3.0
"""Vols from here on are venue artefacts (999% and the like), not observations."""

_FIRST_MS = 1_262_304_000_000  # 2010
_LAST_MS = 4_102_444_800_000  # 2100


def features(frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a surface sees of a tidy frame: log-moneyness k = ln(strike/forward) and maturity T.

    Returns:
        k, T: float64, shape (rows,); T in years of 365 days.
    """
    k = np.log(frame["strike"].to_numpy(np.float64) / frame["forward"].to_numpy(np.float64))
    years = (frame["expiry_ms"].to_numpy(np.int64) - frame["ts_ms"].to_numpy(np.int64)) / MS_PER_YEAR
    return k, years


class Sieve:
    """Rejects rows of one frame and counts why; each row is counted once, under its first reason."""

    def __init__(self, rows: int) -> None:
        self.alive = np.ones(rows, dtype=bool)
        self.dropped: dict[str, int] = {}

    def reject(self, wrong: NDArray[np.bool_] | pd.Series, reason: str) -> None:
        """Drops the rows still alive where `wrong` is true; `wrong` has one flag a row of the whole frame."""
        hit = self.alive & np.asarray(wrong, dtype=bool)
        if hit.any():
            self.dropped[reason] = self.dropped.get(reason, 0) + int(hit.sum())
            self.alive &= ~hit


def sieve_contract(sieve: Sieve, frame: pd.DataFrame) -> None:
    """Rejects what is no option, or says no usable time, expiry or strike."""
    kind = frame["instrument_kind"].to_numpy(object)
    sieve.reject(kind == "unknown", "bad instrument name")
    sieve.reject(kind == "combo", "combo")
    sieve.reject(kind != "option", "not an option")
    ts = frame["ts_ms"].to_numpy(np.float64)
    expiry = frame["expiry_ms"].to_numpy(np.float64)
    strike = frame["strike"].to_numpy(np.float64)
    sieve.reject(~((ts >= _FIRST_MS) & (ts < _LAST_MS)), "bad timestamp")
    sieve.reject(~((expiry >= _FIRST_MS) & (expiry < _LAST_MS)), "bad expiry")
    sieve.reject(~(np.isfinite(strike) & (strike > 0)), "bad strike")
    sieve.reject(ts >= expiry, "expired")


def sieve_duplicates(sieve: Sieve, frame: pd.DataFrame) -> None:
    """Rejects a trade whose (market, trade_id) was seen, and a quote said twice."""
    trade = frame["kind"].to_numpy(object) == "trade"
    named = trade & (frame["trade_id"].to_numpy(object) != "")
    for rows, keys, reason in (
        (named, ["market", "trade_id"], "duplicate trade_id"),
        (~trade, ["market", "ts_ms", "expiry_ms", "strike", "is_call", "iv"], "duplicate quote"),
    ):
        index = np.flatnonzero(rows & sieve.alive)
        again = np.zeros(len(frame), dtype=bool)
        again[index] = frame[keys].iloc[index].duplicated().to_numpy()
        sieve.reject(again, reason)


def sieve_vol(sieve: Sieve, iv: NDArray[np.float64]) -> None:
    """Rejects vols that are none: zero (venues print it for trades under intrinsic value) or absurd."""
    sieve.reject(iv <= 0, "vol is zero")
    sieve.reject(iv >= MAX_VOL, f"vol above {MAX_VOL:.0%}")
