"""Small tapes whose truth is known: quotes off a surface of the model itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fedvol.learning.model import Model, Opening, build
from fedvol.learning.ssvi_mixture import mixture_spec
from fedvol.protocol.listing import expiries

MODEL = build(mixture_spec())
NOW = 1_780_000_000
NOW_MS = 1000 * NOW
OPENING = Opening(NOW)
YEAR = 365 * 86_400
LISTED = expiries(NOW, MODEL.spec.pillars)


def truth(model: Model = MODEL) -> np.ndarray:
    """Float weights of a market unlike the initial one: 35% to 55%, a steep left wing."""
    weights = model.spec.to_float(model.initial_weights())
    for market, vol in ((0, 0.35), (1, 0.45)):
        pillars = weights[model.block(market)][:-2].reshape(-1, 2, 3)
        pillars[:, 0, 0] = vol + np.linspace(0, 0.1, len(pillars))
        pillars[:, 1, 0] = 1.5 * pillars[:, 0, 0]
        pillars[..., 1:] = 0.5, 0.9
    return weights


def tape(markets: tuple[str, ...] = ("BTC", "ETH"), listed: tuple[int, ...] = (1, 4, 8, 11)) -> pd.DataFrame:
    """Quotes of `truth` at eleven strikes, -2 to +2 deviations, for each market and index of a listed expiry."""
    rows = [(m, LISTED[i], z) for m in markets for i in listed for z in np.linspace(-2, 2, 11)]
    market, expiry, z = (np.array(column) for column in zip(*rows, strict=True))
    k = z * 0.45 * np.sqrt((expiry - NOW) / YEAR)
    index = np.array([MODEL.spec.markets.index(name) for name in market])
    return pd.DataFrame(
        {
            "ts_ms": NOW_MS,
            "market": market,
            "expiry_ms": 1000 * expiry,
            "strike": 80_000 * np.exp(k),
            "is_call": k > 0,
            "forward": 80_000.0,
            "iv": MODEL.implied_vol(truth(), NOW, index, k, expiry),
        }
    )
