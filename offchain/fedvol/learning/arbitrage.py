"""Where a surface can be arbitraged. A file of its own: it brings scipy, which a waiting node does without."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from fedvol.learning.model import Model
from fedvol.protocol.black76 import YEAR


def violations(model: Model, weights: ArrayLike, as_of: int) -> dict[str, int]:
    """Places on a grid of tenors, between and beyond pillars, and strikes where call prices fall with time
    (`calendar`), are not convex in strike (`butterfly`), or have no vol (`undefined`); prices in units of the forward,
    a fall below 1e-9 is rounding.

    Args:
        weights: floats, as of `as_of` (unix seconds).
    """
    tenors = np.geomspace(1 / 365 / 4, 2.0, 40)
    strikes = np.linspace(0.3, 2.5, 89)
    found = {"calendar": 0, "butterfly": 0, "undefined": 0}
    for market in range(len(model.spec.markets)):
        k, T = np.broadcast_arrays(np.log(strikes), tenors[:, None])
        expiry = as_of + np.rint(T * YEAR).astype(np.int64)
        vols = model.implied_vol(weights, as_of, market, k, expiry)
        s = vols * np.sqrt((expiry - as_of) / YEAR)
        d = -k / s + s / 2
        calls = ndtr(d) - strikes * ndtr(d - s)
        found["calendar"] += int(np.count_nonzero(np.diff(calls, axis=0) < -1e-9))
        found["butterfly"] += int(np.count_nonzero(np.diff(calls, 2, axis=1) < -1e-9))
        found["undefined"] += int(np.count_nonzero(~np.isfinite(vols) | (vols <= 0)))
    return found
