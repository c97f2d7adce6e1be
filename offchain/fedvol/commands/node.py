"""`fedvol node`: set up, run and look at one participant."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedvol.commands.options import Json, Name, parse_address
from fedvol.console import emit, out, table
from fedvol.errors import ConfigError, KeyfileError

if TYPE_CHECKING:
    from rich.text import Text

    from fedvol.node.check import Finding

app = typer.Typer(no_args_is_help=True, help="Set up, run and look at your node: one process beside your tape.")

PRIVATE_KEY = "FEDVOL_PRIVATE_KEY"

Config = Annotated[Path, typer.Option("--config", help="The node's configuration (TOML).")]


@app.command()
def init(
    tape: Annotated[Path | None, typer.Option(help="Your tape: a file, or a folder of files.")] = None,
    config: Config = Path("node.toml"),
    rpc: Annotated[str | None, typer.Option(envvar="FEDVOL_RPC", help="JSON-RPC endpoint of the chain.")] = None,
    chain_id: Annotated[
        int | None, typer.Option(help="Refuse any other chain; by default, than the deployment's.")
    ] = None,
    deployments: Annotated[
        Path | None, typer.Option(envvar="FEDVOL_DEPLOYMENTS", help="Deployment file, from the founder.")
    ] = None,
    name: Name = None,
    desk: Annotated[str | None, typer.Option(help="Use the rows of one desk only.")] = None,
    desk_column: Annotated[str | None, typer.Option(help="The tape's column that names the desk.")] = None,
    window_hours: Annotated[float | None, typer.Option(help="Train on the newest hours of the tape.")] = None,
    storage: Annotated[
        str | None, typer.Option(help="ipfs+http://host:port, or a folder that all nodes share.")
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
    withdrawal: Annotated[
        str | None, typer.Option(help="Cold address that bond and rewards are paid to; named on chain for good.")
    ] = None,
) -> None:
    """Writes a configuration with a comment on every setting, and an encrypted key file. Overwrites nothing.

    On a terminal it asks for --tape, --deployments, --rpc and --storage where they are not given, and tries each answer
    at once; without one they must be given. The journal will lie in the folder `data` beside the configuration: one
    node, one folder.

    Example: fedvol node init --tape trades.csv.gz --rpc https://… --deployments deployments/1.json
    --storage ipfs+http://127.0.0.1:5001
    """
    from fedvol.commands.questions import Place, completed
    from fedvol.node.config import write_config
    from fedvol.node.keystore import create

    if config.exists():
        raise ConfigError(f"{config} exists and is not overwritten.", "Name another file with --config.")
    if import_key and PRIVATE_KEY not in os.environ:
        raise ConfigError(f"--import-key finds no {PRIVATE_KEY}.", "Set it to the key, 32 bytes in hex.")
    if withdrawal is not None:
        parse_address(withdrawal, "--withdrawal")
    place = completed(Place(tape, desk_column, desk, deployments, name, rpc, storage))
    key_file = (keystore or config.parent / "key.json").absolute()
    account = create(key_file, _new_password(password_file), os.environ[PRIVATE_KEY] if import_key else None)
    settings = {
        "rpc": place.rpc,
        "chain_id": chain_id,
        "deployments": str(place.deployments.expanduser().absolute()),
        "federation": place.name,
        "keystore": str(key_file),
        "password_file": str(password_file.absolute()) if password_file else None,
        "withdrawal": withdrawal,
        "tape": str(place.tape.expanduser().absolute()),
        "desk": place.desk,
        "desk_column": place.desk_column,
        "window_hours": window_hours,
        "storage": place.storage if ":" in place.storage else str(Path(place.storage).expanduser().absolute()),
        "data_dir": "data",
    }
    try:
        write_config(config, settings)
    except BaseException:
        key_file.unlink()  # nobody has heard of this key yet, or it was imported
        raise
    out.print(f"account  {account}", soft_wrap=True)
    out.print(f"key      {key_file}  (keep a copy, and its password)", soft_wrap=True)
    out.print(f"config   {config}", soft_wrap=True)
    out.print(f"Send the account gas and bond tokens, then: fedvol node check --config {config}", soft_wrap=True)


@app.command()
def check(config: Config = Path("node.toml"), as_json: Json = False) -> None:
    """Tells before it costs money: looks at all that the node needs, and sends nothing. A line each.

    Green: well. Yellow: it will run; note what to do. Red: it will not, or will lose by it. Exit code: that of the
    first red line, else 0. It needs the key file's password, as `fedvol node run` does.

    Example: fedvol node check --config node.toml
    """
    from fedvol.node.check import check as look
    from fedvol.node.check import exit_code

    findings = look(config)
    code = exit_code(findings)
    if as_json:
        emit({"exit_code": code, "checks": [finding.document() for finding in findings]})
    else:
        for finding in findings:
            out.print(_line(finding), soft_wrap=True)
    raise typer.Exit(code)


@app.command()
def run(
    config: Config = Path("node.toml"),
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many published rounds; by default never.")
    ] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="One JSON document a log line.")] = False,
) -> None:
    """Runs the node: it joins, trains, commits, reveals, proposes, and keeps the rounds going.

    Stop it with Ctrl-C or SIGTERM: it stays for what is at stake, at most `stop_patience` seconds; a second one ends it
    at once. Or kill it: started again, it goes on where it was. A round's update is trained once and written to its
    journal before anything is sent.

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

    The phase and the node's next duty with their seconds left, bond and penalties, the model's versions, the last
    transactions. With a privacy budget: epsilon spent and left, of one trade, over all rounds so far.

    Example: fedvol node status --config node.toml --json
    """
    from fedvol.commands.options import open_client
    from fedvol.node.config import load_config
    from fedvol.node.keystore import address_of
    from fedvol.node.status import status as look

    settings = load_config(config)
    address = address_of(settings.keystore)
    found = look(open_client(settings.rpc, settings.deployments, settings.federation), address, settings)
    if as_json:
        emit(found)
        return
    actions, rounds = found.pop("actions"), found.pop("journal")
    rows = [[key, _shown(key, value)] for key, value in found.items() if key != "account"]
    table(f"node {address}", ["", "value"], rows)
    heads = ["act", "round", "outcome", "block", "blocks ago", "seconds ago", "gas"]
    table("last transactions", heads, [[_shown("", value) for value in action.values()] for action in actions])
    table(
        "rounds in the journal", ["round", "from version", "step", "update"], [list(part.values()) for part in rounds]
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


_AMOUNTS = (
    "bond", "next_penalty", "duty_penalty", "slashed", "balance_wei", "bond_tokens_held", "claimable_tokens",
    "claimable_wei", "earned_tokens", "earned_wei",
)  # fmt: skip
"""Of `fedvol node status`: in smallest units, shown in whole ones."""

_COLOURS = {"green": "green", "yellow": "yellow", "red": "bold red", "unknown": "dim"}


def _line(finding: Finding) -> Text:
    from rich.text import Text

    line = Text(f"{finding.colour:8}", style=_COLOURS[finding.colour])
    line.append(f"{finding.name:14} {finding.text}", style="default")
    return line.append(f" {finding.next}", style="dim") if finding.next else line


def _shown(key: str, value: Any) -> str:
    from fedvol.chain.outbox import ether

    if value in (None, [], {}):
        return "–"
    if key in _AMOUNTS:
        return ether(value)
    if key.endswith(("_in", "_age")):
        return f"{value:,} s"
    return json.dumps(value) if isinstance(value, list | dict) else str(value)
