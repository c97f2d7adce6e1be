"""From a tidy tape to the numbers a surface is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from fedvol.errors import TapeError

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("ts_ms", "market", "expiry_ms", "strike", "is_call", "forward", "iv")

POINTS = 100.0
"""Vol points in a vol of 1.0."""

FULL_VEGA = 0.5
"""Rows with at least this share of the at-the-money vega weigh the same."""

LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Rows:
    """n observations of implied vol, in an order that depends on the set of rows alone.

    Args:
        market: index into the spec's markets, int64.
        k: ln(strike / forward).
        T: years of 365 days to expiry when it was observed, positive.
        expiry: unix seconds.
        iv: fraction, 0.45 = 45%.
        weight: influence in training, in (0, 1].
        dropped: reason → number of tape rows that are not here.
    """

    market: NDArray[np.int64]
    k: NDArray[np.float64]
    T: NDArray[np.float64]
    expiry: NDArray[np.int64]
    iv: NDArray[np.float64]
    weight: NDArray[np.float64]
    dropped: dict[str, int] = field(default_factory=dict)

    COLUMNS: ClassVar = ("market", "k", "T", "expiry", "iv", "weight")

    def __len__(self) -> int:
        return self.k.size

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """The rows of all parts, one part after the other."""
        return cls(*(np.concatenate([getattr(rows, name) for rows in parts]) for name in cls.COLUMNS))

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        """The rows that a mask or an index names, in that order."""
        return Rows(*(getattr(self, name)[which] for name in self.COLUMNS))

    def after(self, as_of: int) -> Rows:
        """The rows of options that live on at a time (unix seconds)."""
        return self if np.all(self.expiry > as_of) else self.select(self.expiry > as_of)


def rows_from_tape(frame: pd.DataFrame, markets: Sequence[str]) -> Rows:
    """Rows of a tidy tape (`fedvol.market.schema`) that belong to these markets: see `rows_and_places`."""
    return rows_and_places(frame, markets)[0]


def rows_and_places(frame: pd.DataFrame, markets: Sequence[str]) -> tuple[Rows, NDArray[np.int64]]:
    """Rows of a tidy tape that belong to these markets, and the place of each in the tape.

    A row weighs as much as its vega, over √T and the forward: evenly in the body of the smile, fading in the
    wings, where a tick of price is many points of vol.

    Raises:
        TapeError: the tape lacks a column.
    """
    import pandas as pd  # not for those who only hand rows on

    from fedvol.market.schema import MAX_VOL, features

    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise TapeError(f"The tape lacks the columns {', '.join(missing)}.", "Load it with fedvol.market.")
    with np.errstate(divide="ignore", invalid="ignore"):
        k, T = features(frame)
    market = pd.Index(markets).get_indexer(frame["market"].astype(str)).astype(np.int64)
    expiry = frame["expiry_ms"].to_numpy(np.int64) // 1000
    is_call, iv = frame["is_call"].to_numpy(bool), frame["iv"].to_numpy(np.float64)

    keep, dropped = np.ones(len(frame), dtype=bool), {}
    for reason, bad in (
        ("another market", market < 0),
        ("expired", ~(T > 0)),
        ("no usable strike or forward", ~np.isfinite(k)),
        (f"vol not between 0 and {MAX_VOL:.0%}", ~((iv > 0) & (iv < MAX_VOL))),
    ):
        count = int(np.count_nonzero(keep & bad))
        if count:
            dropped[reason] = count
        keep &= ~bad

    kept = np.flatnonzero(keep)
    order = kept[np.lexsort([column[kept] for column in (iv, is_call, k, T, market)])]
    market, k, T, expiry, iv = (column[order] for column in (market, k, T, expiry, iv))
    deviation = iv * np.sqrt(T)
    d1 = deviation / 2 - k / deviation
    weight = np.clip(np.exp(-d1 * d1 / 2) / FULL_VEGA, LEAST_WEIGHT, 1.0)
    return Rows(market, k, T, expiry, iv, weight, dropped), order
