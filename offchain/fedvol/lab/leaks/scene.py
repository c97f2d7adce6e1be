"""Rounds of a federation on a tape, as an attacker meets them: where each starts from, who held what, what is seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedvol.lab.federation import PLAN_RULE, Nodes
from fedvol.lab.replay.snapshots import Snapshot
from fedvol.learning.contribution import contribution
from fedvol.learning.model import Model, Opening
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.market.holdout import row_hash
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import WORD_BYTES, pack_weighted, unpack_weighted

FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the BN254 scalar field."""

UNWEIGHTED = replace(PLAN_RULE, weighted=False)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Round:
    """One round. `held`: what each desk trains on; `other`: rows of the same desk and moment that it does not hold."""

    weights: Integers
    as_of: int
    held: list[Rows]
    other: list[Rows]


@dataclass(frozen=True)
class Seen:
    """The lanes of one vector, or of a sum, as integers of the wire: moves, and weights where the rule has them; the
    moves are then times those."""

    moves: Integers
    weights: Integers | None = None

    def __add__(self, other: Seen) -> Seen:
        if self.weights is None or other.weights is None:
            return Seen(self.moves + other.moves)
        return Seen(self.moves + other.moves, self.weights + other.weights)


def rounds(found: Sequence[Snapshot], model: Model, warm_up: int, a_snapshot: int = 3) -> Iterator[Round]:
    """The first round of each snapshot after the first `warm_up`. The model learns from all, `a_snapshot` rounds of
    each."""
    nodes, weights = Nodes(model, len(found[0].desks)), model.initial_weights()
    for number, at in enumerate(found):
        if number:
            weights = model.carry(weights, found[number - 1].as_of, at.as_of)
        if number >= warm_up:
            others = [at.held.select(at.held_desk == desk) for desk in range(len(at.desks))]
            yield Round(weights, at.as_of, list(at.desks), others)
        for _ in range(a_snapshot):
            weights = nodes.round(weights, Opening(at.as_of), at.desks)


def send(model: Model, play: Round, rows: Rows, secret: bytes, settings: Settings, by: Rule = PLAN_RULE) -> Seen:
    """What a node sends, in the clear."""
    return Seen(*contribution(model, play.weights, Opening(play.as_of), rows, secret, settings, by))


def secret(generator: np.random.Generator) -> bytes:
    return generator.bytes(32)


def split_desks(frame: pd.DataFrame, parts: int) -> pd.DataFrame:
    """Each desk as `parts` desks among which its options are dealt, for good, by a hash of what they are."""
    part = row_hash(frame.assign(ts_ms=0)) % np.uint64(parts)
    return frame.assign(desk=frame["desk"].astype(str) + "/" + pd.Series(part, index=frame.index).astype(str))


def join(*parts: Rows) -> Rows:
    return Rows(*(np.concatenate([getattr(rows, name) for rows in parts]) for name in Rows.COLUMNS))


def masked(seen: Seen, generator: np.random.Generator) -> bytes:
    """What an outsider sees of a vector before unmasking: its words plus a mask, in the field.

    The mask is uniform, which is what the protocol's masks are as long as Poseidon2 is a pseudo-random function.
    """
    data = pack_weighted(seen.moves, seen.weights)
    words = [int.from_bytes(data[at : at + WORD_BYTES], "big") for at in range(0, len(data), WORD_BYTES)]
    return b"".join(((word + _uniform(generator)) % FIELD).to_bytes(WORD_BYTES, "big") for word in words)


def read_lanes(dimension: int, data: bytes) -> Seen:
    """Bytes as an attacker reads them who takes them for a vector: clamped as the rule would."""
    moves, weights = unpack_weighted(data, dimension)
    weights = np.clip(weights, 0, PLAN_RULE.weight_cap)
    most = weights * PLAN_RULE.clamp >> PLAN_RULE.weight_shift
    return Seen(np.clip(moves, -most, most), weights)


def _uniform(generator: np.random.Generator) -> int:
    while True:
        drawn = int.from_bytes(generator.bytes(WORD_BYTES), "big") >> 2
        if drawn < FIELD:
            return drawn
