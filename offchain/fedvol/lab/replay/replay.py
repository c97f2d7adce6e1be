"""A replay: every method walks the same snapshots, each in a process of its own where there are cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from fedvol.errors import TapeError
from fedvol.lab.engine import check
from fedvol.lab.replay import report
from fedvol.lab.replay.report import Record
from fedvol.lab.replay.shelf import Shelf
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.terms import BURN, PLAIN, Plan
from fedvol.lab.replay.walkers import Flat, LagQuadratic, PooledSmiles, Surface, Walker, alone, federated
from fedvol.learning.model import Model, build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.tape import load_tape

LOOK_EVERY_S = 0.3

OTHERS = ("pooled_svi", "central", "lag_quadratic", "pooled_quadratic", "flat")
"""What is walked beside the federations, the longest first, so that the cores end together."""


def replay(plan: Plan, workers: int, told: Callable[[str, float], None], folder: Path | None = None) -> dict[str, Any]:
    """The whole report as JSON takes it.

    Args:
        told: called with a method's name and how much of it is done, 0 to 1.
        folder: where each method's record is kept once it is done, and looked for before it is begun.

    Raises:
        TapeError: the tape cannot be read, has one desk only, or no two snapshots.
        ConfigError: a plan that cannot be.
    """
    started = time.monotonic()
    check(plan.engine, plan.agreed or plan.epsilon is not None)
    tape = load_tape(plan.tape, plan.by)
    markets = tuple(sorted(tape.rows["market"].astype(str).unique()))
    names = sorted(tape.rows["desk"].astype(str).unique())
    if len(names) < 2:
        raise TapeError(f"{plan.tape} has rows of {len(names)} desk.", "Name another column with --by.")
    plan = plan.filled(len(names))
    found = snapshots(tape.rows, markets, names, plan.nodes, plan.hours)[-plan.most if plan.most else 0 :]
    if len(found) <= BURN + 1:
        raise TapeError(f"{plan.tape} has {len(found)} snapshots.", f"At least {BURN + 2} are needed.")
    model = build(mixture_spec(markets))
    seeds = [f"{name} {seed}" for seed in range(plan.seeds) for name in reversed(plan.federations)]
    tasks = [*seeds, *OTHERS, *(f"local {node}" for node in range(plan.nodes))]
    records = _walk_all(tasks, model, found, plan, workers, told, folder and Shelf(folder, plan))
    judged = {name: _over_seeds(name, records, found, markets, plan.seeds) for name in plan.federations}
    judged |= {name: report.judge(records[name], found, markets, BURN) for name in OTHERS}
    local = [report.judge(records[f"local {node}"], found, markets, BURN) for node in range(plan.nodes)]
    judged["local_mean"] = {
        key: float(np.mean([one[key] for one in local])) for key in ("same", "next", "next_index")
    } | {"n": judged["central"]["n"], "violations": sum(one["violations"] for one in local)}
    joint, own = records[f"{PLAIN} 0"], [records[f"local {node}"].same for node in range(plan.nodes)]
    extra = plan.nodes > len(names)
    who = [names[node % len(names)] + (f"/{node // len(names)}" if extra else "") for node in range(plan.nodes)]
    return {
        "tape": plan.tape.name,
        "plan": {key: value for key, value in vars(plan).items() if key != "tape"},
        "markets": markets,
        "desks": who,
        "snapshots": len(found),
        "first": found[0].as_of,
        "last": found[-1].as_of,
        "rows": len(tape.rows),
        "dropped": tape.dropped,
        "methods": judged,
        "gains": report.gains(joint.same, own, joint.heads, found, who, BURN),
        "noise": report.noise(found),
        "violations": sum(entry["violations"] for entry in judged.values()),
        "seconds": round(time.monotonic() - started, 1),
    }


def _over_seeds(
    name: str, records: dict[str, Record], found: Sequence[Snapshot], markets: Sequence[str], seeds: int
) -> dict[str, Any]:
    """The entry of the first seed, its errors those of all seeds in the mean; each seed's own under `seeds`."""
    entries = [report.judge(records[f"{name} {seed}"], found, markets, BURN) for seed in range(seeds)]
    keys = ("same", "next", "next_index", "outside")
    each = {key: [entry[key] for entry in entries] for key in keys}
    means = {key: None if None in values else float(np.mean(values)) for key, values in each.items()}
    return entries[0] | means | {"seeds": each, "violations": sum(entry["violations"] for entry in entries)}


def _walker(name: str, model: Model, snapshots: int, plan: Plan) -> Walker:
    kind, _, number = name.partition(" ")
    match kind:
        case "flat":
            return Flat()
        case "lag_quadratic":
            return LagQuadratic()
        case "pooled_quadratic":
            return PooledSmiles("quadratic")
        case "pooled_svi":
            return PooledSmiles("svi")
        case "central":
            return alone(model, lambda s: s.pooled, plan.rounds)
        case "local":
            return alone(model, lambda s: s.desks[int(number)], plan.rounds)
    return federated(model, plan.federation(kind, model, snapshots, int(number)), plan.rounds)


def walk(
    name: str, model: Model, found: Sequence[Snapshot], plan: Plan, told: Callable[[float], None] = lambda _: None
) -> Record:
    """One method over all snapshots: one of OTHERS, "local NODE", or one of `plan.federations` and a seed."""
    walker, record, started = _walker(name, model, len(found), plan), Record(), time.process_time()
    with_heads = name == f"{PLAIN} 0"
    if with_heads:
        record.heads = [[] for _ in range(plan.nodes)]
    sampled: list[np.ndarray] = []
    for number, s in enumerate(found):
        if number:
            record.next.append(walker.vols(s.held))
            record.next_index.append(walker.moved_vols(s.held, s))
        walker.learn(s)
        if not isinstance(walker, LagQuadratic):
            record.same.append(walker.vols(s.held))
        if isinstance(walker, PooledSmiles) and number >= BURN:
            sampled.append((100 * (record.same[-1] - s.held.iv)[walker.smiles.sampled(s.held)]) ** 2)
        if isinstance(walker, Surface):
            record.violations += report.arbitrage(walker)
        for node, said in enumerate(record.heads):
            said.append(walker.headed_vols(s.held, s.desks[node]))
        if number % 5 == 0:
            told(number / len(found))
    record.seconds = time.process_time() - started
    if isinstance(walker, Surface) and walker.nodes is not None:
        record.extra["refused"] = walker.nodes.refused
    if sampled:
        record.extra["same_where_sampled"] = float(np.sqrt(np.concatenate(sampled).mean()))
    told(1.0)
    return record


def _walk_all(
    tasks: Sequence[str],
    model: Model,
    found: Sequence[Snapshot],
    plan: Plan,
    workers: int,
    told: Callable[[str, float], None],
    shelf: Shelf | None,
) -> dict[str, Record]:
    records = {name: record for name in tasks if shelf and (record := shelf.get(name)) is not None}
    for name in records:
        told(name, 1.0)
    # Forked, so that the snapshots need not travel; each method is one process' work.
    context = get_context("fork")
    progress = context.Manager().dict()
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = {pool.submit(_job, name, model, found, plan, progress): name for name in tasks if name not in records}
        waiting = set(jobs)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=LOOK_EVERY_S)
                for name, share in dict(progress).items():
                    told(name, share)
                # What is done is kept before a failure of another is told.
                for job in sorted(done, key=lambda one: one.exception() is not None):
                    records[jobs[job]] = job.result()
                    if shelf:
                        shelf.put(jobs[job], job.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return records


def _job(name: str, model: Model, found: Sequence[Snapshot], plan: Plan, progress: Any) -> Record:
    def told(share: float) -> None:
        progress[name] = share

    return walk(name, model, found, plan, told)
