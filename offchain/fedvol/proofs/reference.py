"""Which reference string a proof stands on: the local one, which is INSECURE, or Ignition.

The local string comes from a ceremony whose secrets are printed here. Everybody knows τ, so that everybody can prove
anything under it; it serves tests and demos, and is the same on each machine, so that verifiers made from it can be
committed. A public network takes Ignition, Aztec's ceremony of 176 contributors.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from functools import partial
from itertools import accumulate, repeat
from math import prod
from pathlib import Path

from fedvol.errors import CeremonyError
from fedvol.proofs import bn254, ceremony
from fedvol.proofs.bn254 import GENERATOR, GENERATOR2, ORDER, Point2
from fedvol.proofs.ceremony import POINT2_FILE, POINTS_FILE, Beacon, Powers, Transcript

PROJECT = Path(__file__).resolve().parents[3]
"""The checkout that this package runs from: the local string belongs to a project, not to a machine."""

INSECURE_LOCAL, IGNITION = "insecure-local", "ignition"
POINTS = 1 << 18
"""Enough for every circuit that `bb` proves at size 2^18: it reads five points more than there are gates."""

INSECURE_SECRETS = [
    int.from_bytes(hashlib.sha256(f"fedvol insecure local ceremony, secret {i}".encode()).digest()) % ORDER
    for i in range(1, 4)
]
INSECURE_BEACON = Beacon(
    "none: INSECURE, for tests and demos", hashlib.sha256(b"fedvol insecure beacon").hexdigest(), hashings=1024
)
INSECURE_DIGEST = "8ba263c12d0e64b59310ed3d4ec878eb94d0129081c1af8c7df5b7dff94c3d16"
"""SHA-256 of the local string's two files."""

IGNITION_POINT: tuple[int, int] = (
    0x2D360628289FF943FF6BD1A87BBE4E62ABE7FB61BA83EFFD266F22BDCF31E6F9,
    0x26B92A79E563C3F48252CCE7FEECA2F0F8D33DCB4EF7B0643BF07BD405700AAA,
)
"""Ignition's τ·G, the second of its points."""
IGNITION_POINT2: Point2 = (
    (
        0x0118C4D5B837BCC2BC89B5B398B5974E9F5944073B32078B7E231FEC938883B0,
        0x260E01B251F6F1C7E7FF4E580791DEE8EA51D87A358E038B4EFE30FAC09383C1,
    ),
    (
        0x22FEBDA3C0C0632A56475B4214E5615E11E6DD3F96E6CEA2854A87D4DACC5E55,
        0x04FC6369F7110FE3D25156C1BB9A72859CF2A04641F99BA4EE413C80DA6A5FE4,
    ),
)
"""Ignition's τ·G2: the same that `bb` writes into the verifiers it generates."""


def reference(name: str, folder: Path | None = None) -> Path:
    """The folder of a reference string, checked; what `bb` takes as CRS_PATH.

    Args:
        name: INSECURE_LOCAL, which is made when it is not there yet, or IGNITION, which is never fetched here.
        folder: where it lies; by default build/reference/insecure-local in the project, or CRS_PATH, or ~/.bb-crs.

    Raises:
        CeremonyError: no such string, or another one lies there.
    """
    if name == INSECURE_LOCAL:
        return _insecure_local(folder or PROJECT / "build" / "reference" / INSECURE_LOCAL)
    if name == IGNITION:
        return _ignition(folder or Path(os.environ.get("CRS_PATH") or Path.home() / ".bb-crs"))
    raise CeremonyError(f"There is no reference string {name!r}.", f"Name {INSECURE_LOCAL} or {IGNITION}.")


def trusted_by(code: bytes) -> str | None:
    """Which string a verifier contract trusts, by the four numbers of τ·G2 in its code; None for any other.

    Args:
        code: of the deployed contract. Whoever deploys to a public network asks for IGNITION.
    """
    known = {IGNITION: IGNITION_POINT2, INSECURE_LOCAL: bn254.multiply2(GENERATOR2, insecure_tau())}
    for name, point2 in known.items():
        if all(c.to_bytes(32) in code for coordinate in point2 for c in coordinate):
            return name
    return None


def insecure_tau() -> int:
    """The τ of the local string. Nobody may know it of a string that anything of worth stands on."""
    return prod([*INSECURE_SECRETS, INSECURE_BEACON.secret()]) % ORDER


def make_insecure_local(points: int = POINTS) -> tuple[Powers, Transcript]:
    """The local string and its transcript, the same as contribution after contribution makes them, only sooner.

    It takes τ for known: each point is a multiple of the generator.
    """
    links: list[ceremony.Contribution] = []
    for i, secret in enumerate(INSECURE_SECRETS, start=1):
        links.append(ceremony.link(links, points, f"INSECURE, secret {i}", secret))
    links.append(ceremony.link(links, points, "INSECURE, beacon", INSECURE_BEACON.secret(), INSECURE_BEACON))
    tau = insecure_tau()
    exponents = list(accumulate(repeat(tau, points - 1), lambda a, b: a * b % ORDER, initial=1))
    multiples = ceremony.in_parallel(partial(bn254.multiples, GENERATOR), exponents)
    powers = Powers(multiples, bn254.multiply2(GENERATOR2, tau))
    return powers, Transcript(points, tuple(links), powers.digest())


def _insecure_local(folder: Path) -> Path:
    if not (folder / POINTS_FILE).exists() or not (folder / POINT2_FILE).exists():
        print(f"INSECURE reference string, for tests and demos only: making {folder}", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        ceremony.write(folder, *make_insecure_local())
    digest = hashlib.sha256((folder / POINTS_FILE).read_bytes() + (folder / POINT2_FILE).read_bytes()).hexdigest()
    if digest != INSECURE_DIGEST:
        raise CeremonyError(f"{folder} does not hold the local string.", "Delete that folder; it is made again.")
    return folder


def _ignition(folder: Path) -> Path:
    """A string that starts like Ignition; `fedvol ceremony verify --ignition` looks at each point of it."""
    head = b"".join(c.to_bytes(32) for point in (GENERATOR, IGNITION_POINT) for c in point)
    point2 = b"".join(c.to_bytes(32) for coordinate in IGNITION_POINT2 for c in coordinate)
    try:
        with (folder / POINTS_FILE).open("rb") as file:
            starts = file.read(len(head)) == head
        ends = (folder / POINT2_FILE).read_bytes() == point2
    except OSError as error:
        raise CeremonyError(f"{folder} holds no string: {error}.", "See docs/ceremony.md for Ignition.") from error
    if not (starts and ends):
        raise CeremonyError(f"The string in {folder} is not Ignition.", "See docs/ceremony.md for where to take it.")
    return folder


if __name__ == "__main__":
    began = time.monotonic()
    print(f"{reference(INSECURE_LOCAL)}: INSECURE, for tests and demos ({time.monotonic() - began:.0f} s)")
