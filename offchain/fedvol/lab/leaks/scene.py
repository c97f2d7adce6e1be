"""Rounds of a federation on a tape, as an attacker meets them: the weights each starts from, and who held what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.lab.leaks.replay import Replay, Tapes
from fedvol.learning.model import Model, ModelSpec
from fedvol.learning.rows import Rows, rows_from_tape
from fedvol.market.holdout import MS_PER_HOUR, row_hash, split_holdout, window
from fedvol.protocol.vector import WORD_BYTES, pack_update, unpack_update

FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the BN254 scalar field."""

APART_HOURS = 5
"""A round trains on one snapshot of the market: snapshots are six hours apart."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Round:
    """One round. `held`: what each desk trains on; `other`: rows of the same desk and moment that it does not hold."""

    start: Floats
    held: list[Rows]
    other: list[Rows]
    end_ms: int


def snapshots(frame: pd.DataFrame) -> NDArray[np.int64]:
    """The ends (ms) of the hours in which quotes were taken, APART_HOURS or more apart."""
    hours = np.unique(frame["ts_ms"].to_numpy(np.int64) // MS_PER_HOUR)
    kept = [hours[0]]
    for hour in hours[1:]:
        if hour - kept[-1] >= APART_HOURS:
            kept.append(hour)
    return (np.array(kept) + 1) * MS_PER_HOUR


def upto(frame: pd.DataFrame, end_ms: int, hours: float) -> pd.DataFrame:
    """Rows of the last `hours` before a moment."""
    return window(frame[frame["ts_ms"] < end_ms], hours)


def rounds(
    frame: pd.DataFrame, model: Model, replay: Replay, ends: NDArray[np.int64], warm_up: int, step: float = 2.0
) -> Iterator[Round]:
    """One round for each end after the first `warm_up`. The joint model goes on by `step` times the mean update."""
    weights = model.spec.to_float(model.initial_weights())
    desks = sorted(frame["desk"].unique())
    for number, end in enumerate(ends):
        held, other = (_by_desk(part, desks, model.spec) for part in split_holdout(upto(frame, end, APART_HOURS)))
        if number >= warm_up:
            yield Round(weights, held, other, int(end))
        weights = weights + step * replay.train(weights, Tapes.of(held)).numpy().mean(axis=0)


def split_desks(frame: pd.DataFrame, parts: int) -> pd.DataFrame:
    """Each desk as `parts` desks among which its options are dealt, for good, by a hash of what they are."""
    part = row_hash(frame.assign(ts_ms=0)) % np.uint64(parts)
    return frame.assign(desk=frame["desk"].astype(str) + "/" + pd.Series(part, index=frame.index).astype(str))


def join(first: Rows, second: Rows) -> Rows:
    names = ("market", "k", "T", "iv", "weight")
    return Rows(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in names))


def masked(update: NDArray[np.int64], generator: np.random.Generator) -> bytes:
    """What an outsider sees of an update before unmasking: its words plus a mask, in the field.

    The mask is uniform, which is what the protocol's masks are as long as Poseidon2 is a pseudo-random function.
    """
    data = pack_update(update)
    words = [int.from_bytes(data[at : at + WORD_BYTES], "big") for at in range(0, len(data), WORD_BYTES)]
    return b"".join(((word + _uniform(generator)) % FIELD).to_bytes(WORD_BYTES, "big") for word in words)


def read_lanes(spec: ModelSpec, data: bytes, bound: int) -> Floats:
    """Bytes as an attacker reads them who takes them for an update: weight units, clamped to the public bound."""

    return np.clip(unpack_update(data, spec.dimension), -bound, bound) / spec.scale


def _uniform(generator: np.random.Generator) -> int:
    while True:
        drawn = int.from_bytes(generator.bytes(WORD_BYTES), "big") >> 2
        if drawn < FIELD:
            return drawn


def _by_desk(frame: pd.DataFrame, desks: list[str], spec: ModelSpec) -> list[Rows]:
    return [rows_from_tape(frame[frame["desk"] == desk], spec.markets) for desk in desks]
