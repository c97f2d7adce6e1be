"""Rounds of simulated desks in fedvol.lab, Flower and ByzFL: the same rows, the same training, what a desk and round
costs."""

from __future__ import annotations

import gc
import os
from typing import Any

import numpy as np

from benchmarks.peers.scene import DESKS, OPENING, ROWS, TRAINED, UNTRAINED, Clock, Contender, scene
from benchmarks.peers.timing import OURS, figures, machine
from fedvol.lab.federation import Nodes
from fedvol.learning.model import Floats
from fedvol.protocol.rule import Rule, RuleKind

ROUNDS = {TRAINED: 3, UNTRAINED: 10}
"""Timed ones; one more before them warms up."""
ALONE, RAY, BARE, BYZFL = "training alone", "Flower, Ray", "Flower, its messages and strategy alone", "ByzFL"
RULE = Rule(RuleKind.MEAN, clamp=(1 << 23) - 1, step=1 << 16)
TOLERANCE = 2e-5
"""Of weights that are about 1. Ours travel in steps of 2^-20 and are rounded at random."""


def training_alone(name: str, rounds: int, clock: Clock) -> Floats:
    """The floor: what any of them must compute."""
    here = scene(name)
    weights = here.model.spec.to_float(here.start)
    clock.mark()
    for _ in range(rounds):
        weights = np.mean([here.train(desk, weights) for desk in range(DESKS)], axis=0)
        clock.mark()
    return weights


def lab(name: str, rounds: int, clock: Clock) -> Floats:
    here = scene(name)
    nodes, weights = Nodes(here.model, DESKS, by=RULE), here.start
    clock.mark()
    for _ in range(rounds):
        weights = nodes.round(weights, OPENING, here.desks)
        clock.mark()
    return here.model.spec.to_float(weights)


def measure(runs: int) -> dict[str, Any]:
    # Flower reports its use, Ray too and lets its workers give way to others; none of that is to be timed.
    os.environ.update(
        FLWR_TELEMETRY_ENABLED="0",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_worker_niceness="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    )
    from benchmarks.peers import byzfl_rounds, flower_rounds

    contenders: dict[str, Contender] = {
        OURS: lab,
        ALONE: training_alone,
        RAY: flower_rounds.on_ray,
        BARE: flower_rounds.in_process,
        BYZFL: byzfl_rounds.in_process,
    }
    cpu, wall = {}, {}
    for name, rounds in ROUNDS.items():
        times: dict[str, list[tuple[float, float]]] = {who: [] for who in contenders}
        for _ in range(runs):
            found = {}
            for who, contender in contenders.items():
                gc.collect()
                clock = Clock()
                found[who] = contender(name, rounds + 1, clock)
                times[who].append(clock.of_a_desk())
            for who, weights in found.items():
                difference = np.abs(weights - found[OURS]).max()
                assert difference <= TOLERANCE, f"{name}: {who} differs by {difference}"
        cpu[name] = figures({who: [each[0] for each in taken] for who, taken in times.items()})
        wall[name] = figures({who: [each[1] for each in taken] for who, taken in times.items()})
    return {
        **machine(("flwr", "ray", "byzfl", "torch", "numpy")),
        "desks": DESKS,
        "rows": ROWS,
        "weights": scene(TRAINED).model.spec.dimension,
        "rounds": ROUNDS,
        "runs": runs,
        "cpu": cpu,
        "wall": wall,
    }
