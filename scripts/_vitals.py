"""Invariants of the nodes' processes: how they ended, what they wrote, what they took. See `scripts._invariants`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from fedvol.node.journal import FILE
from fedvol.node.keystore import load
from scripts._invariants import Result
from scripts._localnet import Desk

WARM_UP_S = 60
"""Until a node has trained once, and loaded all that it loads."""

SHORTEST_S = 120
"""A process that lived for less, after it was warm, tells nothing about growth."""

GROWTH_MB, GROWTH_SHARE = 16.0, 0.10
MORE_FILES = 8
"""Between the first and the last quarter of a life: connections come and go."""

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass
class Life:
    """One process of a desk, from its start to its end: samples of (seconds, MB resident, open files, CPU seconds)."""

    desk: str
    pid: int
    samples: list[tuple[float, float, int, float]] = field(default_factory=list)

    def sample(self, now: float) -> None:
        """Reads what Linux tells of the process; nothing where it is gone."""
        folder = Path("/proc") / str(self.pid)
        try:
            pages = int((folder / "statm").read_text().split()[1])
            ticks = sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
            files = len(list((folder / "fd").iterdir()))
        except OSError:
            return
        self.samples.append((now, pages * _PAGE_MB, files, ticks / os.sysconf("SC_CLK_TCK")))

    def quarters(self, column: int) -> tuple[float, float] | None:
        """Medians of the first and the last quarter of its life once it was warm; None where that was too short."""
        warm = [s for s in self.samples if s[0] >= self.samples[0][0] + WARM_UP_S]
        if len(warm) < 4 or warm[-1][0] - warm[0][0] < SHORTEST_S:
            return None
        part = len(warm) // 4
        return median(s[column] for s in warm[:part]), median(s[column] for s in warm[-part:])


@dataclass
class Vitals:
    """All lives of a run, and how each process ended that was asked to: desk → exit code."""

    lives: list[Life] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    exits: dict[str, int | None] = field(default_factory=dict)

    def sample(self, desks: list[Desk], now: float) -> None:
        known = {life.pid: life for life in self.lives}
        for desk in desks:
            if desk.alive and desk.process:
                if desk.process.pid not in known:
                    self.lives.append(Life(desk.name, desk.process.pid))
                    known[desk.process.pid] = self.lives[-1]
                known[desk.process.pid].sample(now)

    def figures(self) -> dict[str, float]:
        """What one node takes: MB resident (median, most), share of a core over the longest life."""
        longest = max((life for life in self.lives if life.samples), key=lambda life: len(life.samples))
        (first, *_, before), (last, *_, after) = longest.samples[0], longest.samples[-1]
        resident = [s[1] for life in self.lives for s in life.samples]
        core = (after - before) / max(last - first, 1)
        return {"resident_mb": median(resident), "most_mb": max(resident), "core": core}


def check_processes(vitals: Vitals, desks: list[Desk], passwords: Callable[[Desk], dict[str, str]]) -> list[Result]:
    """All of them. `passwords`: the environment that holds a desk's secrets."""
    logs = {desk.name: desk.log.read_text(errors="replace") for desk in desks}
    found = {
        "No node ended by itself, and all stopped with exit code 0 when asked": [
            *(f"{name} ended by itself" for name in vitals.died),
            *(f"{name} stopped with {code}" if code else None for name, code in vitals.exits.items()),
        ],
        "No log holds a traceback": [f"{n}: see its log" if "Traceback" in text else None for n, text in logs.items()],
        "No log holds a password, a key or a salt": [
            f"{desk.name}: a {what}" if secret.lower() in logs[desk.name].lower() else None
            for desk in desks
            for what, secret in secrets_of(desk, passwords(desk))
        ],
        "No node's memory grows": list(_growth(vitals, 1, lambda old: max(GROWTH_MB, GROWTH_SHARE * old), "MB")),
        "No node's open files grow": list(_growth(vitals, 2, lambda _: MORE_FILES, "files")),
    }
    return [Result(name, len(rows), tuple(row for row in rows if row)) for name, rows in found.items()]


def secrets_of(desk: Desk, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(what it is, how it would be written) of all that a desk must not tell."""
    for value in environment.values():
        yield "password", value
    yield "private key", bytes(load(desk.home / "key.json", environment["FEDVOL_PASSWORD"]).key).hex()
    path = desk.home / "data" / FILE
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as journal:
        for (salt,) in journal.execute("SELECT salt FROM rounds"):
            yield "salt", salt.hex()
        for (keys,) in journal.execute("SELECT keys FROM masks"):
            for key in (keys[i : i + 32] for i in range(0, len(keys), 32)):
                if any(key):
                    yield "mask's key", key.hex()
                    yield "mask's key", str(int.from_bytes(key))


def _growth(vitals: Vitals, column: int, allowed: Callable[[float], float], unit: str) -> Iterator[str | None]:
    for life in vitals.lives:
        quarters = life.quarters(column)
        if quarters is not None:
            old, new = quarters
            yield f"{life.desk}: from {old:.0f} to {new:.0f} {unit}" if new > old + allowed(old) else None
