"""What hostile nodes do to a surface: attacks × rules × modes × shares × seeds, on a real tape. Prints tables, writes
attacks.json, the table of docs/attacks.md and its picture.

    .venv/bin/python -m benchmarks.attacks --tape QUOTES --by participant_mix85 --first 2026-02-24 --last 2026-03-01

A federation warms up in peace; then some of its nodes turn. Each cell that is done is kept in build/attacks, and the
same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from statistics import mean
from typing import Any

for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: E402

from fedvol import console  # noqa: E402
from fedvol.lab.attacks import ATTACKS  # noqa: E402
from fedvol.lab.replay import report  # noqa: E402
from fedvol.lab.replay.snapshots import Snapshot, snapshots  # noqa: E402
from fedvol.lab.replay.terms import BURN, MASKED, PLAIN, PROVEN, RULES, Plan  # noqa: E402
from fedvol.lab.replay.walkers import Surface, federated  # noqa: E402
from fedvol.learning.evaluate import report as errors  # noqa: E402
from fedvol.learning.model import build  # noqa: E402
from fedvol.learning.rows import Rows  # noqa: E402
from fedvol.learning.ssvi_mixture import mixture_spec  # noqa: E402
from fedvol.market.tape import load_tape  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
OUT, KEPT, DOC = Path(__file__).with_suffix(".json"), ROOT / "build" / "attacks", ROOT / "docs" / "attacks.md"
PICTURE = ROOT / "docs" / "images" / "attacks.png"
MARKETS = ("BTC", "ETH")
NODES, CLUSTER, ROUNDS = 12, 3, 2
SHARES = (0.1, 0.2, 0.3, 0.4)
MODES = {PLAIN: "plain", MASKED: "masked", PROVEN: "masked, proven"}
BEYOND = ("scaled", "alie", "ipm", "min-max")
"""Attacks that ask for more than one node's bounds: the others are the same with proofs as without."""


@dataclass(frozen=True)
class Cell:
    attack: str | None
    rule: str
    mode: str
    share: float
    seed: int

    def plan(self) -> Plan:
        return Plan(
            Path(), "", NODES, CLUSTER, ROUNDS, rule=self.rule, attack=self.attack, hostile=self.share, engine="batched"
        )


def cells(seeds: int) -> list[Cell]:
    """The first seed of all of them, then the next."""
    return [
        Cell(attack, rule, mode, share, seed)
        for seed in range(seeds)
        for rule in RULES
        for mode in MODES
        for attack, share in [(None, 0.0), *((a, s) for a in ATTACKS for s in SHARES)]
        if mode != PROVEN or attack in BEYOND
    ]


_walked: list[Snapshot] = []
"""Set before the workers are forked."""


@cache
def _warm(rule: str, mode: str, seed: int) -> Surface:
    plan = Cell(None, rule, mode, 0.0, seed).plan()
    return _surface(plan, mode, seed, _walked[:BURN])


def _surface(plan: Plan, mode: str, seed: int, learns: list[Snapshot], after: Surface | None = None) -> Surface:
    model = build(mixture_spec(MARKETS))
    nodes = plan.federation(mode, model, len(_walked), seed, masks=False)
    surface = federated(model, nodes, plan.rounds, after)
    for one in learns:
        surface.learn(one)
    return surface


def run(cell: Cell) -> dict[str, float | None]:
    """RMSE, mean put-wing error and share outside the quotes, once the attack runs; versions refused."""
    rest = _walked[BURN:]
    fresh = cell.attack is not None and ATTACKS[cell.attack].from_the_start
    surface = _surface(
        cell.plan(), cell.mode, cell.seed, _walked[:BURN] if fresh else [],
        None if fresh else _warm(cell.rule, cell.mode, cell.seed),
    )  # fmt: skip
    said = []
    for one in rest:
        surface.learn(one)
        said.append(surface.vols(one.held))
    found = errors(np.concatenate(said), Rows.joined([one.held for one in rest]), surface.model.spec.markets)
    return {
        "rmse": round(found["rmse"], 3),
        "put_wing_bias": round(found["put_wing_bias"], 3),
        "outside": round(report.outside(said, rest), 4),
        "refused": surface.nodes.refused,
    }


def run_all(asked: list[Cell], kept: Path, workers: int) -> dict[Cell, dict[str, Any]]:
    done = {}
    if kept.exists():
        for line in kept.read_text().splitlines():
            entry = json.loads(line)
            done[Cell(**entry["cell"])] = entry["found"]
    left = [cell for cell in asked if cell not in done]
    columns = TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (
        ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool,
        Progress(*columns, console=console.err) as progress,
        kept.open("a") as file,
    ):
        bar = progress.add_task("", total=len(asked), completed=len(asked) - len(left))
        jobs = {pool.submit(run, cell): cell for cell in left}
        for job in as_completed(jobs):
            done[jobs[job]] = job.result()
            file.write(json.dumps({"cell": asdict(jobs[job]), "found": job.result()}) + "\n")
            file.flush()
            progress.advance(bar)
    return {cell: done[cell] for cell in asked}


def summary(found: dict[Cell, dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each attack, rule, mode and share: means over seeds, and the worst and best RMSE."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for cell, entry in found.items():
        groups[cell.attack, cell.rule, cell.mode, cell.share].append(entry)
    return [
        {
            "attack": attack or "none", "rule": rule, "mode": MODES[mode], "share": share, "seeds": len(entries),
            **{key: round(mean(e[key] for e in entries), 3) for key in entries[0]},
            "best": min(e["rmse"] for e in entries), "worst": max(e["rmse"] for e in entries),
        }
        for (attack, rule, mode, share), entries in groups.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", type=Path, required=True)
    parser.add_argument("--by", required=True)
    parser.add_argument("--first", required=True, help="a day")
    parser.add_argument("--last", required=True, help="the day after the last")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--snapshots", type=int, default=10)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true", help="rewrites attacks.json, docs and picture")
    options = parser.parse_args()
    tape = load_tape(options.tape, options.by)
    first, last = (pd.Timestamp(day, tz="UTC").value // 10**6 for day in (options.first, options.last))
    rows = tape.rows[(tape.rows["ts_ms"] >= first) & (tape.rows["ts_ms"] < last)]
    names = sorted(rows["desk"].astype(str).unique())
    _walked.extend(snapshots(rows, MARKETS, names, NODES, 6.0)[: options.snapshots])
    kept = KEPT / f"{options.by}-{options.first}-{options.last}-{options.snapshots}.jsonl"
    found = summary(run_all(cells(options.seeds), kept, options.workers))
    from benchmarks.attack_table import draw, show, table

    show(found)
    if options.write:
        run_of = {
            "by": options.by, "first": options.first, "last": options.last, "snapshots": len(_walked) - BURN,
            "nodes": NODES, "cluster_size": CLUSTER, "rounds_a_snapshot": ROUNDS, "seeds": options.seeds,
        }  # fmt: skip
        OUT.write_text(json.dumps({"run": run_of, "cells": found}, indent=1) + "\n")
        DOC.write_text(table(found, DOC.read_text()))
        draw(found, PICTURE)


if __name__ == "__main__":
    main()
