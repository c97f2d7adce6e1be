"""`fedvol dashboard`: a federation as a web page, on this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fedvol.commands.options import DEFAULT_DEPLOYMENTS, DEFAULT_RPC, Deployments, Name, Rpc
from fedvol.console import out

TIMEOUT_S = 5.0


def dashboard(
    rpc: Rpc = DEFAULT_RPC,
    deployments: Deployments = DEFAULT_DEPLOYMENTS,
    name: Name = None,
    storage: Annotated[
        str | None,
        typer.Option(help="Where members pin their bytes, for audits: a folder, or ipfs+http://host:port."),
    ] = None,
    tape: Annotated[
        Path | None, typer.Option(help="Your own tape, to set the surface against. It stays in this process.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65_535)] = 8080,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
) -> None:
    """Shows a federation live on a local page, from chain and storage alone: rounds, nodes, surface, checks, gas.

    Only this machine can reach it, and it sends nothing anywhere else. Ctrl-C ends it.

    Example: fedvol dashboard --storage ipfs+http://127.0.0.1:5001 --tape trades.parquet --open
    """
    from fedvol.chain.client import connect
    from fedvol.chain.deployment import Deployment
    from fedvol.chain.federation import FederationClient
    from fedvol.dashboard.server import HOST, Page, listen, serve
    from fedvol.dashboard.tape import ViewersTape
    from fedvol.storage import open_storage

    deployment = Deployment.load(deployments, name)

    def client() -> FederationClient:
        return FederationClient(connect(rpc, deployment.chain_id, TIMEOUT_S), deployment)

    client().check()
    page = Page(client, open_storage(storage) if storage else None, ViewersTape(tape) if tape else None)
    listener = listen(port)
    address = f"http://{HOST}:{listener.getsockname()[1]}/"
    out.print(f"{address}  (this machine only; Ctrl-C ends it)", markup=False, highlight=False, soft_wrap=True)
    if open_page:
        import webbrowser

        webbrowser.open(address)
    serve(page, listener)
