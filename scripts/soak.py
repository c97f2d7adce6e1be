"""`make soak`: eight real nodes for minutes or hours, while processes, RPC, storage and the chain itself go wrong.

What goes wrong, and when, is drawn from a seed and written down beforehand. At the end all is healed, two more rounds
become final, every node is told to stop, and a program checks every invariant of contracts, journals, pins and
processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fedvol.chain.federation import Phase, Snapshot
from fedvol.console import out
from fedvol.errors import FedvolError
from fedvol.market.synthetic import DEFAULT_END_MS
from fedvol.node.config import load_config
from fedvol.storage import Storage, open_storage
from scripts._anvil import rpc
from scripts._faults import FaultyProxy, faulty_proxy
from scripts._invariants import CONTRACTS, PINS, Evidence, Result, Spell, check, table
from scripts._ipfs import ipfs_peer
from scripts._journals import JOURNALS
from scripts._localnet import ROOT, Desk, Localnet, localnet, told
from scripts._schedule import KINDS, Fault, draw, save
from scripts._vitals import Vitals, check_processes
from scripts.demo import split_tape

DESKS, M = 8, 4
WINDOW_HOURS = 6.0
PLAN: dict[str, dict[str, object]] = {
    # Wide enough for eight nodes on two busy cores; a round in which nobody is late ends each phase early.
    "rounds": {
        "cluster_size": M, "seats": DESKS, "epoch_rounds": 4, "finality": 2, "interval": 10, "commit_window": 50,
        "reveal_window": 30, "demand_window": 8, "unmask_window": 30, "lead_window": 10, "propose_window": 40,
        "challenge_window": 10, "unbonding": 3_600,
    }
}  # fmt: skip
CONFIRMATIONS = 2
"""As deep as the schedule's reorganisations."""

PRIVACY = "\n[privacy]\nepsilon = 8.0\nnoise = 40.0\n"
BONDS_HELD = 20
LOOK_EVERY_S = 0.5
SAMPLE_EVERY_S = 5.0
HEAL_LIMIT_S = 420.0
STOP_LIMIT_S = 90.0
FLAPPING = ("500", "429", "forward")


@dataclass
class Soak:
    """The run: applies the schedule, watches, and keeps what the judgement needs."""

    net: Localnet
    ipfs: str
    storage: Storage
    rpcs: dict[str, FaultyProxy]
    stores: dict[str, FaultyProxy]
    log: Path
    vitals: Vitals = field(default_factory=Vitals)
    spells: list[Spell] = field(default_factory=list)
    in_force: list[tuple[Fault, int]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    to_lose: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    sampled_at: float = -SAMPLE_EVERY_S

    @property
    def desks(self) -> dict[str, Desk]:
        return {desk.name: desk for desk in self.net.desks}

    @property
    def block(self) -> int:
        return self.net.client.web3.eth.block_number

    @property
    def chain_time(self) -> int:
        return self.net.client.web3.eth.get_block("latest")["timestamp"]

    def note(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} {text}"
        self.notes.append(line)
        with self.log.open("a") as file:
            file.write(line + "\n")
        if not out.is_terminal:
            out.print(line, highlight=False, markup=False)

    # ------------------------------------------------------------------ faults

    def begin(self, fault: Fault) -> None:
        amount = f" ({fault.amount})" if fault.amount else ""
        self.note(f"{fault.kind}{f' {fault.desk}' if fault.desk else ''}, {fault.lasts:g} s{amount}")
        began = self.chain_time
        desk = self.desks[fault.desk] if fault.desk else None
        match fault.kind:
            case "kill":
                self.down.add(desk.name)
                self.net.kill(desk)
            case "stop":
                desk.process.send_signal(signal.SIGSTOP)
            case "rpc-down":
                self.rpcs[desk.name].mode = "close"
            case "rpc-slow":
                self.rpcs[desk.name].delay, self.rpcs[desk.name].mode = fault.amount / 1000, "slow"
            case "rpc-flaps":
                self.rpcs[desk.name].faults = itertools.cycle(FLAPPING)
            case "rpc-stale":
                self.rpcs[desk.name].stale_block, self.rpcs[desk.name].mode = self.block - fault.amount, "stale"
            case "ipfs-down":
                self.stores[desk.name].mode = "close"
            case "ipfs-hangs":
                self.stores[desk.name].mode = "hang"
            case "ipfs-alters":
                self.stores[desk.name].mode = "alter"
            case "pins-lost":
                self.to_lose = fault.amount
            case "reorg":
                head = self.block
                rpc(self.net.url, "anvil_reorg", fault.amount, [])
                undone = (head - fault.amount, self.block)  # a block may have come in between
                self.spells.append(Spell(fault.kind, None, began, self.chain_time, undone))
        if KINDS[fault.kind].most:
            self.in_force.append((fault, began))

    def end(self, fault: Fault, began: int) -> None:
        """Heals it."""
        self.in_force.remove((fault, began))
        desk = self.desks[fault.desk] if fault.desk else None
        if fault.kind == "kill":
            self.net.start(desk)
            self.down.discard(desk.name)
        elif fault.kind == "stop":
            desk.process.send_signal(signal.SIGCONT)
        elif desk:
            proxy = (self.rpcs if fault.kind.startswith("rpc") else self.stores)[desk.name]
            proxy.faults, proxy.mode = iter(()), "forward"
        self.spells.append(Spell(fault.kind, desk.address if desk else None, began, self.chain_time))
        self.note(f"{fault.kind}{f' {fault.desk}' if fault.desk else ''} is over")

    def lose_pins(self, s: Snapshot) -> None:
        """Unpins vectors of the running round, once there are some that count, and has them collected."""
        if not self.to_lose or s.phase not in (Phase.AVAILABILITY, Phase.UNMASK, Phase.PROPOSE, Phase.CHALLENGE):
            return
        began = self.chain_time
        names = [r.content_id for r in self.net.client.reveals(s.clock.number, s.block)][: self.to_lose]
        for name in names:
            self.storage.unpin(name)
        httpx.post(f"{self.ipfs}/api/v0/repo/gc", timeout=30).raise_for_status()
        self.spells.append(Spell("pins-lost", None, began, self.chain_time))
        self.note(f"{len(names)} vectors of round {s.clock.number} are lost")
        self.to_lose = 0

    # ------------------------------------------------------------------ the loop

    def look(self, elapsed: float) -> Snapshot:
        """Takes what there is to see, and restarts nodes that ended by themselves, which is held against them."""
        for kind, proxies in (("rpc", self.rpcs), ("storage", self.stores)):
            for proxy in proxies.values():
                self.calls[kind] += len(proxy.commands)
                for kept in (proxy.commands, proxy.queries, proxy.authorizations):
                    kept.clear()
        for fault, _ in self.in_force:
            if fault.kind == "fees":
                rpc(self.net.url, "anvil_setNextBlockBaseFeePerGas", hex(fault.amount * 10**9))
        if elapsed - self.sampled_at >= SAMPLE_EVERY_S:
            self.sampled_at = elapsed
            self.vitals.sample(self.net.desks, elapsed)
        for desk in self.net.desks:
            if desk.name not in self.down and not desk.alive:
                self.vitals.died.append(f"{desk.name} (exit code {desk.process.poll()})")
                self.note(f"{desk.name} ended by itself, exit code {desk.process.poll()}; started again")
                self.net.start(desk)
        return self.net.snapshot()

    def run(self, faults: list[Fault], seconds: float, view: View) -> None:
        """Until the time is up and all is healed."""
        due, start = list(faults), time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            s = self.look(elapsed)
            for fault, began in [x for x in self.in_force if x[0].until <= elapsed]:
                self.end(fault, began)
            self.lose_pins(s)
            while due and due[0].at <= elapsed:
                self.begin(due.pop(0))
            view.update(self, s, elapsed)
            time.sleep(LOOK_EVERY_S)
        for fault, began in list(self.in_force):
            self.end(fault, began)
        self.note("all is healed; two more rounds are to become final")

    def settle(self, view: View) -> None:
        """Waits for two more versions, and for the end of the round that then runs.

        Raises:
            FedvolError: they do not come.
        """
        start, wanted, paused = time.monotonic(), self.net.snapshot().version + 2, False
        while True:
            elapsed = time.monotonic() - start
            s = self.look(elapsed)
            view.update(self, s, None)
            if not paused and s.version >= wanted:
                self.net.send("Federation", self.net.client.federation.address, "pause")
                paused = True
            if paused and (s.published or s.phase in (Phase.IDLE, Phase.VOID)):
                time.sleep(10)  # claims and reports are left to be sent
                return
            if elapsed > HEAL_LIMIT_S:
                raise FedvolError(
                    f"No two rounds became final in {HEAL_LIMIT_S:g} s after all was healed.", "See logs."
                )
            time.sleep(LOOK_EVERY_S)

    def stop(self) -> None:
        """Asks every node to end, and keeps how it did."""
        self.vitals.sample(self.net.desks, self.sampled_at + SAMPLE_EVERY_S)
        for desk in self.net.desks:
            desk.process.terminate()
        deadline = time.monotonic() + STOP_LIMIT_S
        for desk in self.net.desks:
            try:
                self.vitals.exits[desk.name] = desk.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.vitals.exits[desk.name] = -signal.SIGKILL
        self.note(f"stopped: {self.vitals.exits}")


class View:
    """What the terminal shows meanwhile."""

    def __init__(self, live: Live, seconds: float) -> None:
        self.live, self.seconds = live, seconds
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f}%"), TimeElapsedColumn()
        )
        self.task = self.bar.add_task("soaking", total=seconds)
        self.seen: tuple[int, Phase] = (0, Phase.IDLE)

    def update(self, soak: Soak, s: Snapshot, elapsed: float | None) -> None:
        if elapsed is None:
            self.bar.update(self.task, completed=self.seconds, description="healing")
        else:
            self.bar.update(self.task, completed=elapsed)
        if (s.clock.number, s.phase) != self.seen and s.phase in (Phase.DRAW, Phase.FINAL, Phase.VOID):
            soak.note(f"round {s.clock.number}: {s.phase.name.lower()}, version {s.version}, {s.members} members")
        self.seen = (s.clock.number, s.phase)
        grid = Table("node", "process", "faults in force", title_justify="left")
        grid.title = (
            f"round {s.clock.number}: {s.phase.name.lower()} · version {s.version} · {s.clock.committed} committed, "
            f"{s.clock.revealed} revealed of {s.clock.selected}"
        )
        common = [f.kind for f, _ in soak.in_force if f.desk is None]
        for name, desk in soak.desks.items():
            own = [f.kind for f, _ in soak.in_force if f.desk == name]
            state = "[green]runs[/]" if desk.alive else "[red]killed[/]"
            grid.add_row(name, state, f"[red]{', '.join(own + common)}[/]" if own + common else "")
        self.live.update(Group(self.bar, grid, *(escape(note) for note in soak.notes[-8:])))


# ---------------------------------------------------------------------- beginning and end


def prepare(net: Localnet, ipfs: str, stack: ExitStack, log: Path) -> Soak:
    """Eight desks, each behind proxies of its own; the first trains under a privacy budget."""
    tapes = split_tape(None, None, 7, WINDOW_HOURS, DESKS)
    soak = Soak(net, ipfs, open_storage(f"ipfs+{ipfs}"), {}, {}, log)
    net.environment |= {"FEDVOL_NODE_POLL_SECONDS": "1", "FEDVOL_NODE_CONFIRMATIONS": str(CONFIRMATIONS)}
    for name, tape in tapes.items():
        desk = net.add_desk(name, tape)
        soak.rpcs[name] = stack.enter_context(faulty_proxy(net.url))
        soak.stores[name] = stack.enter_context(faulty_proxy(ipfs))
        desk.environment = {
            "FEDVOL_NODE_RPC": soak.rpcs[name].url,
            "FEDVOL_NODE_STORAGE": f"ipfs+{soak.stores[name].url}",
        }
        bond = net.snapshot().params["bond"]
        net.send("BondToken", net.client.deployment.token, "mint", desk.address, BONDS_HELD * bond)
    first = net.desks[0]
    first.config.write_text(first.config.read_text() + PRIVACY)
    return soak


def wait_for_all(net: Localnet) -> None:
    """Holds the first round back until everybody has joined."""
    net.send("Federation", net.client.federation.address, "pause")
    for desk in net.desks:
        net.start(desk)
    deadline = time.monotonic() + HEAL_LIMIT_S
    while net.snapshot().joining < len(net.desks):
        if time.monotonic() > deadline:
            raise FedvolError("Not all nodes have joined.", f"See node.log in {net.home}.")
        time.sleep(LOOK_EVERY_S)
    net.send("Federation", net.client.federation.address, "unpause")


def judge(soak: Soak) -> tuple[list[Result], Evidence]:
    net = soak.net
    first = net.desks[0]
    evidence = Evidence(
        net.client,
        soak.storage,
        {desk.address: desk.home / "data" for desk in net.desks},
        tuple(soak.spells),
        {first.address: load_config(first.config).privacy},
        net.snapshot().clock.epoch_start,
    )
    results = check(evidence, (*CONTRACTS, *JOURNALS, *PINS))
    return [*results, *check_processes(soak.vitals, net.desks, net.secrets)], evidence


def report(soak: Soak, results: list[Result], e: Evidence, seed: int, minutes: float) -> dict[str, object]:
    rounds = len(e.events("RoundOpened"))
    names = ("AbsenceReported", "SilenceReported", "UnansweredReported", "VeiledReported", "Demanded", "Answered")
    return {
        "seed": seed,
        "minutes": minutes,
        "rounds": rounds,
        "final": len(e.final),
        "blocks": e.head.block,
        "faults": dict(sorted(Counter(spell.kind for spell in soak.spells).items())),
        "duties": {name: len(e.events(name, e.client.duties)) for name in names},
        "calls_a_node_a_round": {kind: round(n / DESKS / rounds) for kind, n in soak.calls.items()},
        "node": {name: round(value, 3) for name, value in soak.vitals.figures().items()},
        "invariants": [asdict(result) for result in results],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="for which faults come")
    parser.add_argument("--seed", type=int, default=1, help="of the schedule")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak")
    options = parser.parse_args()
    with told():
        sys.exit(0 if soak(options.minutes, options.seed, options.out) else 1)


def soak(minutes: float, seed: int, home: Path) -> bool:
    """Whether every invariant holds."""
    shutil.rmtree(home, ignore_errors=True)
    (home / "ipfs").mkdir(parents=True)
    seconds = 60 * minutes
    desks = list(split_tape(None, None, 7, WINDOW_HOURS, DESKS))
    faults = draw(seed, seconds, desks)
    save(home / "schedule.json", seed, seconds, faults)
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(Counter(f.kind for f in faults).items()))
    out.print(f"[bold]soak[/]: {minutes:g} minutes, seed {seed}, {len(faults)} faults ({counts}): schedule.json")
    blocks = int(seconds) + 3_600
    with ExitStack() as stack:
        ipfs = stack.enter_context(ipfs_peer(home / "ipfs"))
        start = DEFAULT_END_MS // 1000
        with out.status("starting a chain, deploying, giving each desk its tape, key and bond …"):
            net = stack.enter_context(
                localnet(home, WINDOW_HOURS, DESKS - M, changes=PLAN, start=start, history=blocks)
            )
            run = prepare(net, ipfs, stack, home / "soak.log")
        with out.status("waiting until everybody has joined …"):
            wait_for_all(net)
        with Live(console=out, refresh_per_second=2) as live:
            view = View(live, seconds)
            run.run(faults, seconds, view)
            run.settle(view)
        run.stop()
        with out.status("checking every invariant …"):
            results, evidence = judge(run)
            document = report(run, results, evidence, seed, minutes)
    (home / "report.json").write_text(json.dumps(document, indent=1) + "\n")
    out.print(table(results))
    shown = {name: document[name] for name in ("rounds", "final", "faults", "duties", "calls_a_node_a_round", "node")}
    out.print(shown)
    return not any(result.wrong for result in results)


if __name__ == "__main__":
    main()
