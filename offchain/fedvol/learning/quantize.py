"""From a trained model to the integers that travel."""

from __future__ import annotations

import hashlib
from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedvol.errors import WireError
from fedvol.learning.model import ModelSpec
from fedvol.protocol.rule import Rule
from fedvol.protocol.vector import BIAS

CURVATURE_UNITS = 4096
"""What a row that moves one to one with a weight adds to its weight lane. A cap of 2^18 is reached at 64 such rows, so
that no desk outweighs all others by the length of its tape; what neighbours say, 2e-4 of a row, is still a number."""


Integers = NDArray[np.int64]


def to_update(
    local: ArrayLike, global_weights: ArrayLike, spec: ModelSpec, clip_bound: int, seed: bytes
) -> NDArray[np.int64]:
    """The move from the round's weights to the trained ones, in fixed point, clipped to ±clip_bound.

    Stochastic rounding: up with a probability equal to the fraction, so that the mean of many updates is
    unbiased but for clipping. A move that is an integer already, zero above all, is kept. The same seed gives
    the same update.

    Args:
        local: d trained float weights.
        global_weights: d fixed-point weights of the round (int32 range).
        clip_bound: the federation's public bound in fixed point, 1..2^23 - 1.
        seed: 32 bytes, the node's own secret of this round.

    Returns:
        d integers, |u| <= clip_bound < 2^23.

    Raises:
        WireError: a weight that is not finite, a vector of another length, or a bound or seed out of range.
    """
    trained, start = np.asarray(local, dtype=np.float64), np.asarray(global_weights, dtype=np.int64)
    if trained.shape != (spec.dimension,) or start.shape != (spec.dimension,):
        raise WireError(
            f"An update of {spec.name} has {spec.dimension} weights, not {trained.size} from {start.size}.",
            "Train the model of the federation's spec.",
        )
    if not 1 <= clip_bound < BIAS:
        raise WireError(f"A clip bound of {clip_bound} cannot travel.", f"Use 1 to {BIAS - 1}.")
    if len(seed) != 32:
        raise WireError(f"The rounding seed has {len(seed)} bytes.", "Use 32 random bytes.")
    bad = np.flatnonzero(~np.isfinite(trained))
    if bad.size:
        raise WireError(
            f"Training left weight {bad[0]} at {trained[bad[0]]} ({bad.size} weights are not finite).",
            "Look at the tape with `fedvol market inspect`, or lower the learning rate.",
        )
    return _round(np.clip(trained * spec.scale - start, -clip_bound, clip_bound), seed)


def to_weighted(update: Integers, curvature: ArrayLike, rule: Rule, seed: bytes) -> tuple[Integers, Integers]:
    """The two lanes of a weighted update: (weight · move / 2^weight_shift, weight).

    Args:
        update: d moves, |u| <= clamp.
        curvature: d numbers >= 0, how much the desk's rows say about each weight:
        `fedvol.learning.model.Model.curvature`.

    Raises:
        WireError: a curvature that is negative or not finite.
    """
    sure = np.asarray(curvature, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(sure) | (sure < 0))
    if bad.size:
        raise WireError(
            f"The curvature of weight {bad[0]} is {sure[bad[0]]}.", "Look at the tape with `fedvol market inspect`."
        )
    weights = np.minimum(np.rint(sure * CURVATURE_UNITS), rule.weight_cap).astype(np.int64)
    exact = weights * update
    # Rounding up may pass what the rule allows a weight by one unit: it would be clamped there anyway.
    most = weights * rule.clamp >> rule.weight_shift
    return np.clip(_round(exact / 2.0**rule.weight_shift, seed), -most, most), weights


def within(moves: Integers, norm: int) -> Integers:
    """The moves, all shortened alike, toward zero, where the sum of their squares is above `norm`."""
    squares = sum(move * move for move in moves.tolist())
    if squares <= norm:
        return moves
    longest, length = isqrt(norm), isqrt(squares - 1) + 1
    return np.sign(moves) * (np.abs(moves) * longest // length)


def _round(values: NDArray[np.float64], seed: bytes) -> Integers:
    floor = np.floor(values)
    entropy = int.from_bytes(hashlib.sha256(b"fedvol stochastic rounding" + seed).digest(), "big")
    draws = np.random.Generator(np.random.PCG64(entropy)).random(values.size)
    return (floor + (draws < values - floor)).astype(np.int64)
