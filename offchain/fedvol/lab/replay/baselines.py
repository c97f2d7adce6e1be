"""What a desk could have without a federation: one vol, a quadratic or an SVI smile for each expiry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from fedvol.learning.rows import Rows

Floats = NDArray[np.float64]
Smile = Callable[[Floats], Floats]
"""ln(strike / forward) → vols."""

LEAST_ROWS = 4
"""Rows of one expiry from which it has a smile of its own; others take that of the nearest expiry."""
LEAST_SVI = 7
"""Rows from which that is an SVI and no quadratic: five parameters on fewer lose more than they win."""


class Smiles:
    """One smile for each market and expiry that has enough rows.

    Args:
        kind: "quadratic", iv = a + b k + c k² by least squares; or "svi", w = a + b (ρ (k − m) + √((k − m)² + σ²)) of
            Gatheral 2004, by bounded least squares on the vol; a quadratic where rows are few.
    """

    def __init__(self, kind: str, rows: Rows) -> None:
        self._fallback = float(np.median(rows.iv)) if len(rows) else 0.5
        self.found: dict[tuple[int, int], Smile] = {}
        for market in np.unique(rows.market):
            for expiry in np.unique(rows.expiry[rows.market == market]):
                own = rows.select((rows.market == market) & (rows.expiry == expiry))
                if len(own) >= LEAST_ROWS:
                    fit = _svi if kind == "svi" and len(own) >= LEAST_SVI else _quadratic
                    self.found[int(market), int(expiry)] = fit(own)

    def vols(self, rows: Rows) -> Floats:
        out = np.full(len(rows), self._fallback)
        for market in np.unique(rows.market):
            known = [expiry for m, expiry in self.found if m == market]
            for expiry in np.unique(rows.expiry[rows.market == market]) if known else ():
                nearest = min(known, key=lambda e, at=expiry: abs(e - at))
                where = (rows.market == market) & (rows.expiry == expiry)
                out[where] = self.found[int(market), nearest](rows.k[where])
        return np.clip(out, 0.01, 5.0)

    def sampled(self, rows: Rows) -> NDArray[np.bool_]:
        """Rows whose own expiry has a smile."""
        return np.array([key in self.found for key in zip(rows.market.tolist(), rows.expiry.tolist(), strict=True)])


def _quadratic(rows: Rows) -> Smile:
    powers = np.linalg.lstsq(np.vander(rows.k, 3), rows.iv, rcond=None)[0]
    return lambda k: np.vander(k, 3) @ powers


def _svi(rows: Rows) -> Smile:
    T = float(np.median(rows.T))

    def vol(x: Floats, k: Floats) -> Floats:
        a, b, rho, m, sigma = x
        w = a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))
        return np.sqrt(np.maximum(w, 1e-8) / T)

    level = float(np.median(rows.iv)) ** 2 * T
    low, high = [-level, 0.0, -0.999, -1.0, 1e-4], [10 * level, 4.0, 0.999, 1.0, 2.0]
    spread = max(float(np.std(rows.k)), 0.02)
    starts = (
        [level / 2, level / 2 / spread, -0.2, 0.0, spread],
        [level * 0.8, level / 4 / spread, 0.0, 0.0, 3 * spread],
    )

    def fitted(start: list[float]) -> OptimizeResult:
        start = np.clip(start, low, high)
        return least_squares(lambda x: vol(x, rows.k) - rows.iv, start, bounds=(low, high), max_nfev=200)

    best = min(map(fitted, starts), key=lambda result: result.cost)
    return lambda k: vol(best.x, k)
