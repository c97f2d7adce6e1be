"""`ape run gas`: measures every transaction, rewrites benchmarks/gas.json and prints it against the ceilings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import ape
import click
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "benchmarks" / "gas.json"
sys.path.insert(0, str(ROOT))

from tests.contracts.gas_cases import CEILINGS, CODE_SIZE_CEILING, code_sizes, measure  # noqa: E402

from scripts._anvil import anvil  # noqa: E402


def table(title: str, figures: dict[str, int], ceilings: dict[str, int]) -> Table:
    out = Table("", title, "ceiling", title_justify="left")
    for column in out.columns[1:]:
        column.justify = "right"
    for name, figure in figures.items():
        ceiling = ceilings.get(name)
        style = "red" if ceiling is not None and figure > ceiling else None
        out.add_row(name, f"{figure:,}", "" if ceiling is None else f"{ceiling:,}", style=style)
    return out


@click.command()
def cli() -> None:
    """Measures the gas of every transaction on a chain of its own and rewrites the snapshot."""
    with anvil() as url:
        os.environ["APE_FOUNDRY_HOST"] = url
        with ape.networks.parse_network_choice("ethereum:local:foundry"):
            gas = measure(ape.project, ape.chain, ape.accounts.test_accounts)
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(gas, indent=2) + "\n")
    sizes = code_sizes(ape.project)
    console = Console()
    console.print(table("gas", gas, CEILINGS))
    console.print(table("bytes of code", sizes, dict.fromkeys(sizes, CODE_SIZE_CEILING)))
    console.print(f"wrote {SNAPSHOT.relative_to(ROOT)}")
