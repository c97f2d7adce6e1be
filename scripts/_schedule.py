"""What goes wrong in a soak, and when: drawn from a seed beforehand, so that a run can be had again."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

LANES = 2
"""Faults at once. Of two clusters of four each bears one missing, and the round one whole cluster: two nodes, wherever
the lot has seated them."""

FIRST_AT_S = 10.0
REST_S = 30.0
"""Seconds for which a node that was hit is left alone: it may have to start, and a start needs chain and storage."""

LONG_SHARE = 0.2
"""Of the faults that may last long: long enough to miss a phase, and be punished for it."""


@dataclass(frozen=True)
class Kind:
    """What a fault may be. `least`, `most`: seconds; `long`: of those that last long, 0 where none does. `amount`:
    range of whatever the kind is measured in."""

    least: float
    most: float
    long: float = 0.0
    of_desk: bool = True
    amount: tuple[int, int] = (0, 0)


KINDS = {
    "kill": Kind(2, 15, long=60),
    "stop": Kind(4, 20, long=60),
    "rpc-down": Kind(4, 20, long=50),
    "rpc-slow": Kind(8, 25, amount=(300, 1_500)),  # milliseconds an answer
    "rpc-flaps": Kind(8, 25),
    "rpc-stale": Kind(5, 15, amount=(2, 8)),  # blocks behind when it begins
    "ipfs-down": Kind(4, 20, long=40),
    "ipfs-hangs": Kind(4, 15),
    "ipfs-alters": Kind(4, 20),
    "pins-lost": Kind(0, 0, of_desk=False, amount=(1, 3)),  # vectors of the running round, once there are some
    "reorg": Kind(0, 0, of_desk=False, amount=(1, 2)),  # blocks
    "fees": Kind(3, 8, of_desk=False, amount=(310, 500)),  # gwei that a unit of gas costs
}


@dataclass(frozen=True)
class Fault:
    """One of them. `at`: seconds after the first round has opened; `desk` is None where it hits all."""

    kind: str
    at: float
    lasts: float
    desk: str | None = None
    amount: int = 0

    @property
    def until(self) -> float:
        return self.at + self.lasts


def draw(seed: int, seconds: float, desks: Sequence[str]) -> list[Fault]:
    """The faults of a run, by time. Each kind comes as often as any other, in an order that the seed shuffles, and the
    last has ended when the time is up."""
    rng = random.Random(seed)
    free = [FIRST_AT_S + 5.0 * lane for lane in range(LANES)]
    rests = dict.fromkeys(desks, 0.0)
    faults: list[Fault] = []
    while True:
        for name in rng.sample(sorted(KINDS), len(KINDS)):
            lane = free.index(min(free))
            at, kind = free[lane], KINDS[name]
            long = kind.long and rng.random() < LONG_SHARE
            lasts = round(rng.uniform(kind.long / 2, kind.long) if long else rng.uniform(kind.least, kind.most), 1)
            desk = None
            if kind.of_desk:
                desk = rng.choice([d for d in desks if rests[d] <= at] or [min(desks, key=lambda d: rests[d])])
                at = max(at, rests[desk])
            if at + lasts > seconds:
                return sorted(faults, key=lambda fault: fault.at)
            faults.append(Fault(name, round(at, 1), lasts, desk, rng.randint(*kind.amount)))
            if desk:
                rests[desk] = at + lasts + REST_S
            free[lane] = at + lasts + rng.uniform(2, 8)


def save(path: Path, seed: int, seconds: float, faults: Iterable[Fault]) -> None:
    document = {"seed": seed, "seconds": seconds, "faults": [asdict(fault) for fault in faults]}
    path.write_text(json.dumps(document, indent=1) + "\n")
