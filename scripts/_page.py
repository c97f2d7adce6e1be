"""`fedvol dashboard` as a process, for the demo and the tests of the page."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fedvol.errors import FedvolError
from scripts._localnet import BIN, ROOT


@dataclass
class Served:
    """A running dashboard: its address, without a slash at the end, and its process."""

    url: str
    process: subprocess.Popen[str]


@contextmanager
def dashboard(rpc: str, deployments: Path, log: Path, *options: object) -> Iterator[Served]:
    """Starts it on a free port and ends it on the way out, gently where it can be.

    Raises:
        FedvolError: it did not start; says what it said.
    """
    command = [BIN / "fedvol", "dashboard", "--port", "0", "--rpc", rpc, "--deployments", deployments, *options]
    with log.open("w") as errors:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise FedvolError(f"The dashboard did not start: {log.read_text()[-500:]}", f"See {log}.")
        yield Served(line.split()[0].rstrip("/"), process)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:  # it was reading a long tape; it holds nothing that could be lost
            process.kill()
            process.wait()
        process.stdout.close()
