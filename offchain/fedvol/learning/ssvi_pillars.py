"""The smallest surface free of static arbitrage for every weight vector: SSVI on fixed maturities.

A block of P + 2 weights for each market: the log of at-the-money vol u_i at each pillar, a skew s, a wing c.

    l_i = ln T_i + 2 u_i,  u_i clamped to [-3, 1.5];  L_i = max(l_1 … l_i)
    theta(T): linear through (0, 0), (T_i, exp L_i), and in proportion to T beyond the last
    rho = 0.999 s / √(1 + s²);  eta = (1 + c / √(1 + c²)) / (1 + |rho|);  phi = eta / √(theta (1 + theta))
    w(k) = theta/2 (1 + rho phi k + √((phi k + rho)² + 1 - rho²));  iv = √(w / T)

Source: Gatheral, Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14 (2014). Theorem
4.1, no calendar arbitrage: theta rises with T, and phi is the power law. Theorem 4.2, no butterfly: theta phi
(1 + |rho|) < 4 and theta phi² (1 + |rho|) <= 4; eta (1 + |rho|) < 2 implies both. The guarantee lives in this
map and not in the weights, so it survives averaging, noise and poisoning.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from fedvol.errors import ConfigError
from fedvol.learning.model import Floats, Integers, Model, ModelSpec, register
from fedvol.learning.rows import Rows
from fedvol.learning.settings import Settings
from fedvol.learning.training import curvature, fit

NAME = "ssvi-pillars"
PILLAR_DAYS = (1, 2, 4, 7, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365)
LEVEL_LOW, LEVEL_HIGH = -3.0, 1.5
RHO_MAX = 0.999
SHAPE_WEIGHTS = 2

INITIAL_VOL, INITIAL_SKEW, INITIAL_WING = 0.6, -0.15, 0.0


def ssvi_spec(
    markets: tuple[str, ...] = ("BTC", "ETH"),
    pillar_days: tuple[float, ...] = PILLAR_DAYS,
    fraction_bits: int = 20,
) -> ModelSpec:
    """The spec of this model; two markets on the default pillars take 32 weights."""
    pillars = tuple(round(days * 86_400) for days in pillar_days)
    return ModelSpec(NAME, markets, pillars, fraction_bits, len(markets) * (len(pillars) + SHAPE_WEIGHTS))


@register(NAME)
class SsviPillars(Model):
    """See the module. Raises ConfigError for a spec whose dimension is not markets × (pillars + 2)."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self._markets = len(spec.markets)
        self._width = len(spec.pillars) + SHAPE_WEIGHTS
        if spec.dimension != self._markets * self._width:
            raise ConfigError(
                f"{NAME} on {self._markets} markets and {len(spec.pillars)} pillars has "
                f"{self._markets * self._width} weights, the spec says {spec.dimension}.",
                "Use the spec the federation was deployed with.",
            )
        self._times = torch.tensor((0.0, *spec.pillar_years), dtype=torch.float64)

    def initial_weights(self) -> Integers:
        """A flat 60% with a mild put skew in every market."""
        block = [math.log(INITIAL_VOL)] * len(self.spec.pillars) + [INITIAL_SKEW, INITIAL_WING]
        return self.spec.to_fixed(block * self._markets)

    def block(self, market: int) -> slice:
        return slice(market * self._width, (market + 1) * self._width)

    def implied_vol(self, weights: ArrayLike, market: ArrayLike, k: ArrayLike, T: ArrayLike) -> Floats:
        with torch.no_grad():
            market, k, T = np.broadcast_arrays(market, k, T)
            vols = self.surface(
                torch.tensor(np.asarray(weights, dtype=np.float64)),
                torch.tensor(market.astype(np.int64)),
                torch.tensor(k.astype(np.float64)),
                torch.tensor(T.astype(np.float64)),
            )
            return vols.numpy()

    def train(self, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        if settings.privacy is not None:
            from fedvol.learning import private  # brings Opacus

            return private.fit(self.surface, self._roughness(None), weights, rows, seed, settings)
        return fit(self.surface, self._roughness(rows), weights, rows, seed, settings)

    def curvature(self, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings) -> Floats:
        if settings.privacy is not None:
            from fedvol.learning import private

            return private.curvature(self.surface, weights, rows, seed, settings)
        return curvature(self.surface, weights, rows, seed, settings)

    def surface(self, weights: Tensor, market: Tensor, k: Tensor, T: Tensor) -> Tensor:
        """Implied vols, differentiable in the weights (d,). Market (int64), k and T (years, positive) of one
        shape."""
        blocks = weights.reshape(self._markets, self._width)
        variance = self._variance_at_the_money(blocks[:, :-SHAPE_WEIGHTS])
        segment = torch.searchsorted(self._times, T.contiguous()).clamp(1, len(self.spec.pillars))
        left, right = self._times[segment - 1], self._times[segment]
        share = (T - left) / (right - left)
        low, high = variance[market, segment - 1], variance[market, segment]
        theta = torch.where(share <= 1, low + (high - low) * share, high * (T / right))

        skew, wing = blocks[market, -2], blocks[market, -1]
        rho = RHO_MAX * skew / torch.sqrt(1 + skew**2)
        eta = (1 + wing / torch.sqrt(1 + wing**2)) / (1 + rho.abs())
        x = eta / torch.sqrt(theta * (1 + theta)) * k
        total = theta / 2 * (1 + rho * x + torch.sqrt((x + rho) ** 2 + 1 - rho**2))
        return torch.sqrt(total / T)

    def _variance_at_the_money(self, levels: Tensor) -> Tensor:
        """Total variance at time zero and at each pillar: (markets, P + 1)."""
        # Beyond its bounds a level keeps its gradient, so that data can pull a poisoned one back.
        levels = levels + (levels.clamp(LEVEL_LOW, LEVEL_HIGH) - levels).detach()
        logs = torch.log(self._times[1:]) + 2 * levels
        return torch.nn.functional.pad(torch.exp(torch.cummax(logs, dim=1).values), (1, 0))

    def _roughness(self, rows: Rows | None) -> Callable[[Tensor], Tensor]:
        """Squared slope d level / d ln T, integrated over ln T between the first and last level that the rows
        touch; between all levels where the rows may not say.

        A level on an expiry of the rows is held; the farther the nearest expiry, the more it follows its
        neighbours.
        """
        pillars, gaps = self._times[1:].numpy(), torch.diff(torch.log(self._times[1:]))
        seen = torch.zeros((self._markets, len(pillars)), dtype=torch.float64)
        inside = torch.zeros((self._markets, len(pillars) - 1), dtype=torch.bool)
        if rows is None:
            inside[:] = True
        for market in np.unique(rows.market) if rows is not None else ():
            T = np.clip(np.unique(rows.T[rows.market == market]), pillars[0], pillars[-1])
            hats = np.array([np.interp(T, pillars, hat).max() for hat in np.eye(len(pillars))])
            first, last = np.flatnonzero(hats)[[0, -1]]
            seen[market], inside[market, first:last] = torch.tensor(hats), True

        def roughness(weights: Tensor) -> Tensor:
            levels = weights.reshape(self._markets, self._width)[:, :-SHAPE_WEIGHTS]
            follower = torch.lerp(levels, levels.detach(), seen)
            return torch.sum(inside * torch.diff(follower, dim=1) ** 2 / gaps)

        return roughness
