"""One real node beside others: in this process, where its calls are counted, and as the daemon that people run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load_runs.stage import count_calls
from scripts._localnet import BIN, Desk, Localnet
from scripts._vitals import Life

from fedvol.errors import FedvolError
from fedvol.market.synthetic import generate
from fedvol.node.config import load_config
from fedvol.node.daemon import Node, open_node, passes

STARTED = "phase="
START_LIMIT_S = 120.0
SETTLED_S = 8.0


def add_node(net: Localnet) -> Desk:
    desk = net.add_desk("node", generate(seed=3, hours=6, snapshots=2))
    os.environ |= net.secrets(desk)
    return desk


@contextmanager
def opened(desk: Desk) -> Iterator[tuple[Node, Counter[str], float]]:
    """(the node in this process, its calls, seconds that opening it took)."""
    config = load_config(desk.config).model_copy(update={"poll_seconds": 1.0})
    began = time.perf_counter()
    with open_node(config) as node:
        yield node, count_calls(node._client.web3), time.perf_counter() - began


def cycle(node: Node) -> None:
    """One look and at most one act; what waiting may mend is waited for."""
    try:
        node.cycle()
    except FedvolError as error:
        if not passes(error):
            raise


def restart(net: Localnet, desk: Desk) -> dict[str, float]:
    """Starts the daemon: seconds and CPU until it has looked at the round, MB resident after a few seconds more."""
    desk.log.unlink(missing_ok=True)
    began = time.perf_counter()
    net.start(desk)
    life = Life(desk.name, desk.process.pid)
    try:
        while STARTED not in (desk.log.read_text() if desk.log.exists() else ""):
            if not desk.alive or time.perf_counter() - began > START_LIMIT_S:
                raise RuntimeError(f"the daemon did not start: see {desk.log}")
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        life.sample(seconds)
        time.sleep(SETTLED_S)
        life.sample(seconds + SETTLED_S)
    finally:
        desk.process.terminate()
        desk.process.wait(30)
    (*_, cpu), (_, resident, _, later) = life.samples
    return {
        "restart_s": seconds,
        "restart_cpu_s": cpu,
        "idle_core": (later - cpu) / SETTLED_S,
        "resident_mb": resident,
    }


def show_seconds(net: Localnet) -> float:
    """`fedvol federation show`, from the command line's start to its end."""
    began = time.perf_counter()
    command = [BIN / "fedvol", "federation", "show", "--json", "--rpc", net.url, "--deployments", net.deployments]
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, env=os.environ)
    return time.perf_counter() - began


def quiet() -> None:
    """Keeps nodes in this process from logging every look."""
    import logging

    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def resident_mb(path: Path = Path("/proc/self/statm")) -> float:
    """Of this process."""
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
