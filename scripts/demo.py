"""`make demo`: eight desks and a cheat, masks, one surface, a quote from the chain.

Deploys on a fresh Anvil, runs eight nodes as processes of their own, each on its own tape, in clusters of four that sum
their updates under masks; kills one in the middle of a round, lets it come back, has a ninth propose a wrong model and
be caught, shows what an eavesdropper sees, and then reads quotes from the contract.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from fedvol.chain.federation import Phase, Snapshot
from fedvol.chain.versions import as_of_version
from fedvol.commands.quote import read_quote
from fedvol.console import out, table
from fedvol.errors import ConfigError, FedvolError
from fedvol.learning.model import ModelSpec, build
from fedvol.market.synthetic import desk_of, generate
from fedvol.market.tape import load_tape
from scripts._eavesdrop import eavesdrop, tell_masks
from scripts._localnet import ROOT, Desk, Localnet, localnet, told
from scripts._page import Served, dashboard
from scripts._report import DAY, Judge, forwards, gas_by_kind, newest, plot_smiles, plot_surface

DESKS = 8
CLUSTER = 4
PROVING = {"reveal_window": 90, "demand_window": 15, "unbonding": 900}
"""Seconds: six nodes on one machine prove at once."""
NORM = 1 << 46
KILL_IN_ROUND = 3
CHEAT_IN_ROUND = 4
BACK_AFTER_S = 4.0
QUIET_LIMIT_S = 120.0
LOOK_EVERY_S = 0.5
SNAPSHOTS = 8
QUOTE_DAYS = (7, 30, 90)
QUOTE_MONEYNESS = (0.8, 0.9, 1.0, 1.1, 1.2)


def split_tape(
    path: Path | None, column: str | None, seed: int, hours: float, desks: int = DESKS
) -> dict[str, pd.DataFrame]:
    """A tape for each of `desks`: by the column that names desks, else by market, maturity and wing; where that makes
    too few, the longest are halved."""
    if path is None:
        rows = generate(seed, hours, SNAPSHOTS)
    else:
        if column is None and path.suffix == ".parquet":
            names = pd.read_parquet(path).columns if path.exists() else []
            column = next((name for name in ("desk", "participant") if name in names), None)
        rows = load_tape(path, desk_column=column).rows
    if "desk" not in rows:
        days = ((rows["expiry_ms"] - rows["ts_ms"]) / 86_400_000).to_numpy()
        # Distance from the money in standard deviations stands in for delta.
        away = np.abs(np.log(rows["strike"] / rows["forward"])) / (rows["iv"] * np.sqrt(days / 365))
        rows = rows.assign(desk=desk_of(rows["market"].to_numpy(object), days, np.where(away > 1.04, 0.1, 0.5)))
    tapes = {f"desk-{name}": part.drop(columns="desk") for name, part in rows.groupby(rows["desk"].astype(str))}
    if len(tapes) < 2:
        raise ConfigError(f"The tape has rows of {len(tapes)} desk only.", "Use a tape of several desks, or name --by.")
    while len(tapes) < desks:
        name = max(tapes, key=lambda n: len(tapes[n]))
        whole = tapes.pop(name)
        tapes |= {f"{name}-{half}": whole.iloc[start::2] for half, start in (("a", 0), ("b", 1))}
    return dict(sorted(tapes.items(), key=lambda item: -len(item[1]))[:desks])


class Show:
    """The live view: rounds, phase, desks, and how the joint error falls."""

    def __init__(self, net: Localnet, judge: Judge, rounds: int) -> None:
        self.net, self.judge, self.rounds = net, judge, rounds
        self.errors: dict[int, float] = {}
        self.notes: list[str] = []
        self.bar = Progress(
            TextColumn("rounds final"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn()
        )
        self.task = self.bar.add_task("rounds", total=rounds)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def look(self) -> tuple[Snapshot, Group]:
        snapshot = self.net.snapshot()
        if snapshot.version not in self.errors:
            self.errors[snapshot.version] = self.judge.joint(
                self.net.client.model(snapshot.version),
                as_of_version(self.net.client, snapshot.version, snapshot.block),
            )
        self.bar.update(self.task, completed=min(snapshot.version - 1, self.rounds))
        clock = snapshot.clock
        view = Table(
            title=f"round {clock.number}: {snapshot.phase.name.lower()}"
            + (f", {max(0, snapshot.ends_at - snapshot.time)} s left" if snapshot.ends_at else "")
            + f" · {clock.committed} committed, {clock.revealed} revealed of {clock.selected}"
            + (f", {_unmasked(snapshot)} unmasked" if snapshot.roll else ""),
            title_justify="left",
        )
        for column in ("desk", "process", "rows it trains on"):
            view.add_column(column)
        for desk in self.net.desks:
            state = "[green]running[/]" if desk.alive else "[red]killed[/]"
            view.add_row(desk.name, state, str(len(self.judge.own[desk.name])))
        for rogue in self.net.rogues:
            state = "[green]running[/]" if rogue.alive else "[red]gone[/]"
            view.add_row(rogue.name, state, "next to none: it is here to cheat")
        path = " → ".join(f"{error:.2f}" for error in self.errors.values())
        return snapshot, Group(self.bar, view, f"joint error, vol points, by version: {path}", *self.notes[-4:])


def run_rounds(net: Localnet, judge: Judge, rounds: int) -> Show:
    """Watches until `rounds` rounds are final; kills one desk between its commit and its reveal."""
    show = Show(net, judge, rounds)
    victim: Desk | None = None
    back_at = quiet_until = 0.0
    seen = -1
    with Live(console=out, refresh_per_second=4) as live, Trap(net, show) as trap:
        while True:
            snapshot, view = show.look()
            live.update(view)
            now = time.monotonic()
            trap.watch(snapshot)
            if snapshot.version - 1 >= rounds and trap.caught:
                return show
            if snapshot.clock.number * 10 + snapshot.phase != seen:
                seen, quiet_until = snapshot.clock.number * 10 + snapshot.phase, now + QUIET_LIMIT_S
            if now > quiet_until:
                raise FedvolError(f"Nothing has moved for {QUIET_LIMIT_S:.0f} s.", f"See the logs in {net.home}.")
            if victim is None and snapshot.clock.number >= KILL_IN_ROUND:
                # Best between commit and reveal; where that passed unseen, anywhere in the next round.
                late = snapshot.clock.number > KILL_IN_ROUND
                victim = between_commit_and_reveal(net, snapshot) or (net.desks[0] if late else None)
                if victim:
                    net.kill(victim)
                    back_at = now + BACK_AFTER_S
                    phase = snapshot.phase.name.lower()
                    show.note(f"[red]kill -9 {victim.name}[/] in round {snapshot.clock.number}, phase {phase}")
            if victim and back_at and now > back_at:
                net.start(victim)
                show.note(f"[green]{victim.name} is back[/] and goes on with what its journal kept")
                back_at = 0.0
            dead = [desk.name for desk in net.desks if not desk.alive and desk is not victim]
            if dead:
                raise FedvolError(f"{', '.join(dead)} stopped by itself.", f"See node.log in {net.home}.")
            time.sleep(LOOK_EVERY_S)


def _unmasked(s: Snapshot) -> int:
    return sum(not s.roll.is_veiled(seat) for seat in range(s.clock.selected))


class Trap:
    """Lets the cheat be first once, by halting the desk whose turn it is, and tells how it is caught."""

    def __init__(self, net: Localnet, show: Show) -> None:
        self.net, self.show = net, show
        self.halted = ExitStack()
        self.state = "waiting"
        self.caught = False

    def __enter__(self) -> Trap:
        return self

    def __exit__(self, *_: object) -> None:
        self.halted.close()

    def watch(self, s: Snapshot) -> None:
        if self.caught:
            return
        client, cheat = self.net.client, self.net.rogues[0]
        # Not before the lead has unmasked: that would cost it a penalty.
        open_ = s.roll is not None and s.phase in (Phase.UNMASK, Phase.SETTLE) and not s.roll.is_veiled(s.lead_seat)
        if self.state == "waiting" and s.clock.number >= CHEAT_IN_ROUND and open_:
            lead = [d for d in self.net.desks if client.federation.functions.seatOf(d.address).call() == s.lead_seat]
            self.halted.enter_context(self.net.halted(lead))
            self.state = "set"
        elif self.state == "set" and s.phase not in (Phase.UNMASK, Phase.SETTLE, Phase.PROPOSE):
            self.halted.close()
            self.state = "waiting"  # somebody else was first: again in the next round
            if s.proposal.proposer == cheat.address:
                self.state = "sprung"
                self.show.note(
                    f"[red]{cheat.name} proposes[/] in round {s.clock.number}: a weight is wrong by one unit"
                )
        for event in client.events("Overturned", s.block):
            names = {desk.address: desk.name for desk in self.net.desks}
            accuser, lost = names.get(event["args"]["accuser"], "a stranger"), event["args"]["taken"] / 1e18
            self.show.note(
                f"[green]{accuser} proves it wrong[/] on chain: {cheat.name} loses {lost:g} tokens, its bond"
            )
            self.halted.close()
            self.caught = True


def between_commit_and_reveal(net: Localnet, snapshot: Snapshot) -> Desk | None:
    """A desk whose commit is on chain, and whose reveal is not."""
    if snapshot.phase not in (Phase.COMMIT, Phase.SETTLE, Phase.REVEAL):
        return None
    for desk in net.desks:
        _, number, _, state = net.client.federation.functions.ballotOf(desk.address).call()
        if number == snapshot.clock.number and state == 1:
            return desk
    return None


def show_page(net: Localnet) -> AbstractContextManager[Served]:
    """The federation's page, set against the first desk's own tape."""
    options = "--storage", net.home / "storage", "--tape", net.desks[0].tape
    return dashboard(net.url, net.deployments, net.home / "dashboard.log", *options)


def keep(net: Localnet, page: str) -> None:
    """Lets the federation go on until Ctrl-C."""
    for desk in net.desks:
        net.start(desk)
    out.print(f"The federation goes on, and its page stays at {page}/ until Ctrl-C.")
    while True:
        time.sleep(1)


def read_quotes(net: Localnet, forward: dict[str, float]) -> list[dict[str, object]]:
    """Quotes from the contract, on the feeds' prices."""
    quotes = []
    for market, price in forward.items():
        step = 10 ** (len(str(int(price))) - 2)
        for days in QUOTE_DAYS:
            expiry = net.client.web3.eth.get_block("latest")["timestamp"] + days * DAY
            for moneyness in QUOTE_MONEYNESS:
                strike = round(price * moneyness / step) * step
                quotes.append(read_quote(net.client, market, strike, expiry) | {"expiry_days": days})
    return quotes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", type=Path, help="a real tape; a synthetic market if left out")
    parser.add_argument("--by", help="column of the tape that names desks (default: desk or participant, if there)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds to run, at least 5")
    parser.add_argument("--window-hours", type=float, default=6.0, help="how much of the tape's end is used")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic market")
    parser.add_argument("--proofs", choices=("bounded", "trained"), help="what every update must prove")
    parser.add_argument("--keep", action="store_true", help="keep chain, desks and dashboard up afterwards")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo")
    options = parser.parse_args()
    with told():
        if options.rounds < 5:
            raise ConfigError(f"{options.rounds} rounds show too little.", "Use at least 5.")
        demo(options)


def demo(options: argparse.Namespace) -> None:
    start = time.monotonic()
    tapes = split_tape(options.tape, options.by, options.seed, options.window_hours)
    shutil.rmtree(options.out, ignore_errors=True)
    what = f"the tape {options.tape}" if options.tape else f"a synthetic market (seed {options.seed})"
    out.print(
        f"[bold]FedVol[/]: {len(tapes)} desks, clusters of {CLUSTER}, {what}. Starting a chain and deploying with ape …"
    )
    rounds = {"cluster_size": CLUSTER, "seats": DESKS, "min_members": DESKS}
    changes: dict[str, dict[str, object]] = {"rounds": rounds}
    if options.proofs:
        changes = {"rounds": rounds | PROVING, "bonds": {"demand_bond": str(10**17)}}
        changes["proofs"] = {"kind": options.proofs, "norm": NORM}
    with (
        localnet(options.out, options.window_hours, len(tapes), changes=changes, start=newest(tapes)) as net,
        ExitStack() as shown,
    ):
        spec = ModelSpec.from_json(json.dumps(net.client.deployment.spec))
        judge = Judge(build(spec), tapes, options.window_hours)
        forward = {market: price for market, price in forwards(judge.market).items() if market in spec.markets}
        for market, price in forward.items():
            net.set_price(market, price)
        with out.status("giving each desk its tape, its key and its bond …"):
            for name, tape in tapes.items():
                net.add_desk(name, tape)
            module = [sys.executable, "-m", "scripts.attacker", "--cheat-in-round", CHEAT_IN_ROUND]
            cheat = net.add_desk("cheat", next(iter(tapes.values())).head(1), [str(part) for part in module])
        # The cheat is one too many for the seats: the first round waits until all have joined.
        net.send("Federation", net.client.federation.address, "pause")
        page = shown.enter_context(show_page(net)).url if options.keep else None
        if page:
            out.print(f"Watch it live at [bold]{page}/[/]")
        net.start(cheat)
        for desk in net.desks:
            net.start(desk)
        with out.status("waiting until everybody has joined …"):
            while net.snapshot().joining < len(net.desks) + 1:
                time.sleep(LOOK_EVERY_S)
        net.send("Federation", net.client.federation.address, "unpause")
        show = run_rounds(net, judge, options.rounds)
        out.print()
        net.stop()
        with out.status("judging, drawing, reading quotes from the contract …"):
            summary = summarize(net, judge, show, forward, options.rounds)
            plot_smiles(options.out / "smiles.png", net.client, judge, forward)
            first = next(iter(forward))
            plot_surface(options.out / "surface.png", net.client, first, forward[first])
        summary["wall_s"] = round(time.monotonic() - start, 1)
        (options.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        tell(summary, options.out)
        if page:
            keep(net, page)
    out.print("`make demo KEEP=1` shows it live on a local page, and keeps the federation going until Ctrl-C.")


def summarize(net: Localnet, judge: Judge, show: Show, forward: dict[str, float], rounds: int) -> dict[str, object]:
    snapshot = net.snapshot()
    record = net.client.registry.functions.versionAt(snapshot.version).call()
    final = snapshot.version - 1
    alone, gas = judge.alone(rounds), gas_by_kind(net.client)
    desks = {desk.address for desk in net.desks}
    disproved = [e for e in net.client.events("Overturned", snapshot.block) if e["args"]["accuser"] in desks]
    return {
        "nodes": len(net.desks),
        "rounds_final": final,
        "rounds_void": snapshot.clock.number - final - (0 if snapshot.published else 1),
        "model_version": snapshot.version,
        "model_content_id": record[0].hex(),
        "disputes_won": len(disproved),
        "slashed": sum(e["args"]["taken"] for e in disproved) / 1e18,
        "rmse_joint": show.errors[snapshot.version],
        "rmse_local_mean": float(np.mean(list(alone.values()))),
        "rmse_local": alone,
        "rmse_flat": judge.flat(),
        "rmse_by_version": {str(version): error for version, error in show.errors.items()},
        "held_out_rows": len(judge.held),
        "masks": eavesdrop(net, snapshot),
        "quotes": read_quotes(net, forward),
        "gas": {name: used["median"] for name, used in gas.items()},
        "gas_detail": gas,
    }


def tell(summary: dict, folder: Path) -> None:
    tell_masks(summary["masks"])
    table(
        f"error on {summary['held_out_rows']} rows that nobody trained on, vol points",
        ["model", "RMSE"],
        [
            ["joint, from the chain", summary["rmse_joint"]],
            *[[f"{name} alone", error] for name, error in summary["rmse_local"].items()],
            ["mean desk alone", summary["rmse_local_mean"]],
            ["one flat vol", summary["rmse_flat"]],
        ],
    )
    table(
        f"quotes from PricingEngine, model version {summary['model_version']}",
        ["market", "days", "strike", "iv %", "call", "put", "delta"],
        [
            [q["market"], q["expiry_days"], q["strike"], q["iv"] * 100, q["call"], q["put"], q["delta"]]
            for q in summary["quotes"]
        ],
    )
    table(
        "gas by transaction",
        ["call", "times", "median", "largest"],
        [[name, g["count"], g["median"], g["max"]] for name, g in summary["gas_detail"].items()],
    )
    out.print(
        f"{summary['nodes']} desks, {summary['rounds_final']} rounds final, {summary['rounds_void']} void, "
        f"{summary['disputes_won']} wrong proposal disproved, {summary['slashed']:g} tokens slashed, "
        f"{summary['wall_s']:.0f} s. Pictures and summary.json: {folder}"
    )


if __name__ == "__main__":
    main()
