"""From the round's model and this node's tape to the packed update."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fedvol.errors import TapeError
from fedvol.learning.model import ModelSpec, build
from fedvol.learning.quantize import to_update, to_weighted
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.learning.settings import Settings
from fedvol.market.holdout import split_holdout, window
from fedvol.market.tape import load_tape
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import pack_update, pack_weighted, unpack_model

_Signature = tuple[tuple[str, int, int], ...]


class Trainer:
    """Trains one model on one tape.

    Args:
        spec: JSON form of the federation's `ModelSpec`.
        tape: file or folder; read again when it has changed.
        hours: the newest part of it that is used.
        holdout: share of the rows that never trains.

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
    ) -> None:
        self.spec = ModelSpec.from_json(json.dumps(spec))
        self._model = build(self.spec)
        self._tape = tape
        self._settings = settings
        self._desk_column = desk_column
        self._desk = desk
        self._hours = hours
        self._holdout = holdout
        self._read: tuple[_Signature, Rows] | None = None

    def rows(self) -> Rows:
        """The rows that train now.

        Raises:
            TapeError: the tape cannot be read, or has no row for this model.
        """
        signature = _signature(self._tape)
        if self._read is None or self._read[0] != signature:
            self._read = signature, self._load()
        return self._read[1]

    def update(self, model: bytes, rule: Rule, secret: bytes) -> bytes:
        """Trains from a model and packs the move.

        Args:
            model: bytes of the round's model.
            rule: of the federation; its clamp bounds the move, and a weighted one also gets how sure this desk is.
            secret: 32 bytes, this node's own for this round; the same tape, model and secret give the same bytes.

        Raises:
            TapeError: see `rows`.
            WireError: the model is not of this spec, or training diverged.
        """
        weights = unpack_model(model, self.spec.dimension)
        start, rows = self.spec.to_float(weights), self.rows()
        local = self._model.train(start, rows, secret, self._settings)
        update = to_update(local, weights, self.spec, rule.clamp, secret)
        if not rule.weighted:
            return pack_update(update)
        sure = self._model.curvature(start, rows, secret, self._settings)
        return pack_weighted(*to_weighted(update, sure, rule, secret))

    def _load(self) -> Rows:
        frame = load_tape(self._tape, self._desk_column, self._desk).rows
        train, _ = split_holdout(window(frame, self._hours), self._holdout)
        rows = rows_from_tape(train, self.spec.markets)
        if not len(rows):
            raise TapeError(
                f"{self._tape} has no row of {', '.join(self.spec.markets)} to train on in its last {self._hours:g} h.",
                "Look at it with `fedvol market inspect`; raise window_hours, or lower holdout.",
            )
        return rows


def _signature(tape: Path) -> _Signature:
    files = sorted(tape.iterdir()) if tape.is_dir() else [tape]
    return tuple((f.name, (s := f.stat()).st_size, s.st_mtime_ns) for f in files if f.exists())
