"""What a simulated round trains: desks, rows, one training for all contenders, and the clock that times rounds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from fedvol.learning.model import Floats, Model, ModelSpec, Opening, build
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_mixture import mixture_spec

DESKS, ROWS = 128, 100
"""As many desks as a plain round holds."""
OPENING = Opening(1_767_225_600)
YEAR_DAYS, DAY = 365, 86_400
SECRET = bytes(32)
TRAINED, UNTRAINED = "training the surface", "no training"
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Still:
    """Stands where a model does and learns nothing: what is left of a round is the framework's own."""

    spec: ModelSpec

    def train(self, weights: Floats, opening: Opening, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        return weights + 1e-3 * rows.iv[0]


@dataclass(frozen=True)
class Scene:
    model: Model | Still
    start: np.ndarray
    desks: list[Rows]

    def train(self, desk: int, weights: Floats) -> Floats:
        """What peers' participants call, and our own do inside `fedvol.lab`."""
        return self.model.train(weights, OPENING, self.desks[desk], SECRET, Settings())


@lru_cache
def scene(name: str) -> Scene:
    """The same in every process that asks: Flower's participants live in another one."""
    surface = build(mixture_spec(("BTC", "ETH")))
    random = np.random.default_rng(7)
    desks = [_rows(surface, random) for _ in range(DESKS)]
    return Scene(surface if name == TRAINED else Still(surface.spec), surface.initial_weights(), desks)


def _rows(surface: Model, random: np.random.Generator) -> Rows:
    market, days = random.integers(0, 2, ROWS), random.uniform(2, 250, ROWS)
    k = random.normal(0, 0.3, ROWS) * np.sqrt(days / YEAR_DAYS)
    expiry = OPENING.as_of + np.rint(days * DAY).astype(np.int64)
    flat = surface.implied_vol(surface.spec.to_float(surface.initial_weights()), OPENING.as_of, market, k, expiry)
    iv = flat * (1.1 + 0.02 * random.standard_normal(ROWS))
    return Rows(market, k, days / YEAR_DAYS, expiry, iv, np.ones(ROWS))


@dataclass
class Clock:
    """CPU time of this process and of all that it started, and time on the wall, at the end of each round."""

    marks: list[tuple[float, float]] = field(default_factory=list)

    def mark(self) -> None:
        cpu = 1000 * time.process_time()
        self.marks.append((cpu + _cpu_of_children(os.getpid()), 1000 * time.perf_counter()))

    def of_a_desk(self) -> tuple[float, float]:
        """Milliseconds of a desk and round, CPU and wall. The first round, in which things warm up, does not count."""
        first, last, rounds = self.marks[1], self.marks[-1], len(self.marks) - 2
        return (last[0] - first[0]) / rounds / DESKS, (last[1] - first[1]) / rounds / DESKS


def _cpu_of_children(pid: int) -> float:
    """Milliseconds, user and system, of all processes below one; 0 where there is no /proc."""
    total = 0.0
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(listing).split():
            if fields := _read(Path(f"/proc/{child}/stat")).rpartition(")")[2].split():
                total += TICK_MS * (int(fields[11]) + int(fields[12])) + _cpu_of_children(int(child))
    return total


def _read(entry: Path) -> str:
    """Of /proc; empty where its thread or process has ended meanwhile."""
    try:
        return entry.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


Contender = Callable[[str, int, Clock], Floats]
"""Trains a scene by name for some rounds, marks the start and each round's end, and returns the float weights."""
