"""The viewer's own tape. It stays in this process; only points of it are drawn, on the page of this machine."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fedvol.errors import TapeError
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.market.tape import load_tape

NEAR_S = 86_400
"""A version is judged on rows that were observed within a day of its opening."""
LEAST_LIFE_S = 3_600
"""An option must outlast the opening by so much to be judged by."""


class ViewersTape:
    """Reads the tape again when it has changed; where it cannot be read any more, what was read last stays."""

    def __init__(self, path: Path) -> None:
        """Raises TapeError where it cannot be read."""
        self.path = path
        self.trouble: str | None = None
        self._lock = threading.Lock()
        self._signature = _signature(path)
        self._rows = load_tape(path).rows

    def refresh(self) -> bool:
        """Whether the tape has changed."""
        signature = _signature(self.path)
        with self._lock:
            if signature == self._signature:
                return False
            self._signature = signature
            try:
                self._rows, self.trouble = load_tape(self.path).rows, None
            except TapeError as error:
                self.trouble = error.message
            return True

    def near(self, as_of: int, markets: Sequence[str]) -> Rows:
        """Rows of these markets that were observed within a day of a time (unix seconds)."""
        rows = self._rows
        ts = rows["ts_ms"].to_numpy(np.int64)
        near: pd.DataFrame = rows[np.abs(ts - 1000 * as_of) <= 1000 * NEAR_S]
        return rows_from_tape(near, markets).after(as_of + LEAST_LIFE_S)


def _signature(path: Path) -> tuple[tuple[str, int, int], ...]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in files if f.exists())
