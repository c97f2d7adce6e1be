"""Who gains from a federation, and what each is worth to it, on a tape that has been. Nobody is paid by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedvol.errors import ConfigError, TapeError
from fedvol.lab.federation import PLAN_RULE, Nodes
from fedvol.lab.replay import report
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.terms import BURN, ROUNDS
from fedvol.lab.replay.walkers import Surface, alone
from fedvol.lab.replay.weather import stress
from fedvol.lab.worth.score import MOST_COALITIONS, Absent, Score, Scorer
from fedvol.lab.worth.values import is_exact
from fedvol.learning.model import Model, build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.tape import load_tape
from fedvol.protocol.rule import Rule

Floats = NDArray[np.float64]
Told = Callable[[float], None]

RULES: dict[str, Rule] = {
    "weighted": PLAN_RULE,
    "capped": replace(PLAN_RULE, weight_cap=1 << 11),
    "plain": replace(PLAN_RULE, weighted=False),
}
"""Means: weighted as in the founders' plans; with weights of half a row at most; and one node, one vote."""


@dataclass(frozen=True)
class Plan:
    """Args:
    tape: a file or folder of quotes or trades. by: its column that names desks.
    nodes: by default as many as desks; above that a desk's rows are dealt among several.
    groups: scores are also made from sums of so many groups. rule: one of `RULES`. absent: see `Scorer`.
    since_ms, until_ms: only rows of this time, unix milliseconds.
    hours: length of a snapshot of trades. most: the newest snapshots of the tape, all by default.
    coalitions: looked at in a round at most; above that they are drawn.
    """

    tape: Path
    by: str
    nodes: int | None = None
    groups: int | None = None
    rule: str = "weighted"
    absent: Absent = "still"
    rounds: int = ROUNDS
    hours: float = 6.0
    most: int | None = None
    coalitions: int = MOST_COALITIONS
    seed: int = 0
    since_ms: int | None = None
    until_ms: int | None = None


def worth(plan: Plan, told: Told) -> dict[str, Any]:
    """The whole report as JSON takes it.

    Args:
        told: called with how much is done, 0 to 1.

    Raises:
        TapeError: the tape cannot be read, has one desk only, or too few snapshots.
        ConfigError: groups that these nodes cannot fill.
    """
    started = time.monotonic()
    tape = load_tape(plan.tape, plan.by)
    since, until = plan.since_ms or 0, plan.until_ms or np.iinfo(np.int64).max
    rows = tape.rows[(tape.rows["ts_ms"] >= since) & (tape.rows["ts_ms"] < until)]
    markets, names = (sorted(rows[column].astype(str).unique()) for column in ("market", "desk"))
    if len(names) < 2:
        raise TapeError(
            f"{plan.tape} has rows of {len(names)} desks.", "Name another column with --by, or a longer time."
        )
    count = plan.nodes or len(names)
    if plan.groups is not None and not 2 <= plan.groups <= count:
        raise ConfigError(f"{count} nodes do not fill {plan.groups} groups.", f"Use --groups 2 to {count}.")
    found = snapshots(rows, markets, names, count, plan.hours)[-plan.most if plan.most else 0 :]
    if len(found) < BURN + 3:
        raise TapeError(f"{plan.tape} has {len(found)} snapshots.", f"At least {BURN + 3} are needed.")
    model = build(mixture_spec(tuple(markets)))
    scorer = Scorer(Nodes(model, count, RULES[plan.rule]), plan.groups, plan.absent, plan.coalitions, plan.seed)
    walked = walk(model, scorer, found, plan.rounds, told)
    who = [names[node % len(names)] + (f"/{node // len(names)}" if count > len(names) else "") for node in range(count)]
    stormy, bar = stress(found, BURN)
    weather = {"all": None, "calm": ~stormy, "stress": stormy}
    return {
        "tape": plan.tape.name,
        "markets": markets,
        "desks": who,
        "rule": plan.rule,
        "absent": plan.absent,
        "snapshots": len(found),
        "first": found[0].as_of,
        "last": found[-1].as_of,
        "rows": len(rows),
        "dropped": tape.dropped,
        "stress": {"least_move": bar, "snapshots": int(stormy.sum())},
        "gains": {name: report.gains(*walked, found, who, BURN, which) for name, which in weather.items()},
        "scores": scores(scorer.by_node, who, stormy[BURN:-1], is_exact(count, plan.coalitions)),
        "group_scores": scores(scorer.by_group, who, stormy[BURN:-1], is_exact(plan.groups, plan.coalitions))
        | {"groups": plan.groups}
        if plan.groups
        else None,
        "seconds": round(time.monotonic() - started, 1),
    }


def walk(
    model: Model, scorer: Scorer, found: Sequence[Snapshot], rounds: int, told: Told
) -> tuple[list[Floats], list[list[Floats]], list[list[Floats]]]:
    """What the joint model said of each snapshot's held rows, each node's own, and the joint one with each node's head.
    Rounds after the first few snapshots are scored on the way."""
    joint, nodes = Surface(model, scorer.advance, rounds), range(scorer.nodes.count)
    own = [alone(model, lambda s, node=node: s.desks[node], rounds) for node in nodes]
    said: list[Floats] = []
    alones: list[list[Floats]] = [[] for _ in nodes]
    heads: list[list[Floats]] = [[] for _ in nodes]
    for number, s in enumerate(found):
        scorer.judge(s)
        scorer.counting = number >= BURN
        joint.learn(s)
        said.append(joint.vols(s.held))
        for node, surface in enumerate(own):
            surface.learn(s)
            alones[node].append(surface.vols(s.held))
            heads[node].append(joint.headed_vols(s.held, s.desks[node]))
        told((number + 1) / len(found))
    return said, alones, heads


def scores(found: Sequence[Score], names: Sequence[str], stormy: NDArray[np.bool_], exact: bool) -> dict[str, Any]:
    """Means over snapshots of what rounds were worth, vol points² of the next snapshot's mean squared error.

    Args:
        stormy: which of the scored snapshots were stress.

    Returns:
        `whole` and for each of `desks` `left_out` and `banzhaf`: each `mean`, `calm`, `stress` (None without such a
        snapshot) and `error`, the standard error of the mean over snapshots, as if they were independent; `sampling`,
        the part of it that drawn coalitions make.
    """
    sampled = np.sqrt(np.sum([one.variance for one in found], axis=0)) / len(found)
    left_out, values = np.array([one.left_out for one in found]), np.array([one.banzhaf for one in found])
    return {
        "snapshots": len(found),
        "exact": exact,
        "whole": _summary(np.array([one.whole for one in found]), stormy),
        "desks": [
            {
                "desk": name,
                "left_out": _summary(left_out[:, node], stormy),
                "banzhaf": _summary(values[:, node], stormy) | {"sampling": float(sampled[node])},
            }
            for node, name in enumerate(names)
        ],
    }


def _summary(each: Floats, stormy: NDArray[np.bool_]) -> dict[str, float | None]:
    parts = {"mean": each, "calm": each[~stormy], "stress": each[stormy]}
    means = {name: float(part.mean()) if part.size else None for name, part in parts.items()}
    return means | {"error": float(each.std(ddof=1) / np.sqrt(each.size)) if each.size > 1 else None}
