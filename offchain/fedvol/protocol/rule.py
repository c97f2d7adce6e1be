"""Combining rules: the round's updates and the last model in, the new model out.

Twin of `contracts/libraries/RuleLib.sol`.

All integers; the only rounding is the stated truncation, so that anybody, and the EVM, finds the same model.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedvol.errors import WireError

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def mean(model: NDArray[np.int64], updates: NDArray[np.int64], bound: int, step: int) -> NDArray[np.int64]:
    """m + trunc(q · Σ clamp(uᵢ, ±B) / (n · 2^16)), truncated once, toward zero, and saturated to int32.

    Args:
        model: d weights, int32 values.
        updates: n × d lane values as they came, n ≥ 1.
        bound: B, 0 < B < 2^23.
        step: q, 0 < q < 2^32.

    Raises:
        WireError: no update at all, or shapes that do not fit.
    """
    updates = np.atleast_2d(np.asarray(updates, dtype=np.int64))
    n, d = updates.shape
    if n == 0 or d != len(model):
        raise WireError(f"{n} updates of {d} weights cannot move a model of {len(model)}.", "Check the model's spec.")
    # |Σ| ≤ 128 · 2^23 and q < 2^32: the product fits 62 bits.
    total = np.clip(updates, -bound, bound).sum(axis=0) * step
    move = np.sign(total) * (np.abs(total) // (n << 16))
    return np.clip(np.asarray(model, dtype=np.int64) + move, INT32_MIN, INT32_MAX)


def largest_move(bound: int, step: int) -> int:
    """Largest |move| of a weight that the mean can make: ⌊B·q / 2^16⌋."""
    return bound * step >> 16
