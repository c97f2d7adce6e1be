"""What `fedvol node init` asks where a terminal is there and a flag was not given; each answer is tried at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from fedvol.console import err, out
from fedvol.errors import ConfigError, FedvolError


@dataclass(frozen=True)
class Place:
    """Where a node's tape, chain and storage are. None: not told; `desk_column`, `desk`, `name`: not needed."""

    tape: Path | None
    desk_column: str | None
    desk: str | None
    deployments: Path | None
    name: str | None
    rpc: str | None
    storage: str | None


def completed(told: Place) -> Place:
    """With all that was not told and is needed.

    Raises:
        ConfigError: there is no terminal to ask at; it names the first flag that is missing.
    """
    p = told
    if p.tape is None:
        what = "Your tape: a file of trades or quotes, or a folder of files."
        p = replace(p, tape=Path(_ask("--tape", what, "trades.parquet", _tape)))
    if p.desk_column is None and p.desk is None and _can_ask():
        column = _ask(
            "--desk-column",
            "If the tape holds several desks: the column that names them. Leave it empty where all rows are yours.",
            "",
            lambda answer: _desks(p.tape, answer),
        )
        desk = column and _ask("--desk", "Your desk.", None, lambda answer: _tape(p.tape, column, answer))
        p = replace(p, desk_column=column or None, desk=desk or None)
    if p.deployments is None:
        what = "The deployment file, which you have from the founder: addresses, and the model."
        p = replace(p, deployments=Path(_ask("--deployments", what, "deployments/1.json", _deployments)))
    if p.name is None and _can_ask() and len(names := _federations(p.deployments)) > 1:
        what = f"The file holds several federations: {', '.join(names)}."
        p = replace(p, name=_ask("--name", what, names[0], lambda answer: _deployment(p.deployments, answer)))
    if p.rpc is None:
        what = "An RPC endpoint of the chain: your own node's, or a provider's."
        p = replace(p, rpc=_ask("--rpc", what, "http://127.0.0.1:8545", lambda a: _rpc(a, p.deployments, p.name)))
    if p.storage is None:
        what = "The storage that all members share: ipfs+http://host:port of your own IPFS node, or a folder."
        p = replace(p, storage=_ask("--storage", what, "ipfs+http://127.0.0.1:5001", _storage))
    return p


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(flag: str, what: str, default: str | None, tries: Callable[[str], str]) -> str:
    """An answer that was tried, or that is kept although it leads to nothing.

    Args:
        tries: says in a few words what the answer leads to, or raises FedvolError.
    """
    if not _can_ask():
        raise ConfigError(f"{flag} is missing.", f"{what} There is no terminal to ask at: give the flag.")
    out.print(f"\n{what}", highlight=False, markup=False)
    while True:
        answer = typer.prompt(flag, default=default, show_default=bool(default)).strip()
        try:
            out.print(f"  ok: {tries(answer)}", highlight=False, markup=False)
            return answer
        except FedvolError as error:
            err.print(f"  {error}", highlight=False, markup=False, soft_wrap=True)
        if typer.confirm("Keep it all the same?", default=False):
            return answer


# ---------------------------------------------------------------------- the trials


def _tape(path: Path | str, column: str | None = None, desk: str | None = None) -> str:
    from fedvol.market.tape import load_tape

    found = load_tape(Path(path).expanduser(), column, desk)
    return f"{found.format}, {len(found.rows):,} usable rows"


def _desks(path: Path, column: str) -> str:
    if not column:
        return "all rows"
    from fedvol.market.tape import load_tape

    rows = load_tape(path.expanduser(), column).rows
    return ", ".join(f"{desk} ({count:,} rows)" for desk, count in rows["desk"].value_counts().head(12).items())


def _federations(path: Path) -> list[str]:
    from fedvol.chain.deployment import read_records

    try:
        return sorted(read_records(path.expanduser())["federations"])
    except FedvolError:
        return []


def _deployments(answer: str) -> str:
    from fedvol.chain.deployment import read_records

    found = read_records(Path(answer).expanduser())
    return f"chain {found.get('chain_id')}, {', '.join(sorted(found['federations'])) or 'no federation'}"


def _deployment(path: Path, name: str) -> str:
    from fedvol.chain.deployment import Deployment

    return f"federation {Deployment.load(path.expanduser(), name).federation}"


def _rpc(url: str, deployments: Path, name: str | None) -> str:
    from fedvol.commands.options import open_client

    client = open_client(url, deployments.expanduser(), name)
    s = client.snapshot()
    return f"block {s.block:,}, {s.members} members, round {s.clock.number}"


def _storage(answer: str) -> str:
    from fedvol.storage import open_storage

    storage = open_storage(answer)
    storage.check()
    return storage.describe()
