"""`fedvol federation`: what a federation is, and what it is doing."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedvol.commands.options import DEFAULT_DEPLOYMENTS, DEFAULT_RPC, Deployments, Json, Name, Rpc, open_client
from fedvol.console import emit, out, table

if TYPE_CHECKING:
    from rich.table import Table

    from fedvol.chain.federation import FederationClient, NodeState, Snapshot

app = typer.Typer(no_args_is_help=True, help="Look at a federation: its members, its round, its model.")

BALLOTS = ("–", "committed", "revealed", "silent", "demanded", "answered", "dropped")
"""By ballot state. A demand that is not answered in time drops its node."""


@app.command()
def show(
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Shows round, members, bonds and parameters, all read at one block.

    Example: fedvol federation show --rpc http://127.0.0.1:8545 --deployments deployments/31337.json
    """
    client = open_client(rpc, deployments, name)
    snapshot = client.snapshot()
    members = client.members(snapshot)
    if as_json:
        emit(_document(client, snapshot, members))
        return
    table(f"federation {client.deployment.name}", ["", "value"], [list(pair) for pair in _summary(client, snapshot)])
    table(
        "members",
        ["#", "node", "status", "seat", "this round", "bond", "faults"],
        [[m.index, m.address, m.status, _seat(m), _ballot(m, snapshot), m.bond / 1e18, m.faults] for m in members],
    )
    table("parameters", ["name", "value"], [[key, str(value)] for key, value in snapshot.params.items()])


@app.command()
def watch(
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 1.0,
    rounds: Annotated[int, typer.Option(help="Stop after this many rounds have ended; 0 = never.")] = 0,
    as_json: Json = False,
) -> None:
    """Follows the round live: phase, countdown, who has acted. With --json, one document for each change.

    Example: fedvol federation watch --rounds 3
    """
    from rich.live import Live

    client = open_client(rpc, deployments, name)
    first = client.snapshot().clock.number
    last: tuple[Any, ...] = ()
    with Live(console=out, refresh_per_second=4, transient=False, screen=False) as live:
        while True:
            snapshot = client.snapshot()
            members = client.members(snapshot)
            state = (snapshot.phase, snapshot.clock, snapshot.version)
            if as_json and state != last:
                live.stop()
                emit(_document(client, snapshot, members))
            elif not as_json:
                live.update(_view(client, snapshot, members))
            last = state
            ended = snapshot.clock.number - first + (1 if snapshot.published or snapshot.phase.name == "VOID" else 0)
            if rounds and ended >= rounds:
                return
            time.sleep(every)


def _seat(member: NodeState) -> str:
    return "–" if member.seat is None else str(member.seat)


def _ballot(member: NodeState, snapshot: Snapshot) -> str:
    return BALLOTS[member.ballot_state] if member.ballot_round == snapshot.clock.number else "–"


def _summary(client: FederationClient, s: Snapshot) -> list[tuple[str, str]]:
    left = f", {max(0, s.ends_at - s.time)} s left" if s.ends_at else ""
    return [
        ("chain", f"{client.deployment.chain_id}, block {s.block}"),
        ("contract", client.federation.address),
        ("round", f"{s.clock.number}: {s.phase.name.lower()}{left}"),
        ("committed", f"{s.clock.committed} of {s.clock.selected} (quorum {s.clock.quorum})"),
        ("revealed", f"{s.clock.revealed} of {s.clock.committed}"),
        ("masks", _masks(s)),
        ("demands", f"{s.clock.demands} not answered"),
        ("wrong proposals", f"{s.proposal.failures} in this round"),
        ("members", f"{s.members} and {s.joining} joining"),
        ("model", f"version {s.version}, {s.time - s.published_at} s old"),
        ("pricing engine", client.engine.address),
    ]


def _masks(s: Snapshot) -> str:
    if s.roll is None:
        return "none: plain rounds"
    opened = sum(map(s.roll.is_open, s.roll.clusters))
    return f"clusters of {s.roll.m}, {opened} of {len(s.roll.clusters)} opened"


def _document(client: FederationClient, snapshot: Snapshot, members: list[NodeState]) -> dict[str, Any]:
    state = asdict(snapshot) | {"phase": snapshot.phase.name.lower()}
    state["clock"]["stage"] = snapshot.clock.stage.name.lower()
    state["proposal"]["content_id"] = snapshot.proposal.content_id.hex()
    del state["node"]
    return {"deployment": asdict(client.deployment), "state": state, "members": [asdict(m) for m in members]}


def _view(client: FederationClient, snapshot: Snapshot, members: list[NodeState]) -> Table:
    from rich.table import Table

    view = Table(title=f"{client.deployment.name}: " + _summary(client, snapshot)[2][1], title_justify="left")
    for column in ("node", "seat", "this round", "bond"):
        view.add_column(column)
    for m in members:
        view.add_row(m.address, _seat(m), _ballot(m, snapshot), f"{m.bond / 1e18:,.0f}")
    view.caption = f"model version {snapshot.version} · block {snapshot.block}"
    return view
