"""Local training that shows little of any one trade: steps along clipped row gradients and noise.

What leaves here depends on the rows through the noisy sums alone. So nothing else may: not their number, for which the
public `batch` stands; not where they lie, which the ordinary fit's curvature asks; not which of them are used, which a
public probability decides. A desk without rows returns noise like any other.

160 weights cannot be stepped in alike: some move every quote, others few. So gradients are clipped and noise is added
in coordinates in which a *public* lattice of quotes curves the misfit evenly, as Gauss and Newton would have it.

Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, with Opacus' optimizer for clipping and noise.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.optimizers import DPOptimizer
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtri

from fedvol.errors import ConfigError
from fedvol.learning.model import Model, ModelSpec, Opening
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings
from fedvol.learning.training import clip_move
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.listing import expiries

Floats = NDArray[np.float64]

LATTICE_VOL, LATTICE = 0.5, (-2.0, -1.3, -0.8, -0.4, 0.0, 0.4, 0.8, 1.3, 2.0)
"""Where quotes are expected: at these deviations of this vol, on every listed expiry."""

WEIGHT = 1.0
"""Rows' worth that a private update claims for each weight."""


class Chance:
    """Uniform numbers that nobody can tell from fair ones without the secret: SHAKE-256.

    A torch.Generator would not do: it keeps 32 bits of its seed, which anybody can try out to take the noise off. The
    rows enter, so that noise is never used twice: two updates of one secret on two tapes would differ by the tapes.
    """

    def __init__(self, secret: bytes, weights: Floats, rows: Rows) -> None:
        key = hashlib.sha256(b"fedvol private training" + len(secret).to_bytes(8, "big") + secret)
        for column in (weights, rows.market, rows.k, rows.T, rows.expiry, rows.iv, rows.weight):
            key.update(column.size.to_bytes(8, "big") + np.ascontiguousarray(column).tobytes())
        self._key = key.digest()

    def uniform(self, label: str, count: int) -> Floats:
        """Numbers in (0, 1), 52 bits each; the same for the same label."""
        stream = hashlib.shake_256(self._key + label.encode()).digest(8 * count)
        bits = np.frombuffer(stream, dtype="<u8") >> np.uint64(12)
        return (bits.astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, label: str, count: int) -> Floats:
        return ndtri(self.uniform(label, count))


class NoisySum(DPOptimizer):
    """Opacus' optimizer with noise out of `Chance`."""

    chance: Chance
    step_number: int

    def add_noise(self) -> None:
        (weights,) = self.params
        normal = self.chance.normal(f"noise {self.step_number}", weights.numel())
        weights.grad = weights.summed_grad + self.noise_multiplier * self.max_grad_norm * torch.from_numpy(normal)


def fit(model: Model, weights: Floats, opening: Opening, rows: Rows, seed: bytes, settings: Settings) -> Floats:
    """Float weights after one round's private steps from float weights.

    The same arguments give the same bytes. Of `settings` only `clip` means what it does without privacy, and bounds the
    whole move; the noise needs other steps, and `privacy` has them. What no row can tell stays.

    Args:
        seed: 32 secret bytes. Who knows them takes the noise off.

    Raises:
        ConfigError: settings without privacy, or a seed too short to be a secret.
    """
    privacy = _secret(seed, settings)
    torch.set_num_threads(1)
    told = model.told() > 0
    here, chance = weights.copy(), Chance(seed, weights, rows)
    pull = privacy.smoothing * model.smoothness(opening.as_of)
    for step in range(privacy.steps):
        even = evened(model, here, opening.as_of, privacy)
        chosen = rows.select(chance.uniform(f"rows {step}", len(rows)) < privacy.rate)
        with np.errstate(invalid="ignore", over="ignore"):
            each = _finite(gradients(model, here, chosen, opening.as_of)[:, told] @ even)
        noisy = noisy_sum(each, privacy, chance, step) / privacy.rate
        here[told] -= privacy.pace * even @ (noisy / POINTS + even.T @ (pull @ here)[told])

    return clip_move(weights, here, settings.clip)


def curvature(model: Model) -> Floats:
    """What every private update weighs, whatever it was trained on: more rows make a longer sum already, so that the
    plain mean is right, and a constant gives nothing away."""
    return WEIGHT * model.told()


def noisy_sum(each: Floats, privacy: Privacy, chance: Chance, step: int) -> Floats:
    """The sum of rows' vectors, each clipped, with the noise that is paid for."""
    total = torch.nn.Parameter(torch.zeros(each.shape[1], dtype=torch.float64))
    noisy = NoisySum(
        torch.optim.SGD([total], lr=1.0),
        noise_multiplier=privacy.charge().noise,
        max_grad_norm=privacy.clip,
        expected_batch_size=1,
    )
    noisy.chance, noisy.step_number = chance, step
    total.grad_sample = torch.from_numpy(each)
    noisy.pre_step()
    return total.grad.numpy()


def evened(model: Model, weights: Floats, as_of: int, privacy: Privacy) -> Floats:
    """L with L L' = A^-1, A the curvature that `batch` rows spread over the lattice, `prior` and the smoothness have at
    public weights: among those that rows tell, (t, t)."""
    told = model.told() > 0
    rows = lattice(model.spec, as_of)
    _, slopes = model.see(weights, rows, as_of)
    slopes = slopes[:, told]
    curved = privacy.batch / len(rows) * (slopes.T * rows.weight) @ slopes
    curved += privacy.smoothing * model.smoothness(as_of)[np.ix_(told, told)] + privacy.prior * np.eye(told.sum())
    return solve_triangular(cholesky(curved), np.eye(told.sum()))


def lattice(spec: ModelSpec, as_of: int) -> Rows:
    """Quotes as anybody expects them, whatever the tape holds."""
    listed = np.array(expiries(as_of, spec.pillars), dtype=np.int64)
    market, expiry, z = (
        axis.ravel() for axis in np.meshgrid(np.arange(len(spec.markets)), listed, LATTICE, indexing="ij")
    )
    T = (expiry - as_of) / YEAR
    vol = np.full(z.size, LATTICE_VOL)
    return Rows(market, z * vol * np.sqrt(T), T, expiry, vol, np.minimum(2 * np.exp(-z * z / 2), 1.0))


def gradients(model: Model, weights: Floats, rows: Rows, as_of: int) -> Floats:
    """Each row's own gradient of weight · squared misfit / 2, in vol points a weight unit, (rows, d), unclipped:
    clipping bounds what an outlier pulls."""
    vols, slopes = model.see(weights, rows, as_of)
    return (rows.weight * POINTS * (vols - rows.iv))[:, None] * slopes


def _finite(each: Floats) -> Floats:
    """Rows with a number that is none as zero: one of them in a sum would show."""
    return np.where(np.isfinite(each).all(axis=1, keepdims=True), each, 0.0)


def _secret(seed: bytes, settings: Settings) -> Privacy:
    if settings.privacy is None:
        raise ConfigError("Private training without a budget means nothing.", "Give Settings a Privacy.")
    if len(seed) < 32:
        raise ConfigError(f"A secret of {len(seed)} bytes hides no noise.", "Use 32 random bytes.")
    return settings.privacy
