"""A replay: every method walks the same snapshots, each in a process of its own where there are cores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from fedvol.errors import TapeError
from fedvol.lab.replay import report
from fedvol.lab.replay.federation import Nodes
from fedvol.lab.replay.report import Record
from fedvol.lab.replay.snapshots import Snapshot, snapshots
from fedvol.lab.replay.walkers import Flat, LagQuadratic, PooledSmiles, Surface, Walker, alone, federated
from fedvol.learning.model import Model, Opening, build
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.market.tape import load_tape
from fedvol.protocol.agreed import Limits

ROUNDS = 5
LOOK_EVERY_S = 0.3

CLUSTER_SIZES = range(3, 17)

METHODS = ("federated_masked", "federated", "pooled_svi", "central", "lag_quadratic", "pooled_quadratic", "flat")
"""The longest first, so that the cores end together."""

BURN = 4
"""Snapshots at the start that only warm up: every method starts from nothing."""


@dataclass(frozen=True)
class Plan:
    """Args:
    tape: a file or folder of quotes or trades. by: its column that names desks.
    nodes: by default as many as desks, or the next number that clusters can hold.
    cluster_size: of the masked federation, a divisor of `nodes`; by default the smallest.
    hours: length of a snapshot of trades. most: the newest snapshots of the tape, all by default.
    """

    tape: Path
    by: str
    nodes: int | None = None
    cluster_size: int | None = None
    rounds: int = ROUNDS
    hours: float = 6.0
    most: int | None = None
    agreed: bool = False


def replay(plan: Plan, workers: int, told: Callable[[str, float], None]) -> dict[str, Any]:
    """The whole report as JSON takes it.

    Args:
        told: called with a method's name and how much of it is done, 0 to 1.

    Raises:
        TapeError: the tape cannot be read, has one desk only, or no two snapshots.
    """
    started = time.monotonic()
    tape = load_tape(plan.tape, plan.by)
    markets = tuple(sorted(tape.rows["market"].astype(str).unique()))
    names = sorted(tape.rows["desk"].astype(str).unique())
    if len(names) < 2:
        raise TapeError(f"{plan.tape} has rows of {len(names)} desk.", "Name another column with --by.")
    nodes, cluster_size = clusters(plan, len(names))
    plan = replace(plan, nodes=nodes, cluster_size=cluster_size)
    found = snapshots(tape.rows, markets, names, nodes, plan.hours)[-plan.most if plan.most else 0 :]
    if len(found) <= BURN + 1:
        raise TapeError(f"{plan.tape} has {len(found)} snapshots.", f"At least {BURN + 2} are needed.")
    model = build(mixture_spec(markets))
    tasks = [*METHODS, *(f"local {node}" for node in range(nodes))]
    records = _walk_all(tasks, model, found, nodes, plan, workers, told)
    held, heads = [s.held for s in found], records["federated"].extra.pop("heads")
    judged = {name: report.judge(records[name], held, markets, BURN) for name in METHODS}
    local = [report.judge(records[f"local {node}"], held, markets, BURN) for node in range(nodes)]
    judged["local_mean"] = {
        key: float(np.mean([one[key] for one in local])) for key in ("same", "next", "next_index")
    } | {"n": judged["central"]["n"], "violations": sum(one["violations"] for one in local)}
    own = [records[f"local {node}"].same for node in range(nodes)]
    who = [names[node % len(names)] + (f"/{node // len(names)}" if nodes > len(names) else "") for node in range(nodes)]
    return {
        "tape": plan.tape.name,
        "markets": markets,
        "desks": who,
        "snapshots": len(found),
        "first": found[0].as_of,
        "last": found[-1].as_of,
        "rows": len(tape.rows),
        "dropped": tape.dropped,
        "methods": judged,
        "gains": report.gains(records["federated"].same, own, heads, found, who, BURN),
        "noise": report.noise(found),
        "violations": sum(entry["violations"] for entry in judged.values()),
        "seconds": round(time.monotonic() - started, 1),
    }


def clusters(plan: Plan, desks: int) -> tuple[int, int]:
    """(nodes, cluster size) of a plan.

    Raises:
        TapeError: clusters of that size do not hold that many nodes.
    """
    sizes = [plan.cluster_size] if plan.cluster_size else list(CLUSTER_SIZES)
    most = plan.nodes or desks + max(sizes)
    for nodes in range(plan.nodes or desks, most + 1):
        for size in sizes:
            if nodes % size == 0:
                return nodes, size
    raise TapeError(
        f"{most} nodes do not fill clusters of {' or '.join(map(str, sizes))}.",
        "Choose --nodes and --cluster-size to fit.",
    )


def _walker(name: str, model: Model, nodes: int, plan: Plan) -> Walker:
    kind, _, node = name.partition(" ")
    limits = Limits() if plan.agreed else None
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
            return alone(model, lambda s: s.desks[int(node)], plan.rounds)
        case "federated":
            return federated(model, Nodes(model, nodes, agreed=limits), plan.rounds)
    return federated(model, Nodes(model, nodes, agreed=limits, cluster_size=plan.cluster_size), plan.rounds)


def walk(
    name: str, model: Model, found: Sequence[Snapshot], nodes: int, plan: Plan, told: Callable[[float], None]
) -> Record:
    """One method over all snapshots."""
    walker, record, started = _walker(name, model, nodes, plan), Record(), time.process_time()
    heads: list[list[np.ndarray]] = [[] for _ in range(nodes)]
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
        if name == "federated":
            for node, said in enumerate(heads):
                said.append(_with_head(walker, s, node))
        if number % 5 == 0:
            told(number / len(found))
    record.seconds = time.process_time() - started
    if name == "federated":
        record.extra["heads"] = heads
    if sampled:
        record.extra["same_where_sampled"] = float(np.sqrt(np.concatenate(sampled).mean()))
    told(1.0)
    return record


def _with_head(surface: Surface, s: Snapshot, node: int) -> np.ndarray:
    """The joint surface after one more training on a desk's own rows, which never leaves it."""
    model = surface.model
    start = model.spec.to_float(surface.weights)
    trained = model.train(start, Opening(s.as_of), s.desks[node], bytes(32), Settings())
    return model.implied_vol(trained, s.as_of, s.held.market, s.held.k, s.held.expiry)


def _walk_all(
    tasks: Sequence[str],
    model: Model,
    found: Sequence[Snapshot],
    nodes: int,
    plan: Plan,
    workers: int,
    told: Callable[[str, float], None],
) -> dict[str, Record]:
    # Forked, so that the snapshots need not travel; each method is one process' work.
    context = get_context("fork")
    progress = context.Manager().dict()
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        jobs = {pool.submit(_job, name, model, found, nodes, plan, progress): name for name in tasks}
        waiting = set(jobs)
        while waiting:
            _, waiting = wait(waiting, timeout=LOOK_EVERY_S)
            for name, share in dict(progress).items():
                told(name, share)
        return {name: job.result() for job, name in jobs.items()}


def _job(name: str, model: Model, found: Sequence[Snapshot], nodes: int, plan: Plan, progress: Any) -> Record:
    def told(share: float) -> None:
        progress[name] = share

    return walk(name, model, found, nodes, plan, told)
