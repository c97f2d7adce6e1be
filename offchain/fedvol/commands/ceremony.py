"""`fedvol ceremony`: make a reference string with others, and verify one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedvol.errors import ConfigError

if TYPE_CHECKING:
    from fedvol.proofs.ceremony import Beacon

app = typer.Typer(
    help="Make a reference string for proofs with others, or verify one. See docs/ceremony.md.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Argument(help="Where the string lies: bn254_g1.dat, bn254_g2.dat, transcript.json.")]
Name = Annotated[str, typer.Option(help="What the transcript calls this contribution.")]


@app.command()
def start(
    folder: Folder,
    points: Annotated[int, typer.Option(min=2, help="Five more than the largest circuit has gates.")] = 1 << 18,
) -> None:
    """Write the string that nobody has contributed to yet.

    Example: `fedvol ceremony start our-string`
    """
    from fedvol.proofs import ceremony

    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty.", "Name a new folder.")
    ceremony.write(folder, *ceremony.start(points))
    typer.echo(f"{folder}: {points:,} points. Everybody knows its secret: let the first contribute.")


@app.command()
def contribute(folder: Folder, name: Name) -> None:
    """Verify what is there, multiply in a secret that is drawn here and forgotten, and write the outcome.

    Minutes for 2^18 points. Then hand the folder to the next.

    Example: `fedvol ceremony contribute our-string --name "Desk 3"`
    """
    _extend(folder, name)


@app.command()
def beacon(
    folder: Folder,
    source: Annotated[str, typer.Option(help="Where everybody finds the value.")],
    value: Annotated[str, typer.Option(help="Hex: public, and unknown to all until the last has contributed.")],
    hashings: Annotated[int, typer.Option(min=1, help="How often it is hashed: nobody can try many.")] = 1 << 24,
) -> None:
    """End a ceremony with public randomness that was announced before the last contribution.

    Example: `fedvol ceremony beacon our-string --source "hash of Ethereum's block 30000000" --value 5c3a…`
    """
    from fedvol.proofs.ceremony import Beacon

    try:
        bytes.fromhex(value)
    except ValueError:
        raise ConfigError(f"{value!r} is no hex.", "Give the value without 0x.") from None
    _extend(folder, "beacon", Beacon(source, value, hashings))


@app.command()
def verify(
    folder: Folder,
    value: Annotated[str | None, typer.Option("--beacon", help="The beacon's value, as you looked it up.")] = None,
    ignition: Annotated[bool, typer.Option(help="It must be Ignition, whose transcript is not at hand.")] = False,
) -> None:
    """Verify each contribution, each point and the beacon; about 15 seconds for 2^18 points.

    Example: `fedvol ceremony verify our-string --beacon 5c3a…`
    """
    from fedvol.proofs import ceremony, reference

    if ignition:
        reference.reference(reference.IGNITION, folder)
        powers = ceremony.read(folder)
        ceremony.verify_powers(powers)
        typer.echo(f"{folder}: {len(powers.points):,} points of Ignition. SHA-256 {powers.digest()}")
        return
    powers = ceremony.read(folder)
    links = ceremony.verify(powers, ceremony.Transcript.read(folder), value)
    for link in links:
        typer.echo(f"  {link.name}" + (f": {link.beacon.source}, {link.beacon.value}" if link.beacon else ""))
    typer.echo(f"{folder}: {len(powers.points):,} points by {len(links) - 1} and a beacon. SHA-256 {powers.digest()}")
    if powers.digest() == reference.INSECURE_DIGEST:
        typer.echo("It is the INSECURE local string: everybody knows its secret.")


def _extend(folder: Path, name: str, last: Beacon | None = None) -> None:
    from fedvol.proofs import ceremony

    powers, transcript = ceremony.read(folder), ceremony.Transcript.read(folder)
    if transcript.contributions:
        ceremony.verify(powers, transcript, finished=False)
    if transcript.contributions and transcript.contributions[-1].beacon:
        raise ConfigError(f"{folder} has had its beacon.", "Start another ceremony.")
    ceremony.write(folder, *ceremony.contribute(powers, transcript, name, beacon=last))
    link = ceremony.Transcript.read(folder).contributions[-1]
    typer.echo(f"{folder}: contribution {len(transcript.contributions) + 1}. Publish its digest: {link.digest()}")
