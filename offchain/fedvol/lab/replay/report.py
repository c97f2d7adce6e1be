"""What a replay found: errors by method, what each desk gained, arbitrage looked for, and noise that nobody can
beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedvol.lab.replay.snapshots import Snapshot
from fedvol.lab.replay.walkers import Surface
from fedvol.learning.arbitrage import violations
from fedvol.learning.evaluate import report
from fedvol.learning.rows import POINTS, Rows

Floats = NDArray[np.float64]


@dataclass
class Record:
    """What one method said of the held rows of every snapshot. `next_index`: with index and vol index known. `heads`:
    what each desk would have said with a head of its own on the joint model."""

    same: list[Floats] = field(default_factory=list)
    next: list[Floats] = field(default_factory=list)
    next_index: list[Floats] = field(default_factory=list)
    seconds: float = 0.0
    violations: int = 0
    heads: list[list[Floats]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


def judge(record: Record, snapshots: Sequence[Snapshot], markets: Sequence[str], burn: int) -> dict[str, Any]:
    """One method's entry: RMSE in vol points, and by group. The first `burn` snapshots only warm up.

    Returns:
        `same`, `next`, `next_index`, `n`, groups of each under `by`, `outside` bid and ask, `error_by_snapshot`,
        `seconds`, `violations`; None where a method says nothing.
    """
    held = [s.held for s in snapshots]
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
        entry["outside"] = outside(record.same[burn:], snapshots[burn:])
        entry["error_by_snapshot"] = [rmse(vols, rows) for vols, rows in zip(record.same, held, strict=True)]
    return entry | {"seconds": round(record.seconds, 2), "violations": record.violations} | record.extra


def outside(said: Sequence[Floats], snapshots: Sequence[Snapshot]) -> float | None:
    """Share of the held rows with both quotes whose vol lies outside bid and ask; None where no row has both."""
    vols, quotes = np.concatenate(said), np.concatenate([s.held_quotes for s in snapshots])
    both = (quotes[:, 0] > 0) & (quotes[:, 1] >= quotes[:, 0])
    if not both.any():
        return None
    vols, quotes = vols[both], quotes[both]
    return float(np.mean((vols < quotes[:, 0]) | (vols > quotes[:, 1])))


def gains(
    joint: Sequence[Floats],
    own: Sequence[Sequence[Floats]],
    head: Sequence[Sequence[Floats]],
    snapshots: Sequence[Snapshot],
    names: Sequence[str],
    burn: int,
    which: NDArray[np.bool_] | None = None,
) -> list[dict[str, Any]]:
    """For every desk: RMSE of the joint model, of its own, and of the joint one with a private head (one more local
    training on its own rows, never sent), on its own flow and on the whole market.

    Args:
        which: of the snapshots after the first `burn` count only these; nothing comes back where none is left.
    """
    counted = [i for i in range(burn, len(snapshots)) if which is None or which[i]]
    if not counted:
        return []
    rows = []
    for node, name in enumerate(names):
        entry: dict[str, Any] = {"desk": name, "rows": sum(len(snapshots[i].desks[node]) for i in counted)}
        for what, said in (("joint", joint), ("alone", own[node]), ("joint_and_head", head[node])):
            mine, all_ = [], []
            for i in counted:
                s = snapshots[i]
                squares = (POINTS * (said[i] - s.held.iv)) ** 2
                mine.append(squares[s.held_desk == node])
                all_.append(squares)
            entry[what] = {"own_flow": _root(np.concatenate(mine)), "market": _root(np.concatenate(all_))}
        rows.append(entry)
    return rows


def arbitrage(surface: Surface) -> int:
    """How many places a surface is not free of arbitrage at, of all that `violations` looks at."""
    return sum(violations(surface.model, surface.model.spec.to_float(surface.weights), surface.as_of).values())


def noise(snapshots: Sequence[Snapshot]) -> float | None:
    """Vol points, root mean square, by which rows of one option in one snapshot differ from its mean: what bid, ask and
    hours alone make, and no surface can beat. None where no option is seen twice."""
    squares, freedom = np.sum([s.twins for s in snapshots], axis=0)
    return POINTS * float(np.sqrt(squares / freedom)) if freedom else None


def rmse(vols: Floats, rows: Rows) -> float | None:
    return _root((POINTS * (vols - rows.iv)) ** 2)


def _root(squares: Floats) -> float | None:
    return float(np.sqrt(squares.mean())) if squares.size else None
