"""Local training that shows little of any one trade: gradient descent on clipped row gradients and noise.

What leaves here depends on the rows through the noisy sums alone. So nothing else may: not their number, which is
replaced by the public `batch`; not where they lie, which the ordinary fit's smoothing asks; not which of them are
used, which a public probability decides. A desk without rows returns noise like any other.

Source: Abadi et al., "Deep Learning with Differential Privacy", 2016, with Opacus' optimizer for clipping and noise.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from opacus.optimizers import DPOptimizer
from scipy.special import ndtri
from torch import Tensor
from torch.nn.functional import huber_loss

from fedvol.errors import ConfigError
from fedvol.learning.privacy import Privacy
from fedvol.learning.rows import POINTS, Rows
from fedvol.learning.settings import Settings
from fedvol.learning.training import Penalty, Surface, clip_move

CHUNK = 4096
"""Rows whose gradients are in memory at once."""


class Chance:
    """Uniform numbers that nobody can tell from fair ones without the secret: SHAKE-256.

    A torch.Generator would not do: it keeps 32 bits of its seed, which anybody can try out to take the noise off. The
    rows enter, so that noise is never used twice: two updates of one secret on two tapes would differ by the tapes.
    """

    def __init__(self, secret: bytes, weights: NDArray[np.float64], rows: Rows) -> None:
        key = hashlib.sha256(b"fedvol private training" + len(secret).to_bytes(8, "big") + secret)
        for column in (weights, rows.market, rows.k, rows.T, rows.iv, rows.weight):
            key.update(column.size.to_bytes(8, "big") + np.ascontiguousarray(column).tobytes())
        self._key = key.digest()

    def uniform(self, label: str, count: int) -> NDArray[np.float64]:
        """Numbers in (0, 1), 52 bits each; the same for the same label."""
        stream = hashlib.shake_256(self._key + label.encode()).digest(8 * count)
        bits = np.frombuffer(stream, dtype="<u8") >> np.uint64(12)
        return (bits.astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, label: str, count: int) -> NDArray[np.float64]:
        return ndtri(self.uniform(label, count))


class NoisySum(DPOptimizer):
    """Opacus' optimizer with noise out of `Chance`."""

    chance: Chance
    step_number: int

    def add_noise(self) -> None:
        (weights,) = self.params
        normal = self.chance.normal(f"noise {self.step_number}", weights.numel())
        weights.grad = weights.summed_grad + self.noise_multiplier * self.max_grad_norm * torch.from_numpy(normal)


def fit(
    surface: Surface, penalty: Penalty, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings
) -> NDArray[np.float64]:
    """Float weights after one round's private steps from float weights.

    The same arguments give the same bytes. Of `settings` only `huber_points` and `clip`, which bounds the whole move,
    mean what they do without privacy; the noise needs other steps, and `privacy` has them.

    Args:
        penalty: of the weights alone.
        seed: 32 secret bytes. Who knows them takes the noise off.

    Raises:
        ConfigError: settings without privacy, or a seed too short to be a secret.
    """
    privacy = _secret(seed, settings)
    torch.set_num_threads(1)
    start = torch.tensor(np.asarray(weights, dtype=np.float64))
    chance = Chance(seed, start.numpy(), rows)
    local = torch.nn.Parameter(start.clone())
    noisy = NoisySum(
        torch.optim.SGD([local], lr=privacy.pace),
        noise_multiplier=privacy.charge().noise,
        max_grad_norm=privacy.clip,
        expected_batch_size=privacy.batch,
    )
    noisy.chance = chance
    for step in range(privacy.steps):
        noisy.step_number = step
        noisy.zero_grad()
        chosen = rows.select(chance.uniform(f"rows {step}", len(rows)) < privacy.rate)
        local.grad_sample = gradients(surface, local.detach(), chosen, settings.huber_points)
        noisy.pre_step()
        local.grad += privacy.smoothing * torch.func.grad(penalty)(local.detach())
        noisy.original_optimizer.step()

    return clip_move(start, local, settings.clip)


def curvature(surface: Surface, weights: ArrayLike, rows: Rows, seed: bytes, settings: Settings) -> NDArray[np.float64]:
    """`fedvol.learning.training.curvature` of all rows, each clipped to `privacy.weights_clip`, with noise; negative
    sums are zero."""
    privacy = _secret(seed, settings)
    if not privacy.weighted:
        raise ConfigError("The budget has no share for weight lanes.", "Say weighted = true under privacy.")
    torch.set_num_threads(1)
    start = torch.tensor(np.asarray(weights, dtype=np.float64))
    normal = Chance(seed, start.numpy(), rows).normal("weights", start.numel())
    market, k, T, weight = (torch.tensor(c) for c in (rows.market, rows.k, rows.T, rows.weight))
    slopes = torch.func.jacfwd(lambda w: surface(w, market, k, T))(start)
    each = _finite(weight[:, None] * slopes**2)
    length = torch.linalg.vector_norm(each, dim=1, keepdim=True)
    clipped = each * (privacy.weights_clip / length.clamp(min=privacy.weights_clip))
    noise = privacy.charge().weights_noise * privacy.weights_clip * normal
    return np.maximum(clipped.sum(dim=0).numpy() + noise, 0.0)


def gradients(surface: Surface, weights: Tensor, rows: Rows, huber_points: float) -> Tensor:
    """Each row's own gradient of weight · Huber misfit, (rows, d), unclipped. A row without a finite one has zero."""

    def misfit(w: Tensor, market: Tensor, k: Tensor, T: Tensor, iv: Tensor, weight: Tensor) -> Tensor:
        vol = surface(w, market[None], k[None], T[None])
        return weight * huber_loss(POINTS * vol, POINTS * iv[None], delta=huber_points)

    if not len(rows):
        return torch.zeros((0, weights.numel()), dtype=weights.dtype)
    columns = [torch.tensor(c) for c in (rows.market, rows.k, rows.T, rows.iv, rows.weight)]
    each = torch.func.vmap(torch.func.grad(misfit), in_dims=(None, 0, 0, 0, 0, 0), chunk_size=CHUNK)
    found = each(weights, *columns)
    return _finite(found)


def _finite(each: Tensor) -> Tensor:
    """Rows with a number that is none as zero: one of them in a sum would show."""
    return torch.where(torch.isfinite(each).all(dim=1, keepdim=True), each, torch.zeros_like(each))


def _secret(seed: bytes, settings: Settings) -> Privacy:
    if settings.privacy is None:
        raise ConfigError("Private training without a budget means nothing.", "Give Settings a Privacy.")
    if len(seed) < 32:
        raise ConfigError(f"A secret of {len(seed)} bytes hides no noise.", "Use 32 random bytes.")
    return settings.privacy
