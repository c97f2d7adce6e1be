"""Option prices under Bates (1996): Heston's variance with lognormal jumps, by the COS method.

The characteristic function is the one that stays on the principal branch (Albrecher, Mayer, Schoutens &
Tistaert 2007, "The little Heston trap"); prices are the cosine series of Fang & Oosterlee (2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TERMS = 512
_WIDTH = 14.0


@dataclass(frozen=True)
class Bates:
    """Risk-neutral parameters; time in years.

    dF/F = sqrt(v) dW1 + jumps; dv = speed*(level - v) dt + vol_of_var*sqrt(v) dW2; corr(dW1, dW2) = rho.
    Jumps come at `jump_rate` a year; ln(1 + jump) is normal with mean `jump_mean`, deviation `jump_dev`.
    """

    speed: float
    level: float
    vol_of_var: float
    rho: float
    jump_rate: float
    jump_mean: float
    jump_dev: float

    def characteristic(self, u: Floats, variance: float, years: float) -> NDArray[np.complex128]:
        """E[exp(i*u*ln(F_T/F_0))] for instantaneous variance `variance`; shape of u."""
        iu = 1j * u
        beta = self.speed - self.rho * self.vol_of_var * iu
        d = np.sqrt(beta**2 + self.vol_of_var**2 * (iu + u**2))
        g = (beta - d) / (beta + d)
        decay = np.exp(-d * years)
        square = self.vol_of_var**2
        level = self.speed * self.level / square
        heston = level * ((beta - d) * years - 2 * np.log((1 - g * decay) / (1 - g)))
        heston += variance / square * (beta - d) * (1 - decay) / (1 - g * decay)
        drift = np.expm1(self.jump_mean + 0.5 * self.jump_dev**2)
        jump = np.exp(iu * self.jump_mean - 0.5 * (self.jump_dev * u) ** 2) - 1 - iu * drift
        return np.exp(heston + self.jump_rate * years * jump)

    def spread(self, variance: float, years: float) -> tuple[float, float]:
        """Mean and an upper estimate of the deviation of ln(F_T/F_0), for the truncation of the series."""
        mean_var = self.level * years + (variance - self.level) * -np.expm1(-self.speed * years) / self.speed
        second = self.jump_mean**2 + self.jump_dev**2
        fourth = self.jump_mean**4 + 6 * (self.jump_mean * self.jump_dev) ** 2 + 3 * self.jump_dev**4
        stretch = 1 + self.vol_of_var * min(years, 1 / self.speed)
        total = mean_var * stretch + self.jump_rate * years * second + np.sqrt(self.jump_rate * years * fourth)
        drift = np.expm1(self.jump_mean + 0.5 * self.jump_dev**2)
        return -0.5 * mean_var + self.jump_rate * years * (self.jump_mean - drift), float(np.sqrt(total))

    def put_price(self, forward: float, strikes: Floats, variance: float, years: float) -> Floats:
        """Undiscounted puts, USD, shape of `strikes`; absolute error about 1e-9 of the forward.

        Calls follow by parity: call = put + forward - strike.
        """
        mean, deviation = self.spread(variance, years)
        x = np.log(forward / np.asarray(strikes, np.float64))
        a, b = float(mean - _WIDTH * deviation + x.min()), float(mean + _WIDTH * deviation + x.max())
        n = np.arange(TERMS)
        u = n * np.pi / (b - a)
        weights = self.characteristic(u, variance, years) * _put_coefficients(u, a, b)
        weights[0] *= 0.5
        series = np.real(np.exp(1j * np.outer(x - a, u)) @ weights)
        return np.maximum(series, 0.0) * strikes


def _put_coefficients(u: Floats, a: float, b: float) -> Floats:
    """Cosine coefficients on [a, b] of the payoff 1 - exp(y) for y in [a, 0], y = ln(F_T/K)."""
    end = min(max(0.0, a), b)
    angle = u * (end - a)
    exponential = (np.cos(angle) + u * np.sin(angle)) * np.exp(end) - np.exp(a)
    exponential /= 1 + u * u
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.where(u == 0, end - a, np.sin(angle) / u)
    return 2.0 / (b - a) * (flat - exponential)
