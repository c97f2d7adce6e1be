"""Participants in processes of this machine, which stay between rounds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from signal import SIG_DFL, SIG_IGN, SIGINT, SIGTERM, signal

from fedvol.errors import ConfigError, FedvolError
from fedvol.lab.engine import Engine, Job, Parts
from fedvol.lab.engines.shares import same, shares, train
from fedvol.learning.contribution import Contribution
from fedvol.learning.rows import Rows


class WorkerLost(FedvolError):
    """A process that trained was ended from outside."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    held: list[Rows] | None = None


class Processes(Engine):
    """Rows go to a worker when they have changed; with every round only the job, the secrets and what is sent travel.

    Args:
        workers: as many as cores by default.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ConfigError(f"{workers} processes train nobody.", "Use 1 or more.")
        self._count = workers or os.cpu_count() or 1
        self._workers: list[_Worker] = []

    @property
    def pids(self) -> list[int | None]:
        return [worker.process.pid for worker in self._workers]

    def train(self, job: Job, parts: Parts) -> list[Contribution]:
        """See `Engine`.

        Raises:
            WorkerLost: a worker was ended while it trained. The next call starts new ones.
        """
        dealt = shares(parts, self._count)
        while len(self._workers) < len(dealt):
            self._workers.append(self._start())
        try:
            for worker, share in zip(self._workers, dealt, strict=False):
                desks = [rows for rows, _ in share]
                kept = same(worker.held, desks)
                self._send(worker, (job, None if kept else desks, [secret for _, secret in share]))
                worker.held = desks
            answers = [self._answer(worker, len(share)) for worker, share in zip(self._workers, dealt, strict=False)]
        except BaseException:
            self.close()  # others may still be at work on this round
            raise
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [sent for answer in answers for sent in answer]

    def close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def _start(self) -> _Worker:
        # Forked: it has all modules already. Daemonic: it ends with this process.
        context = get_context("fork")
        ours, theirs = context.Pipe()
        inherited = [worker.pipe for worker in self._workers]
        process = context.Process(target=_serve, args=(theirs, [*inherited, ours]), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _send(self, worker: _Worker, task: object) -> None:
        try:
            worker.pipe.send(task)
        except OSError as error:
            raise self._lost(worker) from error

    def _answer(self, worker: _Worker, count: int) -> list[Contribution] | Exception:
        try:
            return worker.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost(worker, f" while it trained {count} participants") from error

    def _lost(self, worker: _Worker, when: str = "") -> WorkerLost:
        worker.process.join(1.0)
        code = worker.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return WorkerLost(
            f"A training process ({worker.process.pid}) ended by {how}{when}.",
            "Mostly memory has run out: use fewer workers, or the engine batched; then run it again.",
        )


def _serve(pipe: Connection, of_others: Sequence[Connection]) -> None:
    signal(SIGINT, SIG_IGN)  # Ctrl-C reaches the process that asks, which ends this one
    signal(SIGTERM, SIG_DFL)
    for other in of_others:
        other.close()  # else the end of the process that asks would go unseen
    held: list[Rows] = []
    while True:
        try:
            job, desks, secrets = pipe.recv()
        except EOFError:
            return
        held = held if desks is None else desks
        try:
            answer: list[Contribution] | Exception = train(job, held, secrets)
        except Exception as error:
            answer = error
        pipe.send(answer)
