"""`ape run abi`: writes the interfaces that the off-chain package carries, so that a node needs no compiler."""

from __future__ import annotations

import json
from pathlib import Path

import ape
import click

NAMES = (
    "Federation", "StakeVault", "ModelRegistry", "PricingEngine", "Settlement", "Duties", "Keyring", "Proofs",
    "FederationFactory", "Rulebook", "BondToken", "SettableFeed",
)  # fmt: skip
FOLDER = Path(__file__).resolve().parent.parent / "offchain" / "fedvol" / "chain" / "abi"


def current(name: str) -> str:
    """The compiled interface of a contract, one entry a line."""
    entries = [
        json.dumps(entry.model_dump(by_alias=True, exclude_none=True, mode="json"), sort_keys=True)
        for entry in getattr(ape.project, name).contract_type.abi
    ]
    return "[\n  " + ",\n  ".join(sorted(entries)) + "\n]\n"


@click.command()
def cli() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in NAMES:
        (FOLDER / f"{name}.json").write_text(current(name))
        click.echo(f"wrote {name}")
