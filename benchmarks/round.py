"""How long a watchtower needs to recompute a round: from the bytes of the nodes to the bytes of the new model.

OMP_NUM_THREADS=1 python benchmarks/round.py [nodes] [weights]
"""

from __future__ import annotations

import sys
from statistics import median
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

from fedvol.protocol.rule import Rule, RuleKind, apply
from fedvol.protocol.vector import pack_model, pack_update, pack_weighted, unpack_model

REPEATS = 101


def vector(rng: np.random.Generator, dimension: int, weighted: bool) -> bytes:
    """A move of up to ±1,000 for each weight; if weighted, a seventh of the weights of the vector is 0."""
    moves = rng.integers(-1_000, 1_001, dimension)
    if not weighted:
        return pack_update(moves)
    weights = rng.integers(0, 4_096, dimension) * (rng.integers(0, 7, dimension) > 0)
    return pack_weighted(moves * weights >> 9, weights)


def milliseconds(rule: Rule, model: bytes, vectors: list[bytes], dimension: int) -> list[float]:
    times = []
    for _ in range(REPEATS):
        start = perf_counter()
        pack_model(apply(rule, unpack_model(model, dimension), vectors))
        times.append(1e3 * (perf_counter() - start))
    return times


def main(nodes: int = 64, dimension: int = 350) -> None:
    rng = np.random.default_rng(1)
    model = pack_model(rng.integers(-(2**20), 2**20, dimension))
    table = Table(title=f"A round of {nodes} nodes and {dimension} weights, ms")
    for column in ("rule", "median", "slowest"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for kind in RuleKind:
        for weighted in (False, True):
            rule = Rule(kind, 2**20, 2**16, weighted, 2_000, weight_cap=4_095, weight_shift=9)
            times = milliseconds(rule, model, [vector(rng, dimension, weighted) for _ in range(nodes)], dimension)
            name = kind.name.lower().replace("_", " ") + (", weighted" if weighted else "")
            table.add_row(name, f"{median(times):.2f}", f"{max(times):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
