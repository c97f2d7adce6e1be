"""`fedvol audit`: a past round, checked by yourself."""

from __future__ import annotations

from typing import Annotated

import typer

from fedvol.commands.options import DEFAULT_DEPLOYMENTS, DEFAULT_RPC, Deployments, Json, Name, Rpc, open_client
from fedvol.console import emit, table


def audit(
    round_number: Annotated[int, typer.Option("--round", min=1, help="Which round.")],
    storage: Annotated[
        str, typer.Option(help="Where the members pin their bytes: a folder, or ipfs+http://host:port.")
    ],
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Recomputes a past round from chain and storage alone: seed, seats, commits, vectors, proposals, disputes, model.

    Exit codes: 0 all holds, 8 something is wrong, 9 bytes are missing, 10 not all can be checked, or the round runs.
    A full node serves headers, events and the latest state; seats and commits of old rounds need an archive node.

    Example: fedvol audit --round 12 --storage ipfs+http://127.0.0.1:5001
    """
    from fedvol.node.audit import audit as look
    from fedvol.node.audit import exit_code
    from fedvol.storage import open_storage

    client = open_client(rpc, deployments, name)
    findings = look(client, open_storage(storage), round_number)
    code = exit_code(findings)
    if as_json:
        steps = [{"step": f.step, "what": f.what, "verdict": str(f.verdict)} for f in findings]
        emit({"federation": client.deployment.name, "round": round_number, "exit_code": code, "steps": steps})
    else:
        title = f"round {round_number} of {client.deployment.name}"
        table(title, ["step", "what", "verdict"], [[f.step, f.what, str(f.verdict)] for f in findings])
    raise typer.Exit(code)
