"""Audits on demand: one at a time, and the same one once for all who ask."""

from __future__ import annotations

import threading
import time
from typing import Any

from fedvol.chain.federation import FederationClient
from fedvol.errors import ConfigError
from fedvol.node.audit import Verdict, audit, exit_code
from fedvol.storage import Storage

KEPT = 64
FRESH_S = 60.0
FRESH_RUNNING_S = 2.0


class Audits:
    """What `fedvol audit` shows. Calls block: they belong in a thread."""

    def __init__(self, client: FederationClient, storage: Storage | None) -> None:
        self._client = client
        self._storage = storage
        self._lock = threading.Lock()
        self._known: dict[int, tuple[float, dict[str, Any]]] = {}

    def of(self, number: int) -> dict[str, Any]:
        """A round's audit.

        Raises:
            ConfigError: no storage was named, or there is no such round.
            ChainError: the chain cannot be read.
        """
        if self._storage is None:
            raise ConfigError(
                "An audit needs the bytes that members pinned.", "Start the dashboard with --storage, as members do."
            )
        with self._lock:
            until, known = self._known.get(number, (0.0, {}))
            if time.monotonic() < until:
                return known
            start = time.monotonic()
            findings = audit(self._client, self._storage, number)
            running = any(finding.verdict == Verdict.RUNNING for finding in findings)
            found = {
                "federation": self._client.deployment.name,
                "round": number,
                "exit_code": exit_code(findings),
                "seconds": round(time.monotonic() - start, 1),
                "steps": [{"step": f.step, "what": f.what, "verdict": str(f.verdict)} for f in findings],
            }
            self._known[number] = time.monotonic() + (FRESH_RUNNING_S if running else FRESH_S), found
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
            return found
