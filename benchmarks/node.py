"""What one node costs its machine and its RPC endpoint: `.venv/bin/python -m benchmarks.node [--rounds N] [--write]`.

Real daemons in masked rounds on a real Anvil, each behind a proxy that counts its RPC calls. One of them trains under
differential privacy, which needs PyTorch. A few minutes: rounds run by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from scripts._faults import FaultyProxy, faulty_proxy
from scripts._localnet import BIN, Desk, Localnet, localnet
from scripts.demo import newest, split_tape

from benchmarks.peers.timing import processor
from fedvol.chain.federation import Snapshot

RESULT = Path(__file__).with_suffix(".json")
NODES, HOURS = 4, 6.0
PRIVACY = "\n[privacy]\nepsilon = 4.0\nrounds = 100\n"
PLAN = {
    "rounds": {
        "cluster_size": NODES, "seats": NODES, "epoch_rounds": 4, "finality": 2, "interval": 90, "commit_window": 30,
        "reveal_window": 15, "demand_window": 5, "unmask_window": 10, "propose_window": 20, "challenge_window": 10,
        "unbonding": 900,
    }
}  # fmt: skip
TARGETS = {"resident_mb": 250, "waiting_cpu_percent": 2, "calls_a_round": 60, "help_seconds": 0.5}
"""At most."""
HELPS = 11
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Meter:
    """One daemon, looked at once a second from outside."""

    name: str
    desk: Desk
    proxy: FaultyProxy
    calls: dict[int, Counter[str]] = field(default_factory=dict)
    resident: list[float] = field(default_factory=list)
    children: list[float] = field(default_factory=list)
    waiting: list[tuple[float, float]] = field(default_factory=list)
    _last: tuple[float, float] | None = None

    def look(self, s: Snapshot) -> None:
        """Files what happened since the last look under the round that runs; waiting is the time between two rounds."""
        methods, self.proxy.methods = self.proxy.methods, Counter()
        self.calls.setdefault(s.clock.number, Counter()).update(methods)
        process = self.desk.process.pid
        now = time.monotonic(), cpu_seconds(process)
        idle = s.published and s.time + 2 < s.next_opening
        if idle and s.version > 1:
            self.resident.append(resident_mb(process))
            if self._last is not None:
                self.waiting.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now if idle else None
        self.children.append(sum(map(resident_mb, children(process))))

    def figures(self, rounds: int) -> dict[str, object]:
        wall, cpu = (sum(part) for part in zip(*self.waiting, strict=True))
        steady = range(2, rounds + 1)  # the first is that of joining
        return {
            "resident_mb": round(max(self.resident), 1),
            "helpers_peak_mb": round(max(self.children), 1),
            "waiting_cpu_percent": round(100 * cpu / wall, 2),
            "waiting_seconds": round(wall),
            "calls_a_round": {number: sum(self.calls[number].values()) for number in steady},
            "calls_by_method": dict(sum((self.calls[number] for number in steady), Counter()).most_common()),
        }


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def resident_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0.0)


def cpu_seconds(pid: int) -> float:
    """Of the process itself, without children."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def help_seconds() -> float:
    """Of runs after the first, with bytecode where Python keeps it."""
    times = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([BIN / "fedvol", "--help"], check=True, stdout=subprocess.DEVNULL, env=environment)
    for _ in range(HELPS):
        start = time.perf_counter()
        subprocess.run([BIN / "fedvol", "--help"], check=True, stdout=subprocess.DEVNULL, env=environment)
        times.append(time.perf_counter() - start)
    return round(median(times), 2)


def run(net: Localnet, meters: list[Meter], rounds: int) -> Iterator[int]:
    """Until a round after the last begins; yields the numbers of rounds as they begin."""
    seen = 0
    while True:
        s = net.snapshot()
        if s.clock.number > rounds:
            return
        for meter in meters:
            if not meter.desk.alive:
                raise RuntimeError(f"{meter.desk.name} stopped:\n{meter.desk.log.read_text()[-2000:]}")
            meter.look(s)
        if s.clock.number > seen:
            yield (seen := s.clock.number)
        time.sleep(1)


def table(figures: dict[str, dict[str, object]]) -> Table:
    out = Table("node", title="One node in masked rounds", title_justify="left")
    for column in ("resident MB", "helpers' peak MB", "CPU % waiting", "RPC calls, by round"):
        out.add_column(column, justify="right")
    for name, found in figures.items():
        calls = " ".join(map(str, found["calls_a_round"].values()))
        values = [found[key] for key in ("resident_mb", "helpers_peak_mb", "waiting_cpu_percent")]
        out.add_row(name, *map(str, values), calls)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--proofs", choices=("bounded", "trained"), help="what every update must prove")
    parser.add_argument("--write", action="store_true", help=f"put the figures into {RESULT.name}")
    options = parser.parse_args()
    tapes = split_tape(None, None, 1, HOURS, NODES)
    plan = dict(PLAN)
    if options.proofs:
        plan["proofs"] = {"kind": options.proofs, "norm": 1 << 36}
    meters: list[Meter] = []
    with tempfile.TemporaryDirectory() as home, ExitStack() as opened:
        net = opened.enter_context(localnet(Path(home) / "net", HOURS, NODES, changes=plan, start=newest(tapes)))
        net.environment["FEDVOL_NODE_POLL_SECONDS"] = "2.0"  # as it is by default
        for name, tape in list(tapes.items())[:NODES]:
            desk = net.add_desk(name, tape)
            proxy = opened.enter_context(faulty_proxy(net.url))
            private = not meters and options.proofs != "trained"
            desk.config.write_text(desk.config.read_text().replace(net.url, proxy.url) + (PRIVACY if private else ""))
            meters.append(Meter(name + ", private" * private, desk, proxy))
            net.start(desk)
        for number in run(net, meters, options.rounds):
            Console(stderr=True).print(f"round {number}", style="dim")
        figures = {meter.name: meter.figures(options.rounds) for meter in meters}
    report = {
        "processor": processor(),
        "python": platform.python_version(),
        "proofs": options.proofs,
        "help_seconds": help_seconds(),
        "nodes": figures,
    }
    Console(width=120).print(table(figures))
    Console().print(f"fedvol --help: {report['help_seconds']} s, median of {HELPS}. At most: {TARGETS}")
    if options.write:
        RESULT.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
