"""Participants on Ray: on a cluster where `RAY_ADDRESS` names one, else on a local Ray."""

from __future__ import annotations

import os
import socket
from multiprocessing.util import Finalize
from typing import Any

from fedvol.errors import FedvolError
from fedvol.lab.engine import Engine, Job, Parts, check
from fedvol.lab.engines.shares import same, shares, train
from fedvol.learning.contribution import Contribution
from fedvol.learning.rows import Rows

LOCAL = "local"
RETRIES = 3
REACH_S = 10.0
SHARES_A_CORE = 2
"""So that a slow core holds up a round less."""


class RayFailed(FedvolError):
    """Ray cannot be reached, or gave a share of participants up."""


class OnRay(Engine):
    """Rows lie in Ray's store and travel to a machine once. A share whose worker or machine dies is trained anew
    elsewhere, three times, and gives the same again, as secrets travel with it.

    Machines of a cluster have the same fedvol installed; of one kind of processor they send what this one would, to the
    byte.

    Args:
        address: of a cluster; by default that of `RAY_ADDRESS`, and without that a local Ray, which asks for a token
            and ends with this process.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS") or LOCAL
        self._train: Any = None
        self._ours = False
        self._held: list[tuple[list[Rows], Any]] = []

    def train(self, job: Job, parts: Parts) -> list[Contribution]:
        """See `Engine`.

        Raises:
            RayFailed: no Ray at the address, or a share that was lost every time.
            ConfigError: Ray is not installed.
        """
        if not parts:
            return []
        ray = self._started()
        dealt = shares(parts, SHARES_A_CORE * max(1, int(ray.cluster_resources().get("CPU", 1))))
        held, self._held = self._held, []
        for number, share in enumerate(dealt):
            desks = [rows for rows, _ in share]
            kept = number < len(held) and same(held[number][0], desks)
            self._held.append(held[number] if kept else (desks, ray.put(desks)))
        common = ray.put(job)
        waiting = [
            self._train.remote(common, desks, [secret for _, secret in share])
            for share, (_, desks) in zip(dealt, self._held, strict=True)
        ]
        try:
            return [sent for answer in ray.get(waiting) for sent in answer]
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", error)
            if not isinstance(cause, ray.exceptions.RayError):
                raise cause from error  # what training itself raised
            raise RayFailed(
                f"Ray at {self._address} lost participants for good: {_first_line(cause)}.",
                "See `ray status`, the memory of its machines, and that they have this fedvol; then run it again.",
            ) from error

    def close(self) -> None:
        if self._train is None:
            return
        import ray

        self._train, self._held = None, []
        if self._ours:
            ray.shutdown()

    def _started(self) -> Any:
        check("ray")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
        import ray

        if self._train is None:
            self._ours = not ray.is_initialized()
            if self._ours:
                self._start(ray)
            self._train = ray.remote(max_retries=RETRIES)(train)
            # Works in a forked process, too, whose atexit functions never run.
            Finalize(self, OnRay.close, args=(self,), exitpriority=10)
        return ray

    def _start(self, ray: Any) -> None:
        reach(self._address)
        try:
            ray.init(self._address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _absent(self._address, error) from error


def reach(address: str) -> None:
    """Ray itself would try for minutes."""
    host, _, port = address.rpartition("/")[2].rpartition(":")
    if not port.isdecimal():  # "local", "auto"
        return
    try:
        socket.create_connection((host, int(port)), REACH_S).close()
    except (OSError, OverflowError) as error:
        raise _absent(address, error) from error


def _absent(address: str, error: Exception) -> RayFailed:
    if address == LOCAL:
        return RayFailed(
            f"Ray does not start here: {_first_line(error)}.", "See its logs, or use the engine processes."
        )
    return RayFailed(
        f"No Ray answers at {address}: {_first_line(error)}.",
        "Start one with `ray start --head`, or unset RAY_ADDRESS for a local one.",
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
