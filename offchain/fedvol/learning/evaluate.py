"""How good a surface is: errors in vol points, of the model and of what a desk could have had without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings

if TYPE_CHECKING:
    from fedvol.learning.model import Model, Opening

MATURITY_DAYS = {
    "to 7 days": (0, 7),
    "7 to 35 days": (7, 35),
    "35 to 90 days": (35, 90),
    "over 90 days": (90, np.inf),
}
PUT_WING = -1.0
"""Standard deviations from the forward, at the row's own vol, below which a strike is put wing."""


def report(vols: ArrayLike, rows: Rows, markets: Sequence[str]) -> dict[str, object]:
    """RMSE in vol points of vols against rows; every row counts the same, a group without rows has None.

    Args:
        vols: fractions, one a row, or one for all.
        rows: what was observed.
        markets: names of the market indices.

    Returns:
        `rows` (count), `rmse`, `by_market`, `by_maturity` (name → RMSE), `put_wing`, `put_wing_bias` (mean error
        there); JSON takes it as it is.
    """
    errors = POINTS * (np.broadcast_to(np.asarray(vols, dtype=np.float64), rows.iv.shape) - rows.iv)
    squares = errors**2
    days = rows.T * 365
    bands = {name: (days > low) & (days <= high) for name, (low, high) in MATURITY_DAYS.items()}
    put_wing = rows.k <= PUT_WING * rows.iv * np.sqrt(rows.T)
    return {
        "rows": len(rows),
        "rmse": _root_mean(squares),
        "by_market": {name: _root_mean(squares[rows.market == i]) for i, name in enumerate(markets)},
        "by_maturity": {name: _root_mean(squares[band]) for name, band in bands.items()},
        "put_wing": _root_mean(squares[put_wing]),
        "put_wing_bias": float(errors[put_wing].mean()) if put_wing.any() else None,
    }


def flat_vol(rows: Rows) -> float:
    """The one vol (fraction) of somebody without a model: the weighted mean of all training rows."""
    return float(np.average(rows.iv, weights=rows.weight))


def train_alone(
    model: Model, opening: Opening, rows: Rows, rounds: int, seed: bytes, settings: Settings
) -> NDArray[np.float64]:
    """Float weights that one desk reaches by itself with as many local steps as `rounds` rounds of a
    federation, from the initial weights. Given everybody's rows, it is central training."""
    weights = model.spec.to_float(model.initial_weights())
    for number in range(rounds):
        weights = model.train(weights, opening, rows, seed + number.to_bytes(4, "big"), settings)
    return weights


def _root_mean(squares: NDArray[np.float64]) -> float | None:
    return float(np.sqrt(squares.mean())) if squares.size else None
