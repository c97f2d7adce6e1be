"""`fedvol prove` and `fedvol verify`: the proofs of the running round, made and judged by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedvol.commands.options import DEFAULT_DEPLOYMENTS, DEFAULT_RPC, Deployments, Json, Name, Rpc, open_client
from fedvol.console import emit, err, table
from fedvol.errors import ChainError, ConfigError, FedvolError

if TYPE_CHECKING:
    from fedvol.chain.federation import FederationClient, Reveal, Snapshot
    from fedvol.storage import Storage


def prove(
    config: Annotated[Path, typer.Option("--config", help="The node's configuration.")] = Path("node.toml"),
    out: Annotated[Path | None, typer.Option(help="Write the evidence to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Proves the update that this node has committed to in the running round, and shows what that takes.

    The daemon does so by itself; this runs beside it, changes nothing, and sends nothing.

    Example: fedvol prove --config node.toml --out evidence.bin
    """
    from fedvol.node.attest import Attest
    from fedvol.node.config import load_config
    from fedvol.node.journal import read_journal
    from fedvol.node.keystore import load
    from fedvol.node.maskkeys import MaskKeys
    from fedvol.node.parts import trainer_of
    from fedvol.node.veil import Veil
    from fedvol.proofs.circuits import make

    settings = load_config(config)
    account = load(settings.keystore, settings.password())
    client = open_client(settings.rpc, settings.deployments, settings.federation)
    _require_proofs(client)
    s = client.snapshot(account.address)
    with read_journal(settings.data_dir) as journal:
        part = journal and journal.prepared(s.clock.number, s.clock.seed)
        if part is None or s.roll is None or s.node.ballot_round != s.clock.number:
            raise ConfigError(
                f"{account.address} has committed to nothing in round {s.clock.number}.",
                "Run the node; try again once it has committed.",
            )
        veil = Veil(client, account.address, MaskKeys(settings.data_dir / "mask-keys", account), journal, 0)
        trainer = trainer_of(settings, client.deployment)
        attest = Attest(client, account.address, journal, veil, trainer, settings.data_dir)
        claim, inputs = attest.to_prove(part, s)
    kind = attest.terms.kind.name.lower()
    with err.status("proving …") as status:
        made = make(attest.backend, kind, inputs, lambda step: status.update(f"proving: {step} …"))
    evidence = claim.evidence.proven(made.proof)
    if out is not None:
        out.write_bytes(evidence.encoded())
    facts = {
        "round": part.number,
        "proves": kind,
        "reference string": attest.backend.string.name,
        "proof id": f"0x{evidence.proof_id.hex()}",
        "proof bytes": len(made.proof),
        "public inputs": len(made.inputs),
        "seconds": round(made.seconds, 2),
        "peak memory, MB": made.peak_memory >> 20,
    }
    if as_json:
        emit(facts)
    else:
        table(f"proof of {account.address}", ["", "value"], [[key, value] for key, value in facts.items()])


def verify(
    storage: Annotated[
        str, typer.Option(help="Where the members pin their bytes: a folder, or ipfs+http://host:port.")
    ],
    node: Annotated[str | None, typer.Option(help="Judge this node's proof only.")] = None,
    evidence: Annotated[
        Path | None, typer.Option(help="Evidence in a file (`fedvol prove --out`) instead of what the node pinned.")
    ] = None,
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    as_json: Json = False,
) -> None:
    """Has the chain's verifier judge the proofs of the running round, in calls that cost nothing.

    Exit codes: 0 all hold, 8 one does not.

    Example: fedvol verify --storage ipfs+http://127.0.0.1:5001
    """
    from fedvol.storage import open_storage

    if evidence is not None and node is None:
        raise ConfigError("Evidence in a file is one node's.", "Say whose with --node.")
    client = open_client(rpc, deployments, name)
    _require_proofs(client)
    s = client.snapshot()
    reveals = [r for r in client.reveals(s.clock.number, s.block) if node is None or r.node.lower() == node.lower()]
    if not reveals:
        whose = f"{node} has" if node else "Nobody has"
        raise ChainError(f"{whose} revealed in round {s.clock.number}.", "Look again after the next reveal.")
    rows = [_judge(client, open_storage(storage), reveal, evidence, s) for reveal in reveals]
    if as_json:
        emit({"federation": client.deployment.name, "round": s.clock.number, "proofs": rows})
    else:
        title = f"proofs of round {s.clock.number} of {client.deployment.name}"
        table(title, list(rows[0]), [list(row.values()) for row in rows])
    raise typer.Exit(0 if all(row["verdict"] == "holds" for row in rows) else 8)


def _judge(
    client: FederationClient, storage: Storage, reveal: Reveal, file: Path | None, s: Snapshot
) -> dict[str, Any]:
    from fedvol.chain.proofs import Claim, refusal
    from fedvol.protocol.evidence import Evidence, Pledge

    started = time.perf_counter()
    try:
        data = storage.get(reveal.content_id)
        pinned = file.read_bytes() if file else storage.get(Pledge.read(storage.get(reveal.pledge)).proof_id)
        why = refusal(client, Claim.of(reveal, data, Evidence.read(pinned)), s.block)
    except FedvolError as error:
        why = error.message
    milliseconds = round(1000 * (time.perf_counter() - started))
    return {"node": reveal.node, "verdict": "holds" if why is None else why, "ms": milliseconds}


def _require_proofs(client: FederationClient) -> None:
    if client.proofs is None:
        raise ConfigError(
            f"Federation {client.deployment.name} asks for no proofs.", "There is nothing to prove or verify in it."
        )
