"""A desk's rows as the agreed training takes them, and what that makes of them: `fedvol.protocol.agreed`."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from fedvol.errors import ConfigError
from fedvol.learning.model import ModelSpec
from fedvol.learning.rows import Rows
from fedvol.protocol import agreed_step, listing
from fedvol.protocol.agreed import FULL_WEIGHT, MARKETS, PILLARS, PLACES, ROWS, UNIT, Limits, Round, Row, fill
from fedvol.protocol.listing import DAY, HOUR_OF_EXPIRY
from fedvol.protocol.rule import Rule

Integers = NDArray[np.int64]


def choose(rows: Rows, limits: Limits, seed: bytes, count: int = ROWS) -> list[Row]:
    """At most `count` rows within the limits, spread over markets and expiries: the seed shuffles those of each expiry,
    and they are taken in turn, so that a long expiry crowds out no short one."""
    weight = np.rint(rows.weight * FULL_WEIGHT).astype(np.int64)
    k, vol = (np.rint(column * UNIT).astype(np.int64) for column in (rows.k, rows.iv))
    day, rest = np.divmod(rows.expiry - HOUR_OF_EXPIRY, DAY)
    fits = (rest == 0) & (weight > 0) & (np.abs(k) <= limits.most_k)
    fits &= (vol >= limits.least_vol) & (vol <= limits.most_vol)
    entropy = int.from_bytes(hashlib.sha256(b"fedvol rows of an agreed round" + seed).digest(), "big")
    shuffled = np.random.Generator(np.random.PCG64(entropy)).permutation(np.flatnonzero(fits))
    order = (rows.market * (1 << 16) + day)[shuffled]
    turn = np.zeros(len(shuffled), dtype=np.int64)
    for one in np.unique(order):
        turn[order == one] = np.arange(np.count_nonzero(order == one))
    chosen = shuffled[np.argsort(turn, kind="stable")[:count]]
    columns = (rows.market, day, k, vol, weight)
    return [Row(*(int(column[i]) for column in columns)) for i in chosen]


def opening(weights: Integers, as_of: int) -> Round:
    """The public part of a round that opens with these fixed-point weights, carried to `as_of`."""
    days = [(expiry - HOUR_OF_EXPIRY) // DAY for expiry in listing.expiries(as_of, PILLARS)]
    return Round(as_of, days, np.asarray(weights).tolist())


def update(
    spec: ModelSpec, weights: Integers, as_of: int, rows: Rows, seed: bytes, limits: Limits, by: Rule
) -> tuple[Integers, Integers]:
    """The two lanes that a node sends.

    Args:
        weights: of the model carried to `as_of`.

    Raises:
        ConfigError: a model of another shape than circuits are made for.
    """
    if (len(spec.markets), spec.pillars, spec.fraction_bits) != (MARKETS, PILLARS, PLACES):
        raise ConfigError(
            f"The agreed training is for {MARKETS} markets, {PILLARS} expiries and {PLACES} fraction bits.",
            "Train this model in floats.",
        )
    slots = fill(choose(rows, limits, seed), limits)
    at = opening(weights, as_of)
    lanes = agreed_step.step(slots, at, limits, by.clamp, by.weight_cap, by.weight_shift)
    return np.array(lanes.p, dtype=np.int64), np.array(lanes.h, dtype=np.int64)
