"""What a replay found: errors by method, what each desk gained, arbitrage looked for, and noise that nobody can
beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from fedvol.lab.replay.snapshots import Snapshot
from fedvol.lab.replay.walkers import Surface
from fedvol.learning.evaluate import report
from fedvol.learning.rows import POINTS, Rows
from fedvol.protocol.black76 import YEAR

Floats = NDArray[np.float64]


@dataclass
class Record:
    """What one method said of the held rows of every snapshot. `next_index`: with index and vol index known."""

    same: list[Floats] = field(default_factory=list)
    next: list[Floats] = field(default_factory=list)
    next_index: list[Floats] = field(default_factory=list)
    seconds: float = 0.0
    violations: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


def judge(record: Record, held: Sequence[Rows], markets: Sequence[str], burn: int) -> dict[str, Any]:
    """One method's entry: RMSE in vol points, and by group. The first `burn` snapshots only warm up.

    Returns:
        `same`, `next`, `next_index`, `n`, groups of each under `by`, `error_by_snapshot`, `seconds`, `violations`; None
        where a method says nothing.
    """
    entry: dict[str, Any] = {"n": sum(len(rows) for rows in held[burn:])}
    by: dict[str, Any] = {}
    for name, said, rows in (
        ("same", record.same[burn:], held[burn:]),
        ("next", record.next[max(burn - 1, 0) :], held[max(burn, 1) :]),
        ("next_index", record.next_index[max(burn - 1, 0) :], held[max(burn, 1) :]),
    ):
        if not said:
            entry[name] = None
            continue
        found = report(np.concatenate(said), Rows.joined(rows), markets)
        entry[name] = found["rmse"]
        by[name] = {key: found[key] for key in ("by_market", "by_maturity", "put_wing", "put_wing_bias")}
    entry["by"] = by
    if record.same:
        entry["error_by_snapshot"] = [rmse(vols, rows) for vols, rows in zip(record.same, held, strict=True)]
    return entry | {"seconds": round(record.seconds, 2), "violations": record.violations} | record.extra


def gains(
    joint: Sequence[Floats],
    own: Sequence[Sequence[Floats]],
    head: Sequence[Sequence[Floats]],
    snapshots: Sequence[Snapshot],
    names: Sequence[str],
    burn: int,
) -> list[dict[str, Any]]:
    """For every desk: RMSE of the joint model, of its own, and of the joint one with a private head (one more local
    training on its own rows, never sent), on its own flow and on the whole market."""
    rows = []
    for node, name in enumerate(names):
        entry: dict[str, Any] = {"desk": name, "rows": int(sum(len(s.desks[node]) for s in snapshots[burn:]))}
        for what, said in (("joint", joint), ("alone", own[node]), ("joint_and_head", head[node])):
            mine, all_ = [], []
            for vols, s in zip(said[burn:], snapshots[burn:], strict=True):
                squares = (POINTS * (vols - s.held.iv)) ** 2
                mine.append(squares[s.held_desk == node])
                all_.append(squares)
            entry[what] = {"own_flow": _root(np.concatenate(mine)), "market": _root(np.concatenate(all_))}
        rows.append(entry)
    return rows


def arbitrage(surface: Surface) -> int:
    """Places on a grid of tenors, between and beyond pillars, and strikes where the mixture's call prices fall with
    time or are not convex in strike; prices in units of the forward, a fall below 1e-9 is rounding."""
    model = surface.model
    tenors = np.geomspace(1 / 365 / 4, 2.0, 40)
    strikes = np.linspace(0.3, 2.5, 89)
    found = 0
    for market in range(len(model.spec.markets)):
        k, T = np.broadcast_arrays(np.log(strikes), tenors[:, None])
        expiry = surface.as_of + np.rint(T * YEAR).astype(np.int64)
        weights = model.spec.to_float(surface.weights)
        vols = model.implied_vol(weights, surface.as_of, market, k, expiry)
        s = vols * np.sqrt((expiry - surface.as_of) / YEAR)
        d = -k / s + s / 2
        calls = ndtr(d) - strikes * ndtr(d - s)
        found += int(np.count_nonzero(np.diff(calls, axis=0) < -1e-9))
        found += int(np.count_nonzero(np.diff(calls, 2, axis=1) < -1e-9))
        found += int(np.count_nonzero(~np.isfinite(vols) | (vols <= 0)))
    return found


def noise(snapshots: Sequence[Snapshot]) -> float | None:
    """Vol points, root mean square, by which rows of one option in one snapshot differ from its mean: what bid, ask and
    hours alone make, and no surface can beat. None where no option is seen twice."""
    squares, freedom = np.sum([s.twins for s in snapshots], axis=0)
    return POINTS * float(np.sqrt(squares / freedom)) if freedom else None


def rmse(vols: Floats, rows: Rows) -> float | None:
    return _root((POINTS * (vols - rows.iv)) ** 2)


def _root(squares: Floats) -> float | None:
    return float(np.sqrt(squares.mean())) if squares.size else None
