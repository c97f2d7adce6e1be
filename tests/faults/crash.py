"""`fedvol node run`, forked from a warm server, that dies with kill -9 wherever a step has not been died at yet.

Steps are found, not listed: every method of the journal that writes, every transaction that leaves, whatever is pinned,
every change of the mask keys. Nodes share a folder of marks: a step that is reached leaves its
name in `seen`; the first node that comes to one of its sides takes that side's mark, and dies there.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from fedvol.node import daemon, parts
from fedvol.node.trainer import Trainer

BEFORE, FULL, AFTER = "before", "full", "after"
"""Killed before the step; no disk space for its write; killed after it."""

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["fedvol.node.daemon", "tests.faults.crash"])  # seconds of imports, once


def start(config: Path, log: Path, environment: dict[str, str], marks: Path | None = None) -> BaseProcess:
    """A node as the command line starts it. With `marks` it dies at every side of a step that is not marked yet."""
    process = _FORKS.Process(target=_main, args=(config, log, environment, marks), daemon=True)
    process.start()
    return process


def seen(marks: Path) -> set[str]:
    """Steps that were reached."""
    return {path.name for path in (marks / "seen").iterdir()}


def died(marks: Path) -> set[tuple[str, str]]:
    """(side, step) at which a node died."""
    return {(side, path.name) for side in (BEFORE, FULL, AFTER) for path in (marks / side).iterdir()}


def sides(step: str) -> tuple[str, ...]:
    writes = not step.startswith(("send", "forget mask keys"))  # to delete a file needs no space
    return (BEFORE, FULL, AFTER) if writes else (BEFORE, AFTER)


def writers(journal: type) -> list[str]:
    """The journal's methods that write."""
    functions = {name: f for name, f in vars(journal).items() if inspect.isfunction(f) and name != "_write"}
    return [name for name, f in functions.items() if "_write" in f.__code__.co_names]


def prepare(marks: Path) -> None:
    for name in ("seen", BEFORE, FULL, AFTER):
        (marks / name).mkdir(parents=True)


@contextmanager
def no_space() -> Iterator[None]:
    """The kernel refuses every byte that this process would write to a file meanwhile, as on a disk that is full."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def _main(config: Path, log: Path, environment: dict[str, str], marks: Path | None) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(environment)
    # The chain runs faster than our clock here, and a node starts again and again: it neither rests between two looks
    # nor starts another interpreter to train in.
    daemon.rest, parts.Workshop = (lambda *_: 0.0), Trainer
    if marks is not None:
        _arm(marks)
    from fedvol.cli import main

    sys.argv = ["fedvol", "node", "run", "--config", str(config), "--log-json"]
    main()


def _arm(marks: Path) -> None:
    from fedvol.chain.outbox import Outbox
    from fedvol.node.journal import Journal
    from fedvol.node.maskkeys import MaskKeys
    from fedvol.node.pins import Pins

    for name in writers(Journal):
        _wrap(Journal, name, marks, _name_of_write)
    _wrap(Outbox, "_broadcast", marks, lambda _, attempt: f"send {_act(attempt.purpose)}")
    _wrap(Pins, "put", marks, lambda *_: f"pin to{sys._getframe(2).f_code.co_name.replace('_', ' ')}")
    _wrap(MaskKeys, "create", marks, lambda *_: "create mask key")
    _wrap(MaskKeys, "forget_all_but", marks, lambda *_: "forget mask keys")


def _name_of_write(name: str) -> Callable[..., str]:
    def of(journal: Any, *values: Any) -> str:
        if name == "record_attempt":
            return f"{name} {_act(values[0].purpose)}"
        if name == "settle_attempt":
            return f"{name} {_act(journal._query('SELECT purpose FROM outbox WHERE hash = ?', values[0])[0][0])}"
        return f"{name} {values[2]}" if name == "advance" else name

    return of


def _act(purpose: str) -> str:
    return purpose.split(":")[0]


def _wrap(owner: type, name: str, marks: Path, name_of: Callable[..., Any]) -> None:
    real = getattr(owner, name)
    if name_of is _name_of_write:
        name_of = name_of(name)

    @wraps(real)
    def step(self: Any, *values: Any) -> Any:
        what = name_of(self, *values)
        (marks / "seen" / what).touch()
        if _take(marks / BEFORE / what):
            os.kill(os.getpid(), signal.SIGKILL)
        if FULL in sides(what) and _take(marks / FULL / what):
            with no_space():
                result = real(self, *values)
            (marks / FULL / what).unlink()  # it had nothing to write
            return result
        result = real(self, *values)
        if _take(marks / AFTER / what):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, step)


def _take(mark: Path) -> bool:
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
