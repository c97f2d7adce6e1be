"""Witnesses that no honest solver makes: constraints are tested by what the verifier says of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from fedvol.proofs.backend import find_node
from fedvol.proofs.reference import PROJECT

_SCRIPT = Path(__file__).with_name("forge.cjs")


def forged(witness: bytes, changes: Mapping[int, int]) -> bytes:
    """The witness with other values in some places, and the constraints none the wiser.

    Args:
        changes: from the number of a witness to its new value; parameters come first, in the program's order.
    """
    asked = json.dumps({index: f"0x{value:064x}" for index, value in changes.items()})
    modules = os.environ | {"NODE_PATH": str(PROJECT / "node_modules")}
    command = [find_node(), str(_SCRIPT), asked]
    return subprocess.run(command, input=witness, capture_output=True, check=True, env=modules).stdout
