"""One measurement of `benchmarks.scale`, in a process of its own so that its peak of memory is its own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fedvol.lab.engine import engine
from fedvol.lab.federation import PLAN_RULE, Nodes
from fedvol.learning.contribution import packed
from fedvol.learning.model import Opening, build
from fedvol.learning.rows import Rows
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.cluster import Member
from fedvol.protocol.listing import expiries
from fedvol.protocol.surface import weights_of
from fedvol.protocol.vector import MAX_NODES

AS_OF = 1_780_000_000
PILLARS = 16
CLUSTER = 8
ROWS = 12
"""Of a participant in a market, on average; most have fewer, some many."""
PARTS = ("training", "packing", "masking", "combining")


class Timed(Nodes):
    """Nodes, with seconds by part."""

    def timed_round(self, weights: np.ndarray, opening: Opening, desks: list[Rows]) -> tuple[np.ndarray, dict]:
        self.seconds, began = dict.fromkeys(PARTS, 0.0), cpu_seconds()
        with self._part("training"):
            sent = self.sent(weights, opening, desks)
        with self._part("packing"):
            vectors = {node: packed(one) for node, one in sent.items()}
        with self._part("combining"):
            weights = self.settle(weights, vectors)
        self.seconds["combining"] -= self.seconds["masking"]
        return weights, self.seconds | {"round": sum(self.seconds.values()), "round, CPU": cpu_seconds() - began}

    def _member(self, *of: object) -> Member:
        with self._part("masking"):
            return super()._member(*of)

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - began


def markets_for(weights: int) -> int:
    return max(1, round(weights / weights_of(PILLARS)))


def desk(random: np.random.Generator, markets: int) -> Rows:
    """Rows of every market: a smile that the desk sees through noise."""
    counts = np.ceil(random.lognormal(np.log(ROWS) - 0.3, 0.75, markets)).astype(int)
    market = np.repeat(np.arange(markets), counts)
    expiry = random.choice(np.array(expiries(AS_OF, PILLARS)), market.size)
    T = (expiry - AS_OF) / YEAR
    z = random.normal(0, 0.8, market.size)
    iv = 0.55 - 0.02 * z + 0.03 * z * z + 0.01 * market / markets + random.normal(0, 0.003, market.size)
    return Rows(market, z * iv * np.sqrt(T), T, expiry, iv, np.minimum(2 * np.exp(-z * z / 2), 1.0))


def measure(name: str, participants: int, weights: int, masks: bool, rounds: int) -> dict[str, float]:
    """Seconds by part of the fastest round after the first; `start`: what training took more in the first, when workers
    start and rows travel. CPU time and peaks of memory are sums over this process and all below it."""
    markets = tuple(f"M{i}" for i in range(markets_for(weights)))
    model = build(mixture_spec(markets, PILLARS))
    desks = [desk(np.random.default_rng(seed), len(markets)) for seed in range(participants)]
    size = CLUSTER if masks or participants > MAX_NODES else 1
    used = engine(name)
    nodes = Timed(model, participants, PLAN_RULE, cluster_size=size, masks=masks, engine=used)
    current, found = model.initial_weights(), []
    for _ in range(rounds):
        current, by_part = nodes.timed_round(current, Opening(AS_OF), desks)
        found.append(by_part)
    seconds = min(found[1:] or found, key=lambda parts: parts["round"])
    peaks = [peak_mb(pid) for pid in family()]
    used.close()
    took = {name: round(value, 4) for name, value in seconds.items() if masks or name != "masking"}
    start = max(found[0]["training"] - seconds["training"], 0.0)
    return took | {"start": round(start, 4), "peak MB": round(sum(peaks), 1)}


def family() -> list[int]:
    """This process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
        parents.setdefault(parent, []).append(int(stat.parent.name))
    found = [int(Path("/proc/self").resolve().name)]
    for pid in found:
        found += parents.get(pid, [])
    return found


def cpu_seconds() -> float:
    _, *others = family()
    return time.process_time() + sum(map(_ticks, others)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    try:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    except OSError:
        return 0


def peak_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


if __name__ == "__main__":
    print(json.dumps(measure(**json.loads(sys.argv[1]))))
