"""What a tape covers: counts and ranges by market, maturity band and, if asked, desk."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from fedvol.market.schema import features
from fedvol.market.tape import Tape

BANDS = ("0-7 d", "7-35 d", "35-90 d", "over 90 d")
_EDGES_DAYS = (7.0, 35.0, 90.0)


def summarize(tape: Tape, by_desk: bool = False) -> dict[str, Any]:
    """A description fit for JSON.

    Returns:
        format, read, rows, dropped (reason -> count), notes, first and last (ISO, UTC), and `groups`: for
        each market, maturity band (and desk) its rows, expiries, strikes, quotes with both sides, the range
        of vols (fractions) and of log-moneyness.
    """
    rows = tape.rows
    k, years = features(rows)
    band = pd.Categorical.from_codes(np.searchsorted(_EDGES_DAYS, years * 365), BANDS, ordered=True)
    view = rows.assign(k=k, band=band, two_sided=rows["bid_iv"].notna() & rows["ask_iv"].notna())
    keys = (["desk"] if by_desk else []) + ["market", "band"]
    groups = view.groupby(keys, observed=True, sort=True).agg(
        rows=("iv", "size"),
        expiries=("expiry_ms", "nunique"),
        strikes=("strike", "nunique"),
        two_sided=("two_sided", "sum"),
        vol_min=("iv", "min"),
        vol_median=("iv", "median"),
        vol_max=("iv", "max"),
        k_min=("k", "min"),
        k_max=("k", "max"),
    )
    return {
        "format": tape.format,
        "read": tape.read,
        "rows": len(rows),
        "dropped": tape.dropped,
        "notes": tape.notes,
        "first": _iso(rows["ts_ms"].iloc[0]),
        "last": _iso(rows["ts_ms"].iloc[-1]),
        "groups": groups.reset_index().astype({"band": str}).to_dict("records"),
    }


def _iso(ts_ms: int) -> str:
    return datetime.fromtimestamp(int(ts_ms) / 1000, UTC).isoformat(timespec="milliseconds")
