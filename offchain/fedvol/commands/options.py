"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedvol.errors import ConfigError

if TYPE_CHECKING:
    from fedvol.chain.federation import FederationClient

Rpc = Annotated[
    str, typer.Option("--rpc", envvar="FEDVOL_RPC", help="JSON-RPC endpoint of a node of the federation's chain.")
]
Deployments = Annotated[
    Path,
    typer.Option(
        "--deployments", envvar="FEDVOL_DEPLOYMENTS", help="Deployment file that `ape run deploy` wrote for this chain."
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="Which federation, where the file holds several.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]

DEFAULT_RPC = "http://127.0.0.1:8545"
DEFAULT_DEPLOYMENTS = Path("deployments/31337.json")


def parse_address(text: str, what: str) -> str:
    """The address in an option or argument.

    Raises:
        ConfigError: it is none, or its checksum is wrong.
    """
    from fedvol.chain.address import checked_address

    try:
        return checked_address(text)
    except ValueError as error:
        raise ConfigError(f"{what}: {text} {error}.", "Correct it.") from None


def open_client(rpc: str, deployments: Path, name: str | None) -> FederationClient:
    """A checked connection to a federation."""
    from fedvol.chain.client import connect
    from fedvol.chain.deployment import Deployment
    from fedvol.chain.federation import FederationClient

    deployment = Deployment.load(deployments, name)
    client = FederationClient(connect(rpc, deployment.chain_id), deployment)
    client.check()
    return client
