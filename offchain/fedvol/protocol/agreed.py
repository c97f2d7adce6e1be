"""What the agreed training starts from and what a verifier is told of it: committed rows, limits, the
round's model.

The training itself is `fedvol.protocol.agreed_step`; circuits prove it (`circuits/lib`). Real numbers are integers with
20 binary places, as weights are, unless another place is given. docs/agreed-training.md states all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fedvol.errors import WireError
from fedvol.protocol.listing import DAY, HOUR_OF_EXPIRY
from fedvol.protocol.poseidon2 import sponge
from fedvol.protocol.surface import weights_of

PLACES = 20
UNIT = 1 << PLACES
"""1.0."""

ROWS = 64
MARKETS, PILLARS = 2, 13
BLOCK = weights_of(PILLARS)
LANES = 7
"""Weights to a public input."""
BIAS = 1 << 31

FULL_WEIGHT = 1 << 16
"""What a row that counts as a whole one weighs."""
RANGES = (1 << 14, 1 << 23), (1 << 14, 1 << 23), (0, 1 << 23), (1, (1 << 20) + 1), (64, (1 << 20) + 1)
"""Of the limits, the ends left out: what the circuit's ranges are made for. A lesser prior could leave the rounded
equations without a solution."""


class Row(NamedTuple):
    """One observation, or an empty slot: a row of weight 0.

    Args:
        market: 0 or 1.
        day: of its expiry since 1970, 16 bits; options expire at 08:00 UTC.
        k: ln(strike / forward), 20 places, |k| < 2^23.
        vol: 20 places, below 2^23.
        weight: 0 to 2^16.
    """

    market: int
    day: int
    k: int
    vol: int
    weight: int

    @property
    def packed(self) -> int:
        """One field element: weight, vol, |k|, whether k is negative, day, market, from the low bits up."""
        strike = 2 * abs(self.k) + (self.k < 0)
        return self.weight + (self.vol << 17) + (strike << 40) + (self.order << 64)

    @classmethod
    def unpack(cls, word: int) -> Row:
        """The row that was packed."""
        tail = word >> 40
        size, k = tail >> 1 & (1 << 23) - 1, -1 if tail & 1 else 1
        return cls(tail >> 40, tail >> 24 & 0xFFFF, k * size, word >> 17 & (1 << 23) - 1, word & (1 << 17) - 1)

    @property
    def order(self) -> int:
        """Rows are committed in rising order of it."""
        return (self.market << 16) + self.day


class Limits(NamedTuple):
    """What a federation allows its rows, and how they pull.

    Args:
        least_vol, most_vol: 20 places, 2^14 to 2^23 - 1.
        most_k: of |k|, 20 places, below 2^23.
        huber: misfit beyond which a row pulls with constant force, 20 places, 1 to 2^20.
        prior: pull back to the round's model in rows, 20 places, 2^6 to 2^20.
    """

    least_vol: int = UNIT // 32
    most_vol: int = 3 * UNIT
    most_k: int = 4 * UNIT
    huber: int = UNIT * 4 // 100
    prior: int = UNIT * 7 // 10_000

    @property
    def packed(self) -> int:
        return sum(limit << 24 * place for place, limit in enumerate(self))

    @classmethod
    def unpack(cls, word: int) -> Limits:
        return cls(*(word >> 24 * place & 0xFFFFFF for place in range(len(cls._fields))))


class Round(NamedTuple):
    """What is public when a round opens.

    Args:
        as_of: unix seconds of its opening.
        days: of the 13 listed expiries since 1970.
        weights: the 160 int32 weights of the model carried to the opening, 20 places.
    """

    as_of: int
    days: Sequence[int]
    weights: Sequence[int]

    @property
    def tenors(self) -> list[int]:
        """Seconds to the listed expiries."""
        return [day * DAY + HOUR_OF_EXPIRY - self.as_of for day in self.days]

    def block(self, market: int) -> list[int]:
        """A market's 80 weights."""
        return list(self.weights[market * BLOCK : (market + 1) * BLOCK])


def fill(rows: Sequence[Row], limits: Limits) -> list[Row]:
    """The 64 slots in the order in which they are committed: empty ones first.

    Raises:
        WireError: more than 64 rows, one outside the limits, or limits that no circuit is made for.
    """
    for name, limit, (low, end) in zip(Limits._fields, limits, RANGES, strict=True):
        if not low <= limit < end:
            raise WireError(f"A limit {name} of {limit} cannot be proven.", f"Use {low} to {end - 1}.")
    if len(rows) > ROWS:
        raise WireError(f"{len(rows)} rows do not fit a commitment.", f"Choose at most {ROWS}.")
    for row in rows:
        if not (
            0 <= row.market < MARKETS
            and 0 < row.day < 1 << 16
            and limits.least_vol <= row.vol <= limits.most_vol
            and abs(row.k) <= limits.most_k
            and 0 < row.weight <= FULL_WEIGHT
        ):
            raise WireError(f"{row} is outside the federation's limits.", "Leave it out.")
    empty = Row(0, 0, 0, limits.least_vol, 0)
    return [empty] * (ROWS - len(rows)) + sorted(rows, key=lambda row: row.order)


def root(slots: Sequence[Row], salt: int) -> int:
    """The commitment to 64 slots: a sponge over the salt, a secret field element, and the packed rows."""
    return sponge([salt, *(row.packed for row in slots)])[0]


def training_inputs(committed: int, at: Round, limits: Limits) -> list[int]:
    """The public inputs of the training: 27 field elements.

    0 the root of the rows; 1 as_of; 2 the days, 16 bits each from the low bits up; 3 the limits, 24 bits each:
    least_vol, most_vol, most_k, huber, prior; 4 to 26 the weights, seven to a word, 32 bits each, as
    weight + 2^31.
    """
    days = sum(day << 16 * place for place, day in enumerate(at.days))
    words = [
        sum(weight + BIAS << 32 * place for place, weight in enumerate(at.weights[first : first + LANES]))
        for first in range(0, len(at.weights), LANES)
    ]
    return [committed, at.as_of, days, limits.packed, *words]
