"""The rejected way to batch: vols of a block in torch, their slopes by `torch.func`, blocks by `vmap`; beside ours.

One evaluation, which is most of a step: vols and slopes of all blocks at the initial weights. Both in float64 on one
thread. The torch version is of weights within their bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from benchmarks.scale_runs.one import AS_OF, PILLARS, desk
from torch import Tensor

from fedvol.learning import chart
from fedvol.learning.chart import MOST_SLOPE, SHARES, Place
from fedvol.protocol.black76 import YEAR
from fedvol.protocol.listing import expiries

ROWS = 12
TENORS = (np.array(expiries(AS_OF, PILLARS)) - AS_OF) / YEAR


def vols(weights: Tensor, k: Tensor, tenor: Tensor, pillars: Tensor, lanes: Tensor) -> Tensor:
    """Of one block: weights (P, S, 3), rows (R,), the two pillars of each and what of them is mixed (R, 2, 3)."""
    tenors = torch.from_numpy(TENORS)[:, None]
    raw = tenors * weights[..., 0] ** 2
    earlier = torch.ones(PILLARS, PILLARS, dtype=torch.bool).tril()[..., None]
    # Not cummax: its derivative has no batching rule.
    up = torch.where(earlier, raw[None], -torch.inf).amax(1)
    theta = (up + torch.where(earlier.transpose(0, 1), raw[None], torch.inf).amin(1)) / 2
    growth = theta[:, None] / theta[None]
    values = [theta]
    for lane in (1, 2):
        wanted = torch.clamp(weights[..., lane] * torch.sqrt(theta), max=MOST_SLOPE)[None]
        below = torch.where(earlier, wanted * growth, wanted).amin(1)
        values.append((below + torch.where(earlier, wanted, wanted * growth).amax(1)) / 2)
    mixed = (torch.stack(values, -1)[pillars] * lanes[:, :, None]).sum(1)  # (R, S, 3)
    theta, p, c = mixed.unbind(-1)
    k = k[:, None]
    e = theta + (p - c) * k / 2
    s = torch.sqrt((e + torch.sqrt(e * e + p * c * k * k)) / 2)
    return _mixture(s, -torch.abs(k)) / torch.sqrt(tenor)


def _mixture(s: Tensor, k: Tensor) -> Tensor:
    shares = torch.from_numpy(SHARES)
    target = _put(k, s) @ shares
    found, k = (s * shares).sum(1), k[:, 0]
    for _ in range(4):
        vega = torch.exp(-((k / found - found / 2) ** 2) / 2) / np.sqrt(2 * np.pi)
        step = (target - _put(k, found)) / vega
        x2, q, u = (k / found) ** 2, found * found / 4, step / found
        a, b = (x2 - q) * u, ((x2 - q) ** 2 - 3 * x2 - q) * u * u / 6
        found = found + step * (1 + a / 2) / torch.clamp(1 + a + b, min=0.125)
    return found


def _put(k: Tensor, s: Tensor) -> Tensor:
    d = k / s
    return torch.exp(k) * torch.special.ndtr(d + s / 2) - torch.special.ndtr(d - s / 2)


def compare(blocks: int, runs: int = 3) -> dict[str, float]:
    """Milliseconds of one evaluation, the best of some runs, and by how much both differ."""
    torch.set_num_threads(1)
    random = np.random.default_rng(1)
    rows = [desk(random, 3) for _ in range(blocks)]
    k, expiry = (np.stack([np.resize(getattr(one, name), ROWS) for one in rows]) for name in ("k", "expiry"))
    tenor = (expiry - AS_OF) / YEAR
    weights = np.tile(np.array([[0.45, 0.6, 0.6], [0.7, 0.6, 0.6]]), (blocks, PILLARS, 1, 1))
    weights *= 1 + 0.02 * random.normal(size=weights.shape)
    place = Place(np.repeat(np.arange(blocks), ROWS), k.ravel(), tenor.ravel(), tenor.ravel())

    def ours() -> tuple[np.ndarray, np.ndarray]:
        found, slopes = chart.vols_and_slopes(chart.chart(weights, TENORS), place)
        return found.reshape(blocks, ROWS), slopes.reshape(blocks, ROWS, *weights.shape[1:])

    _, pillars, factors = chart.slices(chart.chart(weights[:1], TENORS), place._replace(market=place.market * 0))
    fixed = (k, tenor, pillars.reshape(blocks, ROWS, 2), factors[:, :, [0, 1, 1]].reshape(blocks, ROWS, 2, 3))
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in (weights, *fixed)]
    both = torch.func.vmap(torch.func.jacrev(lambda *of: (vols(*of),) * 2, has_aux=True))

    def theirs() -> tuple[np.ndarray, np.ndarray]:
        slopes, found = both(*tensors)
        return found.numpy(), slopes.numpy()

    (ours_ms, a), (torch_ms, b) = _best(ours, runs), _best(theirs, runs)
    apart = {f"{what} apart": float(np.abs(x - y).max()) for what, x, y in zip(("vols", "slopes"), a, b, strict=True)}
    return {"blocks": blocks, "ours ms": round(ours_ms, 1), "vmap ms": round(torch_ms, 1)} | apart


def _best(work: Callable[[], tuple[np.ndarray, np.ndarray]], runs: int) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        found = work()
        took.append(1000 * (time.perf_counter() - began))
    return min(took), found
