"""Small tapes whose truth is known: quotes off a surface of the model itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fedvol.learning.model import Model, build
from fedvol.learning.ssvi_pillars import ssvi_spec

MODEL = build(ssvi_spec())
NOW_MS = 1_780_000_000_000


def truth(model: Model = MODEL) -> np.ndarray:
    """Float weights of a market unlike the initial one: 35% to 50%, a steeper skew."""
    weights = model.spec.to_float(model.initial_weights())
    for market, vol in ((0, 0.35), (1, 0.5)):
        block = weights[model.block(market)]
        block[:-2], block[-2:] = np.log(vol) + np.linspace(0, 0.2, block.size - 2), (-0.4, 0.1)
    return weights


def tape(markets: tuple[str, ...] = ("BTC", "ETH"), days: tuple[float, ...] = (3, 10, 40, 200)) -> pd.DataFrame:
    """Quotes of `truth` at eleven strikes, -2 to +2 deviations, for each market and expiry."""
    rows = [(m, d, z) for m in markets for d in days for z in np.linspace(-2, 2, 11)]
    market, day, z = (np.array(column) for column in zip(*rows, strict=True))
    T = np.round(day * 86_400_000) / (365 * 86_400_000)
    k = z * 0.45 * np.sqrt(T)
    index = np.array([MODEL.spec.markets.index(name) for name in market])
    return pd.DataFrame(
        {
            "ts_ms": NOW_MS,
            "market": market,
            "expiry_ms": NOW_MS + np.round(day * 86_400_000).astype(np.int64),
            "strike": 80_000 * np.exp(k),
            "is_call": k > 0,
            "forward": 80_000.0,
            "iv": MODEL.implied_vol(truth(), index, k, T),
        }
    )
