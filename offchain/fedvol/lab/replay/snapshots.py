"""A tape cut into snapshots: who saw what, which half trains, and what a public vol index said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.errors import TapeError
from fedvol.learning.rows import Rows, rows_and_places, rows_from_tape
from fedvol.market.holdout import row_hash, split_holdout

GAP_MS = 10 * 60_000
LONGEST_MS = 30 * 60_000
"""A snapshot of quotes lasts no longer; what does is a stream of trades, cut by the clock."""

INDEX_DAYS = 30.0


@dataclass(frozen=True)
class Snapshot:
    """Args:
    as_of: unix seconds of its last row.
    desks: each desk's own training rows.
    pooled, held: all desks' training rows, and the rows that nobody trains on.
    held_desk: the desk of each held row.
    held_quotes: (n, 2) vols of bid and ask of each held row; nan where the tape has none.
    index: for each market the median forward of the nearest expiry.
    vol_index: for each market the 30-day at-the-money vol of the *training* rows; nan where they tell none.
    twins: of options seen more than once, the sum of squared differences of their vols from each option's mean, and its
        degrees of freedom.
    """

    as_of: int
    desks: tuple[Rows, ...]
    pooled: Rows
    held: Rows
    held_desk: NDArray[np.int64]
    held_quotes: NDArray[np.float64]
    index: NDArray[np.float64]
    vol_index: NDArray[np.float64]
    twins: tuple[float, int]


def snapshots(
    frame: pd.DataFrame, markets: Sequence[str], desks: Sequence[str], nodes: int, hours: float
) -> list[Snapshot]:
    """Tidy rows with a `desk` column, in snapshots in the order of time; snapshots in which nothing trains or nothing
    is held are left out.

    Args:
        nodes: at least as many as desks; a desk's rows are dealt among its nodes by a hash of the row.
        hours: how long a snapshot of trades lasts.

    Raises:
        TapeError: fewer nodes than desks, or no snapshot.
    """
    if nodes < len(desks):
        raise TapeError(f"{nodes} nodes cannot hold {len(desks)} desks.", f"Use --nodes {len(desks)} or more.")
    owner = pd.Index(desks).get_indexer(frame["desk"].astype(str))
    shares = np.array([len(range(desk, nodes, len(desks))) for desk in range(len(desks))])
    deal = (row_hash(frame) % shares[owner].astype(np.uint64)).astype(np.int64)
    frame = frame.assign(node=owner + len(desks) * deal, group=_groups(frame["ts_ms"].to_numpy(np.int64), hours))
    found = [_snapshot(part, markets, nodes) for _, part in frame.groupby("group", sort=True)]
    kept = [one for one in found if len(one.pooled) and len(one.held)]
    if not kept:
        raise TapeError("The tape holds no snapshot with rows to train on and to judge by.", "Give a longer one.")
    return kept


def _groups(ts: NDArray[np.int64], hours: float) -> NDArray[np.int64]:
    by_gap = np.concatenate([[0], np.cumsum(np.diff(ts) > GAP_MS)])
    first, last = np.full(by_gap[-1] + 1, ts[-1]), np.zeros(by_gap[-1] + 1, dtype=np.int64)
    np.minimum.at(first, by_gap, ts)
    np.maximum.at(last, by_gap, ts)
    if np.max(last - first) <= LONGEST_MS and len(ts) > 20 * len(first):
        return by_gap
    return ts // int(hours * 3_600_000)


def _snapshot(part: pd.DataFrame, markets: Sequence[str], nodes: int) -> Snapshot:
    as_of = int(part["ts_ms"].max()) // 1000
    # What expires before the snapshot ends has no vol as of its end.
    part = part[part["expiry_ms"] > 1000 * (as_of + 1)]
    train, held = split_holdout(part)
    pooled = rows_from_tape(train, markets)
    parts = [held[held["node"] == node] for node in range(nodes)]
    by_owner, places = zip(*(rows_and_places(part, markets) for part in parts), strict=True)
    quotes = [part[["bid_iv", "ask_iv"]].to_numpy(np.float64)[at] for part, at in zip(parts, places, strict=True)]
    return Snapshot(
        as_of=as_of,
        desks=tuple(rows_from_tape(train[train["node"] == node], markets) for node in range(nodes)),
        pooled=pooled,
        held=Rows.joined(by_owner),
        held_desk=np.repeat(np.arange(nodes), [len(rows) for rows in by_owner]),
        held_quotes=np.concatenate(quotes),
        index=_index(part, markets),
        vol_index=np.array([_vol_index(pooled.select(pooled.market == m)) for m in range(len(markets))]),
        twins=_twins(part),
    )


def _index(part: pd.DataFrame, markets: Sequence[str]) -> NDArray[np.float64]:
    out = np.full(len(markets), np.nan)
    for place, market in enumerate(markets):
        rows = part[part["market"].astype(str) == market]
        if len(rows):
            out[place] = rows.loc[rows["expiry_ms"] == rows["expiry_ms"].min(), "forward"].median()
    return out


def _twins(part: pd.DataFrame) -> tuple[float, int]:
    options = part.groupby(["market", "expiry_ms", "strike", "is_call"], observed=True)["iv"]
    counts = options.count()
    return float((options.var(ddof=0) * counts).sum()), int((counts - 1).sum())


def _vol_index(rows: Rows) -> float:
    """The line iv = a + b ln(T / 30 days) through rows near the money between 4 and 100 days, at 30 days."""
    d = np.abs(rows.k) / (rows.iv * np.sqrt(rows.T))
    near = (d < 0.7) & (rows.T > 4 / 365) & (rows.T < 100 / 365)
    if np.count_nonzero(near) < 3:
        return float("nan")
    line = np.stack([np.ones(int(near.sum())), np.log(rows.T[near] * 365 / INDEX_DAYS)], axis=1)
    return float(np.linalg.lstsq(line, rows.iv[near], rcond=None)[0][0])
