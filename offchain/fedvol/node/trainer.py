"""From the round's model and this node's tape to the packed update."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from fedvol.errors import TapeError
from fedvol.learning.contribution import contribution, packed
from fedvol.learning.model import ModelSpec, Opening, build
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from fedvol.market.forwards import FROM_NEIGHBOURS
from fedvol.market.holdout import split_holdout, window
from fedvol.market.tape import load_tape
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import unpack_model

_Signature = tuple[tuple[str, int, int], ...]


class Trainer:
    """Trains one model on one tape.

    Args:
        spec: JSON form of the federation's `ModelSpec`.
        tape: file or folder; read again when it has changed.
        hours: the newest part of it that is used. Under privacy it is counted back from `clock`: counted from the
            newest row, one more row would push out others.
        holdout: share of the rows that never trains.
        clock: seconds since 1970.

    Raises:
        ConfigError: this fedvol cannot train such a model.
    """

    def __init__(
        self,
        spec: dict[str, Any],
        tape: Path,
        settings: Settings,
        *,
        desk_column: str | None = None,
        desk: str | None = None,
        hours: float = 24.0,
        holdout: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.spec = ModelSpec.from_json(json.dumps(spec))
        self._model = build(self.spec)
        self._tape = tape
        self._settings = settings
        self._desk_column = desk_column
        self._desk = desk
        self.hours = hours
        self._holdout = holdout
        self._clock = clock
        self._read: tuple[_Signature, pd.DataFrame] | None = None
        self._cut: tuple[float | None, Rows] | None = None

    @property
    def is_private(self) -> bool:
        """Whether it trains under a budget."""
        return self._settings.privacy is not None

    def rows(self) -> Rows:
        """The rows that train now; under privacy there may be none.

        Raises:
            TapeError: the tape cannot be read, or cannot be used.
        """
        signature = _signature(self._tape)
        if self._read is None or self._read[0] != signature:
            self._read, self._cut = (signature, self._load()), None
        end_ms = None if self._settings.privacy is None else 1000 * self._clock()
        if self._cut is None or self._cut[0] != end_ms:
            self._cut = end_ms, self._select(self._read[1], end_ms)
        return self._cut[1]

    def count(self) -> int:
        """How many rows train now."""
        return len(self.rows())

    def newest(self) -> float:
        """When the newest row of the tape was observed, whether or not it trains: seconds since 1970.

        Raises:
            TapeError: see `rows`.
        """
        self.rows()
        return float(self._read[1]["ts_ms"].max()) / 1000

    def update(self, model: bytes, opening: Opening, rule: Rule, secret: bytes, norm: int | None = None) -> bytes:
        """Trains from a model and packs the move.

        Args:
            model: bytes of the model that the round starts from.
            opening: of the round.
            rule: of the federation; its clamp bounds the move, and a weighted one also gets how sure this desk is.
            norm: what a proof bounds the sum of the squared lanes of moves by, in a federation that asks for one.
            secret: 32 bytes, this node's own for this round; the same tape, model and secret give the same bytes.

        Raises:
            TapeError: see `rows`; or no row lives on when the round opens.
            WireError: the model is not of this spec, or training diverged.
        """
        privacy = self._settings.privacy
        weights = unpack_model(model, self.spec.dimension)
        rows = self.rows()
        if not len(rows.after(opening.as_of)) and privacy is None:
            raise TapeError(
                f"No option on {self._tape} lives on at {opening.as_of}, when the round opened.",
                "Give a tape that is still written to.",
            )
        return packed(contribution(self._model, weights, opening, rows, secret, self._settings, rule, norm))

    def _load(self) -> pd.DataFrame:
        tape = load_tape(self._tape, self._desk_column, self._desk)
        derived = [note for note in tape.notes if FROM_NEIGHBOURS in note]
        if derived and self._settings.privacy is not None:
            raise TapeError(
                f"{self._tape} gives some rows no forward of their own ({derived[0]}): one trade would change others.",
                "Give every row its forward, or turn privacy off.",
            )
        return tape.rows

    def _select(self, frame: pd.DataFrame, end_ms: float | None) -> Rows:
        train, _ = split_holdout(window(frame, self.hours, end_ms), self._holdout)
        rows = rows_from_tape(train, self.spec.markets)
        if not len(rows) and self._settings.privacy is None:
            raise TapeError(
                f"{self._tape} has no row of {', '.join(self.spec.markets)} to train on in its last {self.hours:g} h.",
                "Look at it with `fedvol market inspect`; raise window_hours, or lower holdout.",
            )
        return rows


def _signature(tape: Path) -> _Signature:
    files = sorted(tape.iterdir()) if tape.is_dir() else [tape]
    return tuple((f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in files if f.exists())
