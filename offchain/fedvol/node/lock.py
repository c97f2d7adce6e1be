"""One process has a data folder, and a key file, at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "lock"
_TRIES, _PAUSE = 10, 0.05
"""Whoever only asks holds the lock for a moment: a node that starts just then is not turned away."""


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Holds the folder, which is there, meanwhile; yields False where another process has it.

    Raises:
        OSError: its lock file cannot be opened.
    """
    with file_held(folder / FILE, os.O_RDWR | os.O_CREAT) as alone:
        yield alone


@contextmanager
def file_held(path: Path, flags: int = os.O_RDONLY) -> Iterator[bool]:
    """Likewise a file, whoever else may read it."""
    lock = os.open(path, flags, 0o600)
    try:
        yield any(_take(lock, fcntl.LOCK_EX) or time.sleep(_PAUSE) for _ in range(_TRIES))
    finally:
        os.close(lock)


def is_held(folder: Path) -> bool:
    """Whether a process has the folder."""
    try:
        lock = os.open(folder / FILE, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _take(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _take(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
