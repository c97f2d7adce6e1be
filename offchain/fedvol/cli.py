"""`fedvol`: one line for each failure, a non-zero exit code, and nothing lost."""

from __future__ import annotations

import sys

import typer

from fedvol import __version__
from fedvol.commands import audit, ceremony, dashboard, federation, lab, market, node, proofs, quote, stake
from fedvol.console import err
from fedvol.errors import EXIT_CODES, FedvolError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train one volatility surface together with other desks; no tape ever leaves its machine.\n\n"
    "A first look: `fedvol market inspect TAPE` says what is in your tape. Then `fedvol node init`, "
    "`fedvol node check`, `fedvol node run`.\n\nExit codes: "
    + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    + ".",
)
app.add_typer(node.app, name="node")
app.add_typer(stake.app, name="stake")
app.add_typer(federation.app, name="federation")
app.add_typer(market.app, name="market")
app.add_typer(lab.app, name="lab")
app.add_typer(ceremony.app, name="ceremony")
app.command("quote")(quote.quote)
app.command("audit")(audit.audit)
app.command("dashboard")(dashboard.dashboard)
app.command("prove")(proofs.prove)
app.command("verify")(proofs.verify)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: a FedvolError becomes its message, its hint and its exit code."""
    try:
        app()
    except FedvolError as error:
        err.print(f"[bold red]error:[/] {_plain(error.message)} [dim]{_plain(error.hint)}[/]", soft_wrap=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _plain(text: str) -> str:
    """Text from chain, storage or files may hold brackets; they are no markup."""
    from rich.markup import escape

    return escape(" ".join(text.split()))
