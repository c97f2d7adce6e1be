"""What grows with real nodes: whole rounds of nodes that train, mask and watch, a handful of processes for all."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from benchmarks.load_runs.node import cycle, quiet, resident_mb
from benchmarks.load_runs.stage import count_calls, measured, pass_time, stage
from eth_account import Account
from rich.progress import Progress
from scripts._localnet import Localnet

from fedvol.chain.federation import Phase
from fedvol.market.synthetic import generate
from fedvol.node.config import NodeConfig
from fedvol.node.daemon import Node, open_node
from fedvol.protocol.roll import MOST_SEATS

M = 6
"""The smallest cluster with which 96 seats are allowed."""

WATCH_EVERY = 10
"""Of ten nodes one watches and keeps: what each of them would do for all."""

PILLARS = 3
STEPS = 5
PASSWORD = "a password of the benchmark"
LIMIT = 400
"""Passes in which a round must end."""


@dataclass
class Bill:
    """What one node has spent since it was asked last."""

    watches: bool
    looks: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    calls: int = 0
    logs: int = 0


def run(home: Path, sizes: Sequence[int], rounds: int, progress: Progress) -> Iterator[dict[str, float]]:
    """A row for each number of nodes; the largest for `rounds` rounds, the others for a quarter of them."""
    for size in sizes:
        wanted = rounds if size == max(sizes) else max(2, rounds // 4)
        yield {"nodes": size, "rounds": wanted} | _at(home / str(size), size, wanted, progress)


def _at(home: Path, size: int, rounds: int, progress: Progress) -> dict[str, float]:
    seats = min(MOST_SEATS, size - size % M)
    plan = {"cluster_size": M, "epoch_rounds": max(2, rounds // 2)}
    task = progress.add_task(f"{size} nodes", total=rounds)
    with stage(home, seats, seats, plan, PILLARS) as net, ExitStack() as stack:
        tape = net.home / "tape.parquet"
        generate(seed=3, hours=6, snapshots=1).to_parquet(tape, index=False)
        keys = [_key(net, i) for i in range(size)]
        workers = [stack.enter_context(_worker(net, tape, keys[i :: os.cpu_count()])) for i in range(os.cpu_count())]
        net.send("Federation", net.client.federation.address, "pause")
        while net.snapshot().joining < size:
            _pass(net, workers)
        net.send("Federation", net.client.federation.address, "unpause")
        for worker in workers:
            worker.ask("bill")
        began, bills, calls = time.perf_counter(), [], Counter[str]()
        for number in range(1, rounds + 1):
            for _ in range(LIMIT):
                _pass(net, workers)
                if net.snapshot().version > number:
                    break
            else:
                raise RuntimeError(f"round {number} of {size} nodes did not end: {net.snapshot()}")
            progress.advance(task)
        wall = time.perf_counter() - began
        for worker in workers:
            mine, of_methods = worker.ask("bill")
            bills += mine
            calls += of_methods
        resident = [worker.ask("resident") for worker in workers]
    progress.remove_task(task)
    watching, others = ([b for b in bills if b.watches is kind] for kind in (True, False))
    return {
        "seats": seats, "wall_s_a_round": wall / rounds,
        "looks_a_round": median(b.looks for b in bills) / rounds,
        "cpu_ms_a_round": 1e3 * median(b.cpu for b in others) / rounds,
        "watch_cpu_ms_a_round": 1e3 * median(b.cpu for b in watching) / rounds,
        "calls_a_round": median(b.calls for b in others) / rounds,
        "watch_calls_a_round": median(b.calls for b in watching) / rounds,
        "logs_a_round": median(b.logs for b in others) / rounds,
        "watch_logs_a_round": median(b.logs for b in watching) / rounds,
        "mb_a_node": sum(after - before for before, after in resident) / size,
        "calls_in_all": calls.total(),
    }  # fmt: skip


def _key(net: Localnet, index: int) -> str:
    """A funded account's key, in hex."""
    key = os.urandom(32).hex()
    node = Account.from_key(key).address
    net.client.web3.provider.make_request("anvil_setBalance", [node, hex(10**20)])
    net.send("BondToken", net.client.deployment.token, "mint", node, 2 * 10**21)
    return key


def _pass(net: Localnet, workers: Sequence[_Worker]) -> None:
    """Lets every node look once; where nobody had anything to do, time goes by to the phase's end."""
    before = net.client.web3.eth.block_number
    for worker in workers:
        worker.begin("cycle")
    for worker in workers:
        worker.end()
    s = net.snapshot()
    idle = s.block == before
    left = (s.ends_at or s.next_opening) - s.time
    # Late turns come in seconds: to the end at once only where all wait for it.
    waits = s.phase in (Phase.AVAILABILITY, Phase.CHALLENGE, Phase.SETTLE)
    pass_time(net, max(1, left if waits and idle else min(left, 4) if idle else 1))


class _Worker:
    """A process that holds some of the nodes."""

    def __init__(self, net: Localnet, tape: Path, keys: Sequence[str]) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, net.url, net.home, tape, keys), daemon=True)
        self._process.start()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(10)
        self._process.kill()

    def begin(self, what: str) -> None:
        self._pipe.send(what)

    def end(self) -> object:
        found = self._pipe.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def ask(self, what: str) -> object:
        self.begin(what)
        return self.end()


_worker = _Worker


def _serve(pipe: Connection, url: str, home: Path, tape: Path, keys: Sequence[str]) -> None:
    quiet()
    os.environ["FEDVOL_PASSWORD"] = PASSWORD
    with ExitStack() as stack:
        nodes: list[tuple[Node, Counter[str], Bill]] = []
        resident = resident_mb()
        for index, key in enumerate(keys):
            node = stack.enter_context(open_node(_config(url, home, tape, key, index % WATCH_EVERY == 0)))
            bill = Bill(index % WATCH_EVERY == 0)
            nodes.append((node, count_calls(node._client.web3), bill))
        while True:
            try:
                asked = pipe.recv()
            except EOFError:
                return
            try:
                pipe.send(_answer(asked, nodes, resident))
            except Exception as error:
                pipe.send(error)


def _answer(asked: str, nodes: list[tuple[Node, Counter[str], Bill]], resident: float) -> object:
    if asked == "resident":
        return resident, resident_mb()
    if asked == "bill":
        total = sum((calls for _, calls, _ in nodes), Counter[str]())
        bills = [bill for *_, bill in nodes]
        for i, (node, calls, bill) in enumerate(nodes):
            calls.clear()
            nodes[i] = node, calls, Bill(bill.watches)
        return bills, total
    for node, calls, bill in nodes:
        with measured(calls) as cost:
            cycle(node)
        bill.looks += 1
        bill.cpu += cost.cpu
        bill.wall += cost.wall
        bill.calls += cost.calls.total()
        bill.logs += cost.calls["eth_getLogs"]
    return None


def _config(url: str, home: Path, tape: Path, key: str, watches: bool) -> NodeConfig:
    account = Account.from_key(key)
    folder = home / "nodes" / account.address
    folder.mkdir(parents=True)
    keystore = folder / "key.json"
    keystore.write_text(json.dumps(Account.encrypt(key, PASSWORD, iterations=2)))
    return NodeConfig(
        rpc=url, deployments=home / "deployments.json", keystore=keystore, tape=tape, storage=str(home / "storage"),
        data_dir=folder / "data", poll_seconds=1.0, training={"steps": STEPS}, watchtower=watches, keeper=watches,
        propose=watches, window_hours=24.0,
    )  # fmt: skip
