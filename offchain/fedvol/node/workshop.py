"""Training in a process of its own, which comes when it is needed and goes when it is not: a tape, and what reads and
fits it, take several times the memory of all else that a node does.

It is a fresh interpreter, not a fork. The round's secret and the model reach it through a socket that nobody else has,
never in its arguments or its environment, and it ends when the node does, however that dies.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedvol.errors import FedvolError
from fedvol.learning.model import ModelSpec, Opening
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.node.config import PASSWORD
from fedvol.protocol.rule import Rule

if TYPE_CHECKING:
    from fedvol.node.trainer import Trainer

IDLE_SECONDS = 120.0
"""For which it waits for more: rounds that follow each other closely pay for its start once."""


class TrainingStopped(FedvolError):
    """The process that trains was ended from outside, twice: mostly the system had no memory left."""


class Workshop:
    """A `fedvol.node.trainer.Trainer`, made of the same arguments, whose work is done over there."""

    def __init__(self, spec: dict[str, Any], tape: Path, settings: Settings, **options: Any) -> None:
        self.spec = ModelSpec.from_json(json.dumps(spec))
        self.is_private = settings.privacy is not None
        self.hours: float = options["hours"]
        self._recipe = pickle.dumps((spec, tape, settings, options))

    def rows(self) -> Rows:
        """See `Trainer.rows`."""
        return _worker.have(self._recipe, "rows")

    def count(self) -> int:
        """See `Trainer.count`."""
        return _worker.have(self._recipe, "count")

    def newest(self) -> float:
        """See `Trainer.newest`."""
        return _worker.have(self._recipe, "newest")

    def update(self, model: bytes, opening: Opening, rule: Rule, secret: bytes, norm: int | None = None) -> bytes:
        """See `Trainer.update`."""
        return _worker.have(self._recipe, "update", model, opening, rule, secret, norm)


class _Worker:
    """This process's end. There is one over there for all that is asked for here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def have(self, recipe: bytes, name: str, *arguments: Any) -> Any:
        """What a trainer made by the recipe returns.

        Raises:
            FedvolError: what it raises.
            TrainingStopped: see there.
        """
        with self._lock:
            for _ in range(2):  # it may go, as nothing was asked for, the moment before it is asked
                try:
                    self._connection = self._connection or _start()
                    self._connection.send((recipe, name, arguments))
                    kind, *found = self._connection.recv()
                    break
                except (EOFError, OSError):
                    self._connection = None
            else:
                raise TrainingStopped("The process that trains was ended from outside.", "Is there memory left?")
        if kind is None:
            return found[0]
        raise kind(*found)


_worker = _Worker()


def _start() -> Connection:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fedvol.node.workshop", str(theirs.fileno())],
            env={name: value for name, value in os.environ.items() if name != PASSWORD},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        threading.Thread(target=process.wait, daemon=True, name="workshop").start()  # none stays unburied
        return Connection(ours.detach())


def _serve(connection: Connection) -> None:
    """Works until nothing is asked for, or nobody is there to ask."""
    from fedvol.node.trainer import Trainer

    trainers: dict[bytes, Trainer] = {}
    while connection.poll(IDLE_SECONDS):
        try:
            recipe, name, arguments = connection.recv()
        except EOFError:
            return
        try:
            if recipe not in trainers:
                *parts, options = pickle.loads(recipe)
                trainers[recipe] = Trainer(*parts, **options)
            answer = None, getattr(trainers[recipe], name)(*arguments)
        except FedvolError as error:
            answer = type(error), error.message, error.hint
        except Exception:
            answer = RuntimeError, traceback.format_exc()
        try:
            connection.send(answer)
        except OSError:  # nobody is there any more
            return


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the node, which lets its training end
        signal.signal(number, signal.SIG_IGN)
    _serve(Connection(int(sys.argv[1])))
