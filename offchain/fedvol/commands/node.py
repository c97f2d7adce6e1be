"""`fedvol node`: set up, run and look at one participant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from fedvol.commands.options import DEFAULT_DEPLOYMENTS, DEFAULT_RPC, Deployments, Json, Name, Rpc
from fedvol.console import emit, out, table
from fedvol.errors import ConfigError, KeyfileError

app = typer.Typer(no_args_is_help=True, help="Set up, run and look at your node: one process beside your tape.")

PRIVATE_KEY = "FEDVOL_PRIVATE_KEY"

Config = Annotated[Path, typer.Option("--config", help="The node's configuration (TOML).")]


@app.command()
def init(
    tape: Annotated[Path, typer.Option(help="Your tape: a file, or a folder of files.")],
    storage: Annotated[str, typer.Option(help="Folder that all nodes share, or ipfs+http://host:port.")],
    config: Config = Path("node.toml"),
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    desk: Annotated[str | None, typer.Option(help="Use the rows of one desk only.")] = None,
    keystore: Annotated[Path, typer.Option(help="Key file to write.")] = Path("node.key.json"),
    data_dir: Annotated[Path, typer.Option(help="The node's own folder, for its journal.")] = Path("node-data"),
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the password; else FEDVOL_PASSWORD, else asked.")
    ] = None,
) -> None:
    """Writes a configuration with a comment on every setting, and an encrypted key file. Overwrites nothing.

    The key is new, or the one in FEDVOL_PRIVATE_KEY (hex). Relative paths in the configuration start at its folder.

    Example: fedvol node init --tape trades.parquet --storage ipfs+http://127.0.0.1:5001 --deployments deployments/1.json
    """
    from fedvol.node.config import write_config
    from fedvol.node.keystore import create

    if config.exists():
        raise ConfigError(f"{config} exists and is not overwritten.", "Name another file with --config.")
    address = create(keystore, _new_password(password_file), os.environ.get(PRIVATE_KEY))
    write_config(
        config,
        rpc=rpc,
        deployments=deployments,
        federation=name,
        keystore=keystore,
        password_file=password_file,
        tape=tape,
        desk=desk,
        storage=storage,
        data_dir=data_dir,
    )
    out.print(f"account  {address}", soft_wrap=True)
    out.print(f"key      {keystore}  (keep a copy, and its password)", soft_wrap=True)
    out.print(f"config   {config}", soft_wrap=True)
    out.print(f"Send the account gas and bond tokens, then: fedvol node run --config {config}", soft_wrap=True)


@app.command()
def run(
    config: Config = Path("node.toml"),
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many published rounds. [default: never]")
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="One JSON document a log line.")] = False,
) -> None:
    """Runs the node: it joins, trains, commits, reveals, proposes, and keeps the rounds going.

    Stop it with Ctrl-C or SIGTERM, or kill it: started again, it goes on where it was. A round's update is
    trained once and written to its journal before anything is sent.

    Example: FEDVOL_PASSWORD=… fedvol node run --config node.toml
    """
    from fedvol.node.config import load_config
    from fedvol.node.log import configure

    configure(log_json)
    settings = load_config(config)

    from fedvol.node.daemon import run as run_daemon  # brings torch: not before the configuration is good

    run_daemon(settings, rounds)


@app.command()
def status(config: Config = Path("node.toml"), as_json: Json = False) -> None:
    """Shows what the journal and the chain say of this node, whether or not it runs. Needs no password.

    Example: fedvol node status --config node.toml --json
    """
    from fedvol.commands.options import open_client
    from fedvol.node.config import load_config
    from fedvol.node.journal import read_journal
    from fedvol.node.keystore import address_of

    settings = load_config(config)
    address = address_of(settings.keystore)
    client = open_client(settings.rpc, settings.deployments, settings.federation)
    snapshot = client.snapshot(address)
    with read_journal(settings.data_dir) as journal:
        rounds = journal.latest(10) if journal else []
        waiting = journal.waiting() if journal else []
    node = snapshot.node
    found: dict[str, Any] = {
        "account": address,
        "federation": client.deployment.name,
        "chain_id": client.deployment.chain_id,
        "block": snapshot.block,
        "round": snapshot.clock.number,
        "phase": snapshot.phase.name.lower(),
        "model_version": snapshot.version,
        "status": node.status,
        "seat": node.seat,
        "bond": node.bond,
        "silences": node.silences,
        "balance_wei": node.balance_wei,
        "bond_tokens_held": node.tokens,
        "waiting_transactions": waiting,
    }
    history = [
        {
            "round": part.number,
            "from_version": part.version,
            "step": part.step,
            "content_id": f"0x{part.content_id.hex()}",
        }
        for part in rounds
    ]
    if as_json:
        emit(found | {"journal": history})
        return
    table(f"node {address}", ["", "value"], [[key, _shown(value)] for key, value in found.items() if key != "account"])
    table(
        "rounds in the journal", ["round", "from version", "step", "update"], [list(part.values()) for part in history]
    )


def _new_password(password_file: Path | None) -> str:
    from fedvol.node.config import PASSWORD, read_password

    if password_file is not None:
        return read_password(password_file)
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    if not os.isatty(0):
        raise KeyfileError("The new key file needs a password.", f"Set {PASSWORD}, or name a --password-file.")
    return typer.prompt("Password for the new key file", hide_input=True, confirmation_prompt=True)


def _shown(value: Any) -> str:
    return "–" if value in (None, []) else json.dumps(value) if isinstance(value, list) else str(value)
