"""Times fedvol.lab.rules beside Flower and ByzFL: CPU time of one thread, medians, one process. See README.md here."""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

for pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{pool}_NUM_THREADS"] = "1"

import numpy as np  # noqa: E402

from fedvol.lab import rules  # noqa: E402

RESULT = Path(__file__).with_suffix(".json")
UPDATES, WEIGHTS = 32, 1_000_000
TRIM = 6
"""Flower's default cuts a fifth of 32 from each end."""
BYZANTINE = 6

FLOOR, FLOWER, FLOWER_OLD = "numpy w @ X", "Flower", "Flower, old API"
BYZFL, BYZFL_TORCH = "ByzFL, numpy", "ByzFL, torch"
TARGETS = {
    "weighted mean": {FLOOR: 1 / 2},
    "median": {FLOWER: 5, BYZFL: 5},
    "trimmed mean": {FLOWER: 5, BYZFL: 1.5},
    "Krum": {FLOWER: 3, BYZFL: 5},
}
"""How many times as long as ours each must take, at least."""
TOLERANCE = {"weighted mean": 1e-6, "median": 1e-6, "trimmed mean": 1e-6, "Krum": 0}
"""Largest difference between two results of updates that are about 1. torch's median interpolates and rounds."""


class Contender(NamedTuple):
    """`run` is timed on what `prepare` returns; results are compared where they mean the same."""

    run: Callable[[Any], Any]
    prepare: Callable[[], Any]
    compared: bool = True


def import_without_init(package: str) -> None:
    """Lets a package's modules be imported without what its __init__ imports: ByzFL's wants a working torchvision."""
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


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Median CPU milliseconds of each rule for ours and each peer, in turns; asserts that the results agree."""
    import torch  # noqa: F401

    random = np.random.default_rng(7)
    updates = random.standard_normal((UPDATES, WEIGHTS), dtype=np.float32)
    counts = random.integers(100, 1000, UPDATES)
    ours = {
        "weighted mean": lambda matrix: rules.weighted_mean(matrix, counts),
        "median": rules.median,
        "trimmed mean": lambda matrix: rules.trimmed_mean(matrix, TRIM),
        "Krum": lambda matrix: matrix[rules.krum(matrix, BYZANTINE)],
    }
    figures: dict[str, dict[str, float]] = {}
    for rule, peers in contenders(updates, counts).items():
        field = {"ours": Contender(ours[rule], lambda: updates), **peers}
        expected = ours[rule](updates)
        times: dict[str, list[float]] = {name: [] for name in field}
        for _ in range(runs):
            for name, peer in field.items():
                prepared = peer.prepare()
                gc.collect()
                start = time.process_time()
                result = peer.run(prepared)
                times[name].append(1000 * (time.process_time() - start))
                assert result.shape == expected.shape, f"{rule}: {name} has another shape"
                if peer.compared:
                    difference = np.abs(result - expected).max()
                    assert difference <= TOLERANCE[rule], f"{rule}: {name} differs by {difference}"
        figures[rule] = {name: round(statistics.median(each), 1) for name, each in times.items()}
        print(rule, figures[rule], file=sys.stderr)
    return figures


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The figures in Markdown, with each peer's multiple of ours and whether the target is met."""
    lines = ["| rule | | CPU ms | times ours | target | |", "|---|---|---:|---:|---:|---|"]
    for rule, times in figures.items():
        for name, milliseconds in times.items():
            ratio = milliseconds / times["ours"]
            target = TARGETS[rule].get(name)
            verdict = ("", "") if target is None else (f"≥ {target:g}", "met" if ratio >= target else "missed")
            first = rule if name == "ours" else ""
            lines.append(f"| {first} | {name} | {milliseconds:.1f} | {ratio:.2f} | {verdict[0]} | {verdict[1]} |")
    return "\n".join(lines)


def allocator() -> str:
    """Whether glibc returns the memory of each large array, its default, or keeps it, as it can be told to."""
    return "kept" if "MALLOC_TRIM_THRESHOLD_" in os.environ else "default"


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="runs of each, of which the median counts")
    parser.add_argument("--write", action="store_true", help=f"put the figures into {RESULT.name}")
    arguments = parser.parse_args()
    try:
        peers = {name: version(name) for name in ("flwr", "byzfl", "torch", "numpy", "scipy")}
    except ImportError as error:
        sys.exit(f"{error.name} is not installed. pip install -r benchmarks/requirements-rules.txt")
    figures = measure(arguments.runs)
    print(table(figures))
    if arguments.write:
        report = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        report[allocator()] = {
            "updates": UPDATES,
            "weights": WEIGHTS,
            "dtype": "float32",
            "threads": 1,
            "runs": arguments.runs,
            "processor": processor(),
            "python": platform.python_version(),
            "packages": peers,
            "cpu_milliseconds": figures,
        }
        RESULT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
