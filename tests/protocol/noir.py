"""Noir circuits run from Python: `Circuit(package)` compiles one, `run` executes it, honest hints and all."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from fedvol.proofs.backend import find_node
from fedvol.protocol.poseidon2 import FIELD

ROOT = Path(__file__).resolve().parents[2]
CIRCUITS = ROOT / "circuits"
SCRIPT = Path(__file__).with_name("noir.mjs")


class Refused(Exception):
    """The circuit holds for no such inputs."""


class Circuit:
    def __init__(self, package: Path) -> None:
        self._process = subprocess.Popen(
            [find_node(), str(SCRIPT), str(package)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._next().get("ready"), f"{package} does not compile"

    def run(self, inputs: dict[str, Any]) -> Any:
        """What main returns.

        Raises:
            Refused: a constraint does not hold.
        """
        self._process.stdin.write(json.dumps(inputs) + "\n")
        self._process.stdin.flush()
        result = self._next()
        if "refused" in result:
            raise Refused(result["refused"])
        return result["value"]

    def _next(self) -> dict[str, Any]:
        for line in self._process.stdout:
            if line.startswith("{"):  # the compiler talks too
                return json.loads(line)
        return {}

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def field(number: int) -> str:
    return hex(number % FIELD)


def signed(element: str) -> int:
    value = int(element, 16)
    return value if value < FIELD // 2 else value - FIELD


def mutated(package: str, folder: Path, file: str, *changes: tuple[str, str]) -> Path:
    """A copy of a package of whose library one file is changed: from what must be there, once, to something else."""
    shutil.copytree(CIRCUITS, folder / "circuits")
    source = folder / "circuits/lib/src" / file
    text = source.read_text()
    for honest, lie in changes:
        assert text.count(honest) == 1, f"{file} has {text.count(honest)} of {honest!r}"
        text = text.replace(honest, lie)
    source.write_text(text)
    return folder / "circuits" / package
