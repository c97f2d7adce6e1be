"""Which rows train and which judge: the same choice on every machine, from the row alone."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MS_PER_HOUR = 3_600_000


def split_holdout(frame: pd.DataFrame, share: float = 0.5) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Splits tidy rows into (train, held_out) by a hash of what was observed: moment, market, expiry,
    strike, type.

    Two desks that hold the same observation put it on the same side, whatever else their tapes hold.

    Args:
        share: expected part of the rows that is held out, in [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must be in [0, 1], not {share}")
    # 53 bits: a float64 holds every such count exactly, so `share` means the same everywhere.
    held = (row_hash(frame) >> np.uint64(11)).astype(np.float64) < share * 2.0**53
    return frame[~held], frame[held]


def row_hash(frame: pd.DataFrame) -> NDArray[np.uint64]:
    """64 bits a row from (ts_ms, market, expiry_ms, strike in 1e-4, is_call), mixed by SplitMix64
    (Steele, Lea & Flood 2014). The market enters by the first 8 bytes of its BLAKE2b digest."""
    codes, markets = pd.factorize(frame["market"])
    digests = [int.from_bytes(blake2b(str(m).encode(), digest_size=8).digest(), "big") for m in markets]
    parts = (
        frame["ts_ms"].to_numpy(np.int64).astype(np.uint64),
        np.array(digests, dtype=np.uint64)[codes],
        frame["expiry_ms"].to_numpy(np.int64).astype(np.uint64),
        np.rint(frame["strike"].to_numpy(np.float64) * 1e4).astype(np.int64).astype(np.uint64),
        frame["is_call"].to_numpy(bool).astype(np.uint64),
    )
    state = np.zeros(len(frame), dtype=np.uint64)
    for part in parts:
        state = _mix(state ^ part)
    return state


def window(frame: pd.DataFrame, hours: float, end_ms: float | None = None) -> pd.DataFrame:
    """The rows of the last `hours` before `end_ms`, by default before the newest row, that one included."""
    if frame.empty:
        return frame
    ts = frame["ts_ms"].to_numpy(np.int64)
    return frame[ts > (ts.max() if end_ms is None else end_ms) - hours * MS_PER_HOUR]


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
