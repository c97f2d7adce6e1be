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
    config: Config = Path("node.toml"),
    rpc: Rpc = DEFAULT_RPC,
    chain_id: Annotated[
        int | None, typer.Option(help="Refuse any other chain; by default, than the deployment's.")
    ] = None,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    desk: Annotated[str | None, typer.Option(help="Use the rows of one desk only.")] = None,
    desk_column: Annotated[str | None, typer.Option(help="The tape's column that names the desk.")] = None,
    window_hours: Annotated[float | None, typer.Option(help="Train on the newest hours of the tape.")] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="ipfs+http://host:port, or a folder that all nodes share; by default `storage`, beside the config."
        ),
    ] = None,
    keystore: Annotated[
        Path | None, typer.Option(help="Key file to write; by default `key.json`, beside the config.")
    ] = None,
    import_key: Annotated[
        bool, typer.Option("--import-key", help=f"Take the private key in {PRIVATE_KEY} (hex); else it is a new one.")
    ] = False,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the key file's password; else FEDVOL_PASSWORD, else it is asked.")
    ] = None,
) -> None:
    """Writes a configuration with a comment on every setting, and an encrypted key file. Overwrites nothing.

    The journal will lie in the folder `data` beside the configuration: one node, one folder.

    Example: fedvol node init --tape trades.csv.gz --deployments deployments/1.json --storage ipfs+http://127.0.0.1:5001
    """
    from fedvol.node.config import write_config
    from fedvol.node.keystore import create

    if config.exists():
        raise ConfigError(f"{config} exists and is not overwritten.", "Name another file with --config.")
    if import_key and PRIVATE_KEY not in os.environ:
        raise ConfigError(f"--import-key finds no {PRIVATE_KEY}.", "Set it to the key, 32 bytes in hex.")
    key_file = (keystore or config.parent / "key.json").absolute()
    address = create(key_file, _new_password(password_file), os.environ[PRIVATE_KEY] if import_key else None)
    storage = storage or str(config.parent / "storage")
    write_config(
        config,
        {
            "rpc": rpc,
            "chain_id": chain_id,
            "deployments": str(deployments.absolute()),
            "federation": name,
            "keystore": str(key_file),
            "password_file": str(password_file.absolute()) if password_file else None,
            "tape": str(tape.absolute()),
            "desk": desk,
            "desk_column": desk_column,
            "window_hours": window_hours,
            "storage": storage if ":" in storage else str(Path(storage).absolute()),
            "data_dir": "data",
        },
    )
    out.print(f"account  {address}", soft_wrap=True)
    out.print(f"key      {key_file}  (keep a copy, and its password)", soft_wrap=True)
    out.print(f"config   {config}", soft_wrap=True)
    out.print(f"Send the account gas and bond tokens, then: fedvol node run --config {config}", soft_wrap=True)


@app.command()
def run(
    config: Config = Path("node.toml"),
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many published rounds; by default never.")
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

    With a privacy budget: epsilon spent and left, of one trade, over all rounds so far.

    Example: fedvol node status --config node.toml --json
    """
    from fedvol.commands.options import open_client
    from fedvol.node.budget import account
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
        privacy = account(journal, settings.privacy).facts() if settings.privacy else {"privacy_epsilon": None}
    node = snapshot.node
    tokens, wei = client.claimable(address, snapshot.block)
    earned_tokens, earned_wei = client.claimed(address, snapshot.block)
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
        "faults": node.faults,
        "balance_wei": node.balance_wei,
        "bond_tokens_held": node.tokens,
        "claimable_tokens": tokens,
        "claimable_wei": wei,
        "earned_tokens": earned_tokens,
        "earned_wei": earned_wei,
        "waiting_transactions": waiting,
    } | privacy
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
