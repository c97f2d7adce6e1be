"""`fedvol node run` as processes, on the laboratory's chain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fedvol.chain.outbox import Reverted, WouldRevert
from fedvol.node.daemon import Node
from tests.node.conftest import Lab

PATIENCE_S = 120


class Daemon:
    """One process; its log is written to a file beside its configuration.

    Args:
        before: Python that runs first in the process.
        settings: FEDVOL_NODE_…, without that.
        environment: the rest; by default this process's own.
    """

    def __init__(
        self,
        path: Path,
        *arguments: str,
        before: str = "",
        environment: dict[str, str] | None = None,
        **settings: str,
    ) -> None:
        self.log = path.with_suffix(".log")
        settings = {"POLL_SECONDS": "0.2"} | settings
        environment = dict(os.environ if environment is None else environment)
        environment |= {f"FEDVOL_NODE_{name}": value for name, value in settings.items()}
        code = f"{before}\nfrom fedvol.cli import main; main()"
        with self.log.open("ab") as log:
            command = [sys.executable, "-c", code, "node", "run", "--config", str(path), *arguments]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Of a log in JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said(self, event: str) -> dict[str, Any] | None:
        """The first line of an event."""
        return next((line for line in self.events if line["event"] == event), None)


@contextmanager
def daemon(path: Path, *arguments: str, **settings: Any) -> Iterator[Daemon]:
    """A process that does not outlive the test; it logs JSON."""
    running = Daemon(path, "--log-json", *arguments, **settings)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def turn_until(lab: Lab, others: Iterable[Node], condition: Callable[[], Any], seconds: int = 1) -> None:
    """Lets time go by, and other nodes look and act, until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, lab.client.snapshot()
        for node in others:
            with suppress(WouldRevert, Reverted):  # the daemon came first
                node.cycle()
        if seconds:
            lab.pass_time(seconds)
        time.sleep(0.2)
