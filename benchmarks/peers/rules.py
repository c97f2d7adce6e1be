"""The rules of fedvol.lab.rules beside Flower and ByzFL: CPU time of one thread."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.timing import OURS, cpu_milliseconds, figures, machine
from fedvol.lab import rules

UPDATES, WEIGHTS = 32, 1_000_000
TRIM = 6
"""Flower's default cuts a fifth of 32 from each end."""
BYZANTINE = 6

FLOOR, FLOWER, FLOWER_OLD = "numpy w @ X", "Flower", "Flower, old API"
BYZFL, BYZFL_TORCH = "ByzFL, numpy", "ByzFL, torch"
TOLERANCE = {"weighted mean": 1e-6, "median": 1e-6, "trimmed mean": 1e-6, "Krum": 0}
"""Largest difference between two results of updates that are about 1. torch's median interpolates and rounds."""


class Contender(NamedTuple):
    """`run` is timed on what `prepare` returns; results are compared where they mean the same."""

    run: Callable[[Any], Any]
    prepare: Callable[[], Any]
    compared: bool = True


def import_without_init(package: str) -> None:
    """Lets a package's modules be imported without what its __init__ imports: ByzFL's wants a working torchvision."""
    if package in sys.modules:
        return
    bare = ModuleType(package)
    bare.__path__ = list(find_spec(package).submodule_search_locations)
    sys.modules[package] = bare


def contenders(updates: np.ndarray, counts: np.ndarray) -> dict[str, dict[str, Contender]]:
    """The peers of each rule, as a user of theirs calls them, on the same updates."""
    import torch

    import_without_init("byzfl")
    from byzfl.aggregators import Average, Krum, Median, TrMean
    from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.app.metadata import Metadata
    from flwr.server.strategy import aggregate as old
    from flwr.serverapp import strategy

    torch.set_num_threads(1)
    logging.getLogger("flwr").setLevel(logging.ERROR)
    tensor = torch.from_numpy(updates)

    def replies() -> list[Message]:
        # Made anew for each run: the strategies take the arrays out of them.
        return [reply(row, int(count)) for row, count in zip(updates, counts, strict=True)]

    def reply(row: np.ndarray, count: int) -> Message:
        metadata = Metadata(1, "", 1, 1, "", "", time.time(), 60.0, "train")
        arrays, metrics = ArrayRecord({"weights": Array(row)}), MetricRecord({"num-examples": count})
        return Message(metadata=metadata, content=RecordDict({"arrays": arrays, "metrics": metrics}))

    def flower(chosen: strategy.FedAvg) -> Contender:
        def run(messages: list[Message]) -> np.ndarray:
            return chosen.aggregate_train(1, messages)[0]["weights"].numpy()

        return Contender(run, replies)

    def flower_old(aggregate: Callable, *args: Any) -> Contender:
        def pairs() -> list[tuple[list[np.ndarray], int]]:
            return [([row], int(count)) for row, count in zip(updates, counts, strict=True)]

        return Contender(lambda results: aggregate(results, *args)[0], pairs)

    def byzfl(rule: Callable) -> dict[str, Contender]:
        return {
            BYZFL: Contender(rule, lambda: updates),
            BYZFL_TORCH: Contender(lambda vectors: rule(vectors).numpy(), lambda: tensor),
        }

    shares = (counts / counts.sum()).astype(np.float32)
    # ByzFL's mean takes no weights: timed, not compared. Its Krum counts one neighbour more than the paper's for the
    # same f.
    unweighted = {name: peer._replace(compared=False) for name, peer in byzfl(Average()).items()}
    return {
        "weighted mean": {
            FLOOR: Contender(lambda matrix: shares @ matrix, lambda: updates),
            FLOWER: flower(strategy.FedAvg()),
            FLOWER_OLD: flower_old(old.aggregate),
            **unweighted,
        },
        "median": {
            FLOWER: flower(strategy.FedMedian()),
            FLOWER_OLD: flower_old(old.aggregate_median),
            **byzfl(Median()),
        },
        "trimmed mean": {
            FLOWER: flower(strategy.FedTrimmedAvg(beta=0.2)),
            FLOWER_OLD: flower_old(old.aggregate_trimmed_avg, 0.2),
            **byzfl(TrMean(f=TRIM)),
        },
        "Krum": {
            FLOWER: flower(strategy.Krum(num_malicious_nodes=BYZANTINE)),
            FLOWER_OLD: flower_old(old.aggregate_krum, BYZANTINE, 0),
            **byzfl(Krum(f=BYZANTINE + 1)),
        },
    }


def measure(runs: int) -> dict[str, Any]:
    """CPU milliseconds of each rule for ours and each peer, in turns; asserts that the results agree."""
    random = np.random.default_rng(7)
    updates = random.standard_normal((UPDATES, WEIGHTS), dtype=np.float32)
    counts = random.integers(100, 1000, UPDATES)
    ours = {
        "weighted mean": lambda matrix: rules.weighted_mean(matrix, counts),
        "median": rules.median,
        "trimmed mean": lambda matrix: rules.trimmed_mean(matrix, TRIM),
        "Krum": lambda matrix: matrix[rules.krum(matrix, BYZANTINE)],
    }
    found = {}
    for rule, peers in contenders(updates, counts).items():
        field = {OURS: Contender(ours[rule], lambda: updates), **peers}
        expected = ours[rule](updates)
        times: dict[str, list[float]] = {name: [] for name in field}
        for _ in range(runs):
            for name, peer in field.items():
                prepared = peer.prepare()
                taken, result = cpu_milliseconds(lambda peer=peer, prepared=prepared: peer.run(prepared))
                times[name].append(taken)
                assert result.shape == expected.shape, f"{rule}: {name} has another shape"
                if peer.compared:
                    difference = np.abs(result - expected).max()
                    assert difference <= TOLERANCE[rule], f"{rule}: {name} differs by {difference}"
        found[rule] = figures(times, digits=2)
    return {
        **machine(("flwr", "byzfl", "torch", "numpy", "scipy")),
        "updates": UPDATES,
        "weights": WEIGHTS,
        "dtype": "float32",
        "runs": runs,
        "cpu": found,
    }
