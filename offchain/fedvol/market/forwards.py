"""A forward for every row: the record's own, else what the tape itself says, else the index."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.market.black76 import implied_forward
from fedvol.market.schema import MS_PER_YEAR

_PAIR_WITHIN_MS = 5 * 60_000
_NEAR_WITHIN_MS = 15 * 60_000

FROM_NEIGHBOURS = "from parity or the nearest row of its expiry"
"""In the note of a tape where one row's forward hangs on others."""


def fill(frame: pd.DataFrame, notes: list[str]) -> NDArray[np.float64]:
    """Forwards in USD for half-way records that are options with good terms; NaN where nothing tells one.

    In this order, each counted in `notes`: the record's own; the one that explains a trade's price and its
    printed vol together; the nearest in time of the same expiry, within 15 minutes, put-call parity of
    trades at most five minutes apart included; the index. Another expiry's forward is never taken: on real
    trades that cost up to 14 vol points.
    """
    ts = frame["ts_ms"].to_numpy(np.float64)
    index = frame["index"].to_numpy(np.float64)
    forward = frame["forward"].to_numpy(np.float64).copy()
    forward[~(np.isfinite(forward) & (forward > 0))] = np.nan

    def take(found: NDArray[np.float64], what: str) -> None:
        new = np.isnan(forward) & np.isfinite(found) & (found > 0)
        forward[new] = found[new]
        if new.any():
            notes.append(f"forward {what}: {new.sum()} rows")

    if np.isnan(forward).any():
        take(_from_price_and_vol(frame, np.isnan(forward)), "implied by the trade's own price and vol")
    if np.isnan(forward).any():
        known = np.isfinite(forward)
        points = pd.DataFrame({"ts": ts, "market": frame["market"], "expiry_ms": frame["expiry_ms"], "point": forward})[
            known
        ]
        points = pd.concat([points, _parity(frame)], ignore_index=True).sort_values("ts", kind="stable")
        take(_nearest(frame, points), FROM_NEIGHBOURS)
        take(index, "taken from index")
    return forward


def _from_price_and_vol(frame: pd.DataFrame, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    some = frame[wanted]
    years = (some["expiry_ms"].to_numpy(np.float64) - some["ts_ms"].to_numpy(np.float64)) / MS_PER_YEAR
    at = some["index"].to_numpy(np.float64)
    found = implied_forward(
        some["price"].to_numpy(np.float64),
        some["iv"].to_numpy(np.float64),
        some["strike"].to_numpy(np.float64),
        years,
        some["is_call"].to_numpy(bool),
        some["linear"].to_numpy(bool),
        at,
    )
    with np.errstate(invalid="ignore"):
        # A basis beyond this says that price and vol do not belong together.
        found[np.abs(np.log(found / at)) > 0.02 + 0.6 * years] = np.nan
    out = np.full(len(frame), np.nan)
    out[wanted] = found
    return out


def _parity(frame: pd.DataFrame) -> pd.DataFrame:
    """Forwards from call and put of one strike close in time: F = K + C - P, or K/(1 - c + p) in coin."""
    columns = ["ts_ms", "market", "expiry_ms", "strike", "linear", "price"]
    priced = frame.loc[np.isfinite(frame["price"].to_numpy()), [*columns, "is_call"]].sort_values("ts_ms")
    is_call = priced.pop("is_call").to_numpy(bool)
    pairs = pd.merge_asof(
        priced[is_call],
        priced[~is_call].rename(columns={"price": "put"}),
        on="ts_ms",
        by=["market", "expiry_ms", "strike", "linear"],
        direction="nearest",
        tolerance=float(_PAIR_WITHIN_MS),
    ).dropna(subset="put")
    gap, strike = (pairs["price"] - pairs["put"]).to_numpy(), pairs["strike"].to_numpy()
    with np.errstate(all="ignore"):
        point = np.where(pairs["linear"].to_numpy(bool), strike + gap, strike / (1.0 - gap))
    sane = (point > strike / 3) & (point < strike * 3)
    out = pairs[["ts_ms", "market", "expiry_ms"]].rename(columns={"ts_ms": "ts"}).assign(point=point)
    return out[sane]


def _nearest(frame: pd.DataFrame, points: pd.DataFrame) -> NDArray[np.float64]:
    rows = frame[["ts_ms", "market", "expiry_ms"]].rename(columns={"ts_ms": "ts"})
    order = np.argsort(rows["ts"].to_numpy(), kind="stable")
    found = pd.merge_asof(
        rows.iloc[order],
        points,
        on="ts",
        by=["market", "expiry_ms"],
        direction="nearest",
        tolerance=float(_NEAR_WITHIN_MS),
    )
    out = np.empty(len(frame))
    out[order] = found["point"].to_numpy(np.float64)
    return out
