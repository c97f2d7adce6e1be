"""`ape run abi`: writes what the off-chain package carries of the contracts, so that a node needs no compiler: their
interfaces, and the code of the one that runs inside `eth_call`."""

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
FILES = (*(f"{name}.json" for name in NAMES), "Lens.hex")


def current(file: str) -> str:
    """What a file of the folder should hold: a compiled interface, one entry a line, or creation code."""
    kind = getattr(ape.project, Path(file).stem).contract_type
    if file.endswith(".hex"):
        return f"{kind.deployment_bytecode.bytecode}\n"
    entries = [
        json.dumps(entry.model_dump(by_alias=True, exclude_none=True, mode="json"), sort_keys=True)
        for entry in kind.abi
    ]
    return "[\n  " + ",\n  ".join(sorted(entries)) + "\n]\n"


@click.command()
def cli() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file in FILES:
        (FOLDER / file).write_text(current(file))
        click.echo(f"wrote {file}")
