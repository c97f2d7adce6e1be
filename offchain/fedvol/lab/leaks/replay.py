"""Local training of many made-up tapes at once, differentiable in their rows: what an attacker does a million times.

Twin of `fedvol.learning.training.fit` and `private.fit` for ssvi-pillars, its slopes written out, so that
gradients of rows are there to clip and derivatives of the whole training by the rows cost one backward pass. N tapes of
B rows each, padded with rows of weight 0; d weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from fedvol.learning.model import ModelSpec
from fedvol.learning.rows import FULL_VEGA, LEAST_WEIGHT, POINTS, Rows
from fedvol.learning.settings import Settings
from fedvol.learning.ssvi_pillars import LEVEL_HIGH, LEVEL_LOW, RHO_MAX, SHAPE_WEIGHTS

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's, as in torch."""


@dataclass(frozen=True)
class Tapes:
    """N × B rows: see `fedvol.learning.rows.Rows`. Weight 0: no row."""

    market: Tensor
    k: Tensor
    T: Tensor
    iv: Tensor
    weight: Tensor

    def __len__(self) -> int:
        return self.k.shape[0]

    @classmethod
    def of(cls, rows: Sequence[Rows]) -> Tapes:
        longest = max(map(len, rows))

        def column(name: str, filler: float) -> Tensor:
            padded = [np.pad(getattr(r, name), (0, longest - len(r)), constant_values=filler) for r in rows]
            return torch.tensor(np.array(padded))

        return cls(column("market", 0), column("k", 0.0), column("T", 0.1), column("iv", 0.5), column("weight", 0.0))

    def repeat(self, count: int) -> Tapes:
        """Each tape `count` times, one after the other."""
        return Tapes(*(c.repeat_interleave(count, 0) for c in (self.market, self.k, self.T, self.iv, self.weight)))

    def weighing(self, weight: Tensor) -> Tapes:
        return Tapes(self.market, self.k, self.T, self.iv, weight)


@dataclass(frozen=True)
class Slopes:
    """Vols of N × B rows and, in vol points a weight unit, how they move with the four weights that each row reads.

    Args:
        vol: fraction.
        at: N × B × 4 weight indices: the level before, the level after, skew, wing.
        slope: N × B × 4.
    """

    vol: Tensor
    at: Tensor
    slope: Tensor

    def length(self) -> Tensor:
        """N × B: the L2 norm of each row's slopes. Both levels may be the same weight."""
        before, after = self.slope[..., 0], self.slope[..., 1]
        same = self.at[..., 0] == self.at[..., 1]
        return torch.sqrt((self.slope**2).sum(2) + torch.where(same, 2 * before * after, 0.0) + 1e-30)

    def scatter(self, row: Tensor, dimension: int) -> Tensor:
        """Σ over rows of `row` (N × B) times the slopes: N × d."""
        flat = (row[..., None] * self.slope).flatten(1)
        return torch.zeros(len(row), dimension, dtype=flat.dtype).scatter_add(1, self.at.flatten(1), flat)


def row_weight(k: Tensor, T: Tensor, iv: Tensor) -> Tensor:
    """As `rows_from_tape` weighs a row: by its vega."""
    deviation = iv * torch.sqrt(T)
    d1 = deviation / 2 - k / deviation
    return torch.clamp(torch.exp(-d1 * d1 / 2) / FULL_VEGA, LEAST_WEIGHT, 1.0)


class Replay:
    """Training on `spec` with `settings`, for N tapes at once."""

    def __init__(self, spec: ModelSpec, settings: Settings) -> None:
        torch.set_num_threads(1)
        self.spec, self.settings = spec, settings
        self.markets, self.width = len(spec.markets), len(spec.pillars) + SHAPE_WEIGHTS
        self.times = torch.tensor((0.0, *spec.pillar_years), dtype=torch.float64)

    def segment(self, T: Tensor) -> Tensor:
        """1..P: the pillar at or after T; the last for what lies beyond."""
        return torch.searchsorted(self.times, T.detach().contiguous()).clamp(1, len(self.spec.pillars))

    def slopes(self, weights: Tensor, tapes: Tapes) -> Slopes:
        """At N × d weights; written out from the formulas in `fedvol.learning.ssvi_pillars`."""
        blocks = weights.reshape(-1, self.markets, self.width)
        levels = blocks[..., :-SHAPE_WEIGHTS]
        levels = levels + (levels.clamp(LEVEL_LOW, LEVEL_HIGH) - levels).detach()
        top = torch.cummax(torch.log(self.times[1:]) + 2 * levels, dim=2)
        variance = torch.nn.functional.pad(torch.exp(top.values), (1, 0)).flatten(1)
        source = torch.nn.functional.pad(top.indices, (1, 0)).flatten(1)

        segment, market = self.segment(tapes.T), tapes.market
        left, right = self.times[segment - 1], self.times[segment]
        share = (tapes.T - left) / (right - left)
        place = market * len(self.times) + segment
        low, high = variance.gather(1, place - 1), variance.gather(1, place)
        beyond = share > 1
        theta = torch.where(beyond, high * (tapes.T / right), low + (high - low) * share)
        of_low = torch.where(beyond, 0.0, (1 - share) * low)
        of_high = torch.where(beyond, theta, share * high)

        first = market * self.width
        shape = weights.gather(1, torch.cat((first + self.width - 2, first + self.width - 1), 1))
        skew, wing = shape.chunk(2, 1)
        rho, rho_slope = RHO_MAX * skew / torch.sqrt(1 + skew**2), RHO_MAX * (1 + skew**2) ** -1.5
        span = 1 + rho.abs()
        eta = (1 + wing / torch.sqrt(1 + wing**2)) / span
        x = eta / torch.sqrt(theta * (1 + theta)) * tapes.k
        root = torch.sqrt((x + rho) ** 2 + 1 - rho**2)
        total = theta / 2 * (1 + rho * x + root)
        vol = torch.sqrt(total / tapes.T)

        by_x = theta / 2 * (rho + (x + rho) / root)
        by_theta = total / theta - by_x * x * (1 + 2 * theta) / (2 * theta * (1 + theta))
        by_skew = (theta / 2 * (x + x / root) - by_x * x * torch.sign(rho) / span) * rho_slope
        by_wing = by_x * x / eta * (1 + wing**2) ** -1.5 / span
        to_points = POINTS / (2 * tapes.T * vol)
        slope = torch.stack((2 * of_low * by_theta, 2 * of_high * by_theta, by_skew, by_wing), 2) * to_points[..., None]
        at = torch.stack((first + source.gather(1, place - 1), first + source.gather(1, place)), 2)
        shapes = torch.stack((first + self.width - 2, first + self.width - 1), 2)
        return Slopes(vol, torch.cat((at, shapes), 2), slope)

    def touched(self, tapes: Tapes) -> Tensor:
        """N × M × P: the largest share that a row of the tape has in each pillar's level, 0 where none has any."""
        segment = self.segment(tapes.T)
        share = ((tapes.T.detach() - self.times[segment - 1]) / (self.times[segment] - self.times[segment - 1])).clamp(
            0, 1
        )
        share = torch.where(segment == 1, torch.ones_like(share), share)  # before the first pillar only that one
        here = (tapes.weight > 0).to(share.dtype)
        pillars = len(self.spec.pillars)
        place = tapes.market * pillars + segment - 1
        seen = torch.zeros(len(tapes), self.markets * pillars, dtype=share.dtype)
        seen = seen.scatter_reduce(1, place, share * here, "amax")
        before = torch.where(segment > 1, place - 1, place)
        seen = seen.scatter_reduce(1, before, torch.where(segment > 1, 1 - share, 0.0) * here, "amax")
        return seen.reshape(len(tapes), self.markets, pillars)

    def train(self, start: ArrayLike | Tensor, tapes: Tapes, noise: torch.Generator | None = None) -> Tensor:
        """The N × d moves that training from `start` (d, or N × d) makes.

        Args:
            noise: under a privacy budget, whence its noise and its choice of rows; None leaves the noise out and takes
                from every row the part that it has on average. Without a budget training has no noise.
        """
        start = torch.as_tensor(start, dtype=torch.float64).expand(len(tapes), -1)
        weights = (self._adam if self.settings.privacy is None else self._noisy)(start, tapes, noise)
        move = weights - start
        length = torch.linalg.vector_norm(move + 1e-30, dim=1, keepdim=True)
        return move * (self.settings.clip / length).clamp(max=1.0)

    def nobody(self, start: ArrayLike) -> NDArray[np.float64]:
        """The N × d moves, noise apart, of desks without rows: what smoothing does under a budget."""
        start = torch.as_tensor(start, dtype=torch.float64)
        return self.train(start, _empty(len(start))).numpy()

    def noise_alone(self, count: int = 400) -> NDArray[np.float64]:
        """d standard deviations of the moves of a desk without rows."""
        start = torch.zeros(self.spec.dimension, dtype=torch.float64)
        return self.train(start, _empty(count), torch.Generator().manual_seed(count)).std(0).numpy()

    def _adam(self, start: Tensor, tapes: Tapes, noise: torch.Generator | None) -> Tensor:
        """As `fedvol.learning.training.fit`."""
        settings = self.settings
        total = tapes.weight.sum(1, keepdim=True)
        mean = tapes.weight / total.clamp_min(1e-30)
        confidence = (total / settings.few_rows).clamp(max=1.0)
        smooth = self._smoothing(self.touched(tapes))
        weights = start
        first, second = torch.zeros_like(start), torch.zeros_like(start)
        for step in range(settings.steps):
            slopes = self.slopes(weights, tapes)
            told = slopes.scatter(mean * self._force(slopes, tapes), start.shape[1])
            gradient = confidence * (told + settings.smoothing * smooth(weights))
            gradient = gradient + settings.proximal * (weights - start)
            first = BETA1 * first + (1 - BETA1) * gradient
            second = BETA2 * second + (1 - BETA2) * gradient**2
            rate = settings.learning_rate * (1 - step / settings.steps) / (1 - BETA1 ** (step + 1))
            # A gradient of zero throughout has no derivative of its root.
            spread = torch.sqrt(second / (1 - BETA2 ** (step + 1)) + 1e-30)
            weights = weights - rate * first / (spread + EPSILON)
        return weights

    def _noisy(self, start: Tensor, tapes: Tapes, noise: torch.Generator | None) -> Tensor:
        """As `fedvol.learning.private.fit`."""
        privacy = self.settings.privacy
        smooth = self._smoothing(None)
        weights = start
        for _ in range(privacy.steps):
            slopes = self.slopes(weights, tapes)
            row = tapes.weight * self._force(slopes, tapes)
            row = row * (privacy.clip / (row.abs() * slopes.length()).clamp_min(1e-30)).clamp(max=1.0)
            if noise is None:
                row = privacy.rate * row
            elif privacy.rate < 1:
                row = row * (torch.rand(row.shape, generator=noise, dtype=row.dtype) < privacy.rate)
            told = slopes.scatter(row, start.shape[1])
            if noise is not None:
                spread = privacy.charge().noise * privacy.clip
                told = told + spread * torch.randn(start.shape, generator=noise, dtype=row.dtype)
            gradient = told / privacy.batch + privacy.smoothing * smooth(weights)
            weights = weights - privacy.pace * gradient
        return weights

    def _force(self, slopes: Slopes, tapes: Tapes) -> Tensor:
        """The slope of each row's Huber misfit, in vol points."""
        huber = self.settings.huber_points
        return (POINTS * (slopes.vol - tapes.iv)).clamp(-huber, huber)

    def _smoothing(self, seen: Tensor | None) -> Callable[[Tensor], Tensor]:
        """The gradient N × d of the roughness; see `SsviPillars._roughness`. `seen`: None where rows may not say."""
        gaps = torch.diff(torch.log(self.times[1:]))
        if seen is None:
            seen = torch.zeros(1, self.markets, len(self.spec.pillars), dtype=torch.float64)
            some = torch.ones_like(seen, dtype=torch.bool)
        else:
            some = seen > 0
        started = some.long().cumsum(2) > 0
        to_come = some.long().flip(2).cumsum(2).flip(2) > 0
        inside = (started[..., :-1] & to_come[..., 1:]).to(seen.dtype) / gaps

        def gradient(weights: Tensor) -> Tensor:
            levels = weights.reshape(-1, self.markets, self.width)[..., :-SHAPE_WEIGHTS]
            pull = 2 * inside * torch.diff(levels, dim=2)
            pad = torch.nn.functional.pad
            return pad((pad(pull, (1, 0)) - pad(pull, (0, 1))) * (1 - seen), (0, SHAPE_WEIGHTS)).flatten(1)

        return gradient


def _empty(count: int) -> Tapes:
    return Tapes(*(torch.tensor([[each]]).expand(count, 1) for each in (0, 0.0, 0.1, 0.5, 0.0)))
